import source from "../../../shaders/gelu-gate.wgsl" with { type: "text" };
import { elementGrid } from "../dispatch.ts";
import { apply, applyAll, type Op, size, type Tensor } from "../tensor.ts";
import { requireSameShape } from "./elementwise.ts";

const shader = { name: "gelu-gate", source };

/** The op of `geluGate`, for ops that absorb it. */
export const geluGateOp: Op<null> = {
  name: "gelu gate",
  shape(inputs) {
    requireSameShape("geluGate", inputs);
    return [{ shape: inputs[0].shape, dtype: "f32" }];
  },
  gradient: ({ inputs: [a, b] }, [dy]) => [...applyAll(geluGateGradientOp, [a, b, dy!], null)],
  kernel({ inputs: [a, b], outputs: [gated] }) {
    const count = size(a.shape);
    return [{
      shader,
      entry: "forward",
      uniforms: { count },
      bindings: { a, b, gated },
      workgroups: elementGrid(gated, 4),
      flops: 10 * count,
    }];
  },
};

const geluGateGradientOp: Op<null> = {
  name: "gelu gate gradient",
  shape: ([a, b]) => [a, b].map(({ shape }) => ({ shape, dtype: "f32" })),
  kernel({ inputs: [a, b, gradient], outputs: [aGradient, bGradient] }) {
    const count = size(a.shape);
    return [{
      shader,
      entry: "backward",
      uniforms: { count },
      bindings: { a, b, gradient, a_gradient: aGradient, b_gradient: bGradient },
      workgroups: elementGrid(a, 4),
      flops: 22 * count,
    }];
  },
};

/**
 * Gated GELU (Shazeer 2020, "GLU Variants Improve Transformer"): gelu(a) · b, elementwise, with the tanh
 * form of the GELU that T5 v1.1 uses.
 */
export function geluGate(a: Tensor, b: Tensor): Tensor {
  return apply(geluGateOp, [a, b], null);
}
