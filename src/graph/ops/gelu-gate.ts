import source from "../../../shaders/gelu-gate.wgsl" with { type: "text" };
import { elementGrid } from "../dispatch.ts";
import {
  apply,
  type Dispatch,
  type Op,
  type Scratch,
  ShapeError,
  size,
  type Tensor,
} from "../tensor.ts";
import { type DropoutMask, type DropoutOptions, dropoutUniforms } from "./dropout.ts";

const shader = { name: "gelu-gate", source };

/** What dropout needs besides its seed, if there is any. */
type Attributes = DropoutMask | null;

/** Inputs: x and, with dropout, the seed. */
const geluGateOp: Op<Attributes> = {
  name: "gelu gate",
  shape([x, seed], dropout) {
    const columns = x.shape.at(-1)! / 2;
    if (x.dtype !== "f32" || !Number.isInteger(columns)) {
      throw new ShapeError("geluGate", "it needs f32 with an even last axis", [x]);
    }
    if (dropout && (seed.dtype !== "u32" || size(seed.shape) !== 2)) {
      throw new ShapeError("geluGate", "the seed must be u32 [2]", [x, seed]);
    }
    return [{ shape: [...x.shape.slice(0, -1), columns], dtype: "f32" }];
  },
  gradient: ({ inputs: [x, seed], attributes }, [dy]) => [
    apply(geluGateGradientOp, seed ? [x, dy!, seed] : [x, dy!], attributes),
    undefined,
  ],
  kernel: ({ inputs: [x, seed], outputs: [gated], attributes }) => [
    geluGateDispatch(x, gated, seed, attributes),
  ],
};

/** The dispatch that computes the gate, for ops that end with one. */
export function geluGateDispatch(
  x: Tensor | Scratch,
  gated: Tensor,
  seed?: Tensor,
  dropout: Attributes = null,
): Dispatch {
  return {
    ...settings(gated, seed, dropout),
    entry: "forward",
    bindings: { [isVector(gated) ? "x_vec4" : "x"]: x, ...(seed && { seed }), gated },
    flops: 10 * size(gated.shape),
  };
}

/** Inputs: x, the result's gradient and, with dropout, the seed. Products absorb it (matmul.ts). */
export const geluGateGradientOp: Op<Attributes> = {
  name: "gelu gate gradient",
  shape: ([x]) => [{ shape: x.shape, dtype: "f32" }],
  kernel({ inputs: [x, gradient, seed], outputs: [xGradient], attributes }) {
    const suffix = isVector(gradient) ? "_vec4" : "";
    return [{
      ...settings(gradient, seed, attributes),
      entry: "backward",
      bindings: {
        [`x${suffix}`]: x,
        ...(seed && { seed }),
        gradient,
        [`x_gradient${suffix}`]: xGradient,
      },
      flops: 22 * size(gradient.shape),
    }];
  },
};

/** What both directions have, for a tensor of the result's shape. */
function settings(
  result: Tensor,
  seed: Tensor | undefined,
  dropout: Attributes,
): Pick<Dispatch, "shader" | "constants" | "uniforms" | "workgroups"> {
  const columns = result.shape.at(-1)!;
  return {
    shader,
    constants: { vectors: Number(isVector(result)), has_dropout: Number(seed !== undefined) },
    uniforms: {
      count: size(result.shape),
      columns,
      ...dropoutUniforms(dropout ?? undefined),
    },
    workgroups: elementGrid(result, 4),
  };
}

/** Whether rows of a and of b, which are as long as the result's, are whole vec4s. */
function isVector({ shape }: Tensor): boolean {
  return shape.at(-1)! % 4 === 0;
}

/**
 * Gated GELU (Shazeer 2020, "GLU Variants Improve Transformer") with the tanh form of the GELU that T5 v1.1
 * uses: gelu(a) · b, elementwise, of the two halves of every row.
 *
 * @param x [..., 2 · columns]: a and b side by side, as one product makes them
 * @param dropout what is done to the result, as `dropout` would
 * @returns [..., columns]
 */
export function geluGate(x: Tensor, dropout?: DropoutOptions): Tensor {
  if (!dropout || dropout.rate === 0) return apply(geluGateOp, [x], null);
  const { rate, seed, site } = dropout;
  return apply(geluGateOp, [x, seed], { rate, site });
}
