/**
 * The activations of feed-forward layers that have no kernel of their own, alone and as a gate.
 *
 * What most checkpoints have is faster elsewhere: `relu`, which products absorb, and `geluGate`.
 */

import source from "../../../shaders/activation.wgsl" with { type: "text" };
import { elementGrid } from "../dispatch.ts";
import { apply, type Dispatch, type Op, ShapeError, size, type Tensor } from "../tensor.ts";

const shader = { name: "activation", source };

/** The shader's numbers of the activations, by transformers' names. */
const KINDS = { gelu: 0, gelu_new: 1, silu: 2, relu: 3 } as const;

/** `gelu` is the exact one, `gelu_new` its tanh form. */
export type ActivationKind = keyof typeof KINDS;

interface Attributes {
  readonly kind: ActivationKind;
  readonly gated: boolean;
}

const activationOp: Op<Attributes> = {
  name: "activation",
  shape([x], { gated }) {
    const columns = x.shape.at(-1)! / (gated ? 2 : 1);
    if (x.dtype !== "f32" || !Number.isInteger(columns)) {
      const needed = gated ? "f32 with an even last axis" : "f32";
      throw new ShapeError("activation", `it needs ${needed}`, [x]);
    }
    return [{ shape: [...x.shape.slice(0, -1), columns], dtype: "f32" }];
  },
  gradient: ({ inputs: [x], attributes }, [dy]) => [
    apply(activationGradientOp, [x, dy!], attributes),
  ],
  kernel: ({ inputs: [x], outputs: [y], attributes }) => [
    dispatch(y, attributes, "forward", { x, y }),
  ],
};

const activationGradientOp: Op<Attributes> = {
  name: "activation gradient",
  shape: ([x]) => [{ shape: x.shape, dtype: "f32" }],
  kernel: ({ inputs: [x, gradient], outputs: [xGradient], attributes }) => [
    dispatch(gradient, attributes, "backward", { x, gradient, x_gradient: xGradient }),
  ],
};

/** The dispatch of a direction; `result` has the shape of what the activation makes. */
function dispatch(
  result: Tensor,
  { kind, gated }: Attributes,
  entry: "forward" | "backward",
  bindings: Record<string, Tensor>,
): Dispatch {
  return {
    shader,
    entry,
    constants: { kind: KINDS[kind], gated: Number(gated) },
    uniforms: { count: size(result.shape), columns: result.shape.at(-1)! },
    bindings,
    workgroups: elementGrid(result, 1),
    flops: (entry === "forward" ? 20 : 40) * size(result.shape),
  };
}

/** f(x), elementwise. */
export function activate(x: Tensor, kind: ActivationKind): Tensor {
  return apply(activationOp, [x], { kind, gated: false });
}

/**
 * f(a) · b, elementwise, of the two halves of every row.
 *
 * @param x [..., 2 · columns]: a and b side by side, as one product makes them
 * @returns [..., columns]
 */
export function activationGate(x: Tensor, kind: ActivationKind): Tensor {
  return apply(activationOp, [x], { kind, gated: true });
}
