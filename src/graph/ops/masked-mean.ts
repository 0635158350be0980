import source from "../../../shaders/masked-mean.wgsl" with { type: "text" };
import { elementGrid, linearGrid } from "../dispatch.ts";
import { widen, widthOf } from "../element.ts";
import { apply, applyAll, type Op, ShapeError, size, type Tensor } from "../tensor.ts";

const shader = { name: "masked-mean", source };

/** Outputs: the means, and what each sum was divided by, kept for the gradient. */
const maskedMeanOp: Op<null> = {
  name: "masked mean",
  shape([x, mask]) {
    const [batch, length, columns] = x.shape;
    const fits = x.shape.length === 3 && mask.shape.length === 2 &&
      mask.shape[0] === batch && mask.shape[1] === length;
    if (!fits || x.dtype !== "f32" || mask.dtype !== "i32") {
      throw new ShapeError("maskedMean", "needs f32 [B, T, D] and a mask i32 [B, T]", [x, mask]);
    }
    return [{ shape: [batch, columns], dtype: "f32" }, { shape: [batch], dtype: "f32" }];
  },
  gradient: ({ inputs: [x, mask], outputs: [, counts] }, [dy]) => [
    apply(maskedMeanGradientOp, [mask, counts, dy!], { length: x.shape[1] }),
  ],
  kernel({ inputs: [x, mask], outputs: [mean, counts] }) {
    const [batch, length, columns] = x.shape;
    const width = widthOf(columns);
    return [{
      shader: widen(shader, width),
      entry: "forward",
      uniforms: { batch, length, columns: columns / width },
      bindings: { x, mask, mean, counts },
      workgroups: elementGrid(mean, width),
      flops: 2 * size(x.shape),
    }];
  },
};

const maskedMeanGradientOp: Op<{ length: number }> = {
  name: "masked mean gradient",
  shape: ([, , { shape: [batch, columns] }], { length }) => [
    { shape: [batch, length, columns], dtype: "f32" },
  ],
  kernel({ inputs: [mask, counts, gradient], outputs: [result], attributes: { length } }) {
    const [batch, columns] = gradient.shape;
    const width = widthOf(columns);
    return [{
      shader: widen(shader, width),
      entry: "backward",
      uniforms: { batch, length, columns: columns / width },
      bindings: { mask, forward_counts: counts, gradient, input_gradient: result },
      workgroups: linearGrid(Math.ceil(batch * length / 4) * (columns / width)),
      flops: size(result.shape),
    }];
  },
};

/**
 * The mean of the positions that a mask of 0 and 1 counts: Σ x · mask / Σ mask.
 *
 * The mean of no position at all is zero here, where the plain formula gives 0 / 0.
 *
 * @param x [B, T, D]
 * @param mask i32 [B, T]
 * @returns [B, D]
 */
export function maskedMean(x: Tensor, mask: Tensor): Tensor {
  return applyAll(maskedMeanOp, [x, mask], null)[0];
}
