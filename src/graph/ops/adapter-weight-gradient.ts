import source from "../../../shaders/adapter-weight-gradient.wgsl" with { type: "text" };
import { linearGrid } from "../dispatch.ts";
import { applyAll, type Op, type Tensor } from "../tensor.ts";

/**
 * Gradient of one product of a per-instance adapter and of the bias after it.
 *
 * @param left [B, T, M]: what went into the product
 * @param right [B, T, N]: the adjoint of what came out
 * @returns leftᵀ · right per instance [B, M, N], and the sum over `right`'s rows [B, N]
 */
export function adapterWeightGradient(
  left: Tensor,
  right: Tensor,
): { weight: Tensor; bias: Tensor } {
  const [weight, bias] = applyAll(adapterWeightGradientOp, [left, right], null);
  return { weight, bias };
}

const adapterWeightGradientOp: Op<null> = {
  name: "adapter weight gradient",
  shape([left, right]) {
    const [batch, , m] = left.shape;
    const n = right.shape[2];
    return [{ shape: [batch, m, n], dtype: "f32" }, { shape: [batch, n], dtype: "f32" }];
  },
  kernel({ inputs: [left, right], outputs: [weights, bias] }) {
    const [instances, rows, m] = left.shape;
    const n = right.shape[2];
    // One more row of blocks than m needs where it is a multiple of four: the bias is row m.
    const blocks = instances * (Math.floor(m / 4) + 1) * Math.ceil(n / 8);
    return [{
      shader: { name: "adapter-weight-gradient", source },
      constants: { vectorized: Number(m % 4 === 0 && n % 4 === 0) },
      uniforms: { instances, rows, m, n },
      bindings: { left, right, weights, bias },
      workgroups: linearGrid(blocks),
      flops: 2 * instances * rows * (m + 1) * n,
    }];
  },
};
