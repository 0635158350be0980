import { apply, applyAll, type Op, ShapeError, type Tensor } from "../tensor.ts";
import type { DropoutMask } from "./dropout.ts";
import { plainLinear } from "./matmul.ts";
import { normLinear } from "./norm-linear.ts";
import { dropsInPlace, normInputGradientOp, normScaleGradientOp } from "./rms-norm-gradient.ts";
import { normDispatch } from "./rms-norm-kernel.ts";

interface Attributes {
  readonly epsilon: number;
  readonly dropout?: DropoutMask;
}

/**
 * Inputs: x, scale and, where a dropout was absorbed, its seed. Outputs: the normalized x, and 1 / rms of
 * every row, kept for the gradient.
 */
const rmsNormOp: Op<Attributes> = {
  name: "rms norm",
  shape([x, scale]) {
    const fits = scale.shape.length === 1 && scale.shape[0] === x.shape.at(-1);
    if (!fits || x.dtype !== "f32" || scale.dtype !== "f32") {
      throw new ShapeError("rmsNorm", "needs f32 [..., D] and a scale f32 [D]", [x, scale]);
    }
    return [{ shape: x.shape, dtype: "f32" }, { shape: x.shape.slice(0, -1), dtype: "f32" }];
  },
  gradient({ inputs: [x, scale], outputs: [, rstd] }, [dy], needed) {
    return [
      needed[0] ? apply(normInputGradientOp, [x, scale, rstd, dy!], {}) : undefined,
      needed[1] ? apply(normScaleGradientOp, [x, rstd, dy!], null) : undefined,
    ];
  },
  kernel({ inputs: [x, scale, seed], outputs: [normalized, rstd], attributes }, gpu) {
    const { epsilon, dropout: mask } = attributes;
    return seed
      ? [normDispatch(x, scale, { dropped: normalized, rstd }, epsilon, gpu, { seed, mask })]
      : [normDispatch(x, scale, { normalized, rstd }, epsilon, gpu)];
  },
  absorb({ inputs, outputs: [normalized], attributes }, consumer) {
    if (attributes.dropout) return undefined;
    const [x, scale] = inputs;
    const linear = plainLinear(consumer);
    if (linear?.x === normalized) return normLinear(x, scale, attributes.epsilon, linear);
    const { op, inputs: [, seed, ...sum], attributes: dropout } = consumer;
    if (!dropsInPlace(op, sum, x)) return undefined;
    return applyAll(rmsNormOp, [...inputs, seed], { ...attributes, dropout })[0].node;
  },
};

/**
 * Root mean square norm (Zhang & Sennrich 2019): x / sqrt(mean(x²) + epsilon) · scale, without a mean
 * subtraction or a bias, as in T5.
 *
 * @param x [..., D]
 * @param scale [D]
 * @returns [..., D]
 */
export function rmsNorm(x: Tensor, scale: Tensor, epsilon = 1e-6): Tensor {
  return applyAll(rmsNormOp, [x, scale], { epsilon })[0];
}
