/**
 * Dropout whose mask is never stored: it is a function of the element's index, the call site and the seed,
 * so the backward pass makes it again.
 */

import source from "../../../shaders/dropout.wgsl" with { type: "text" };
import { elementGrid } from "../dispatch.ts";
import { apply, type Op, ShapeError, size, type Tensor } from "../tensor.ts";
import { add, addOp } from "./add.ts";
import { requireSameShape } from "./elementwise.ts";

const shader = { name: "dropout", source };

/** How elements are dropped. */
export interface DropoutOptions {
  /** Probability of being dropped, from 0 to below 1. */
  readonly rate: number;
  /** u32 [2]; a new value for every training step. */
  readonly seed: Tensor;
  /** Number of the call site: two dropouts of one seed and site drop the same elements. */
  readonly site: number;
}

/** Which mask, for a seed. */
export type DropoutMask = Pick<DropoutOptions, "rate" | "site">;

/** What the shaders that drop elements are given; zeros where nothing is dropped. */
export function dropoutUniforms(
  { rate, site }: DropoutMask = { rate: 0, site: 0 },
): Record<"dropout_site" | "dropout_rate" | "kept_scale", number> {
  return { dropout_site: site, dropout_rate: rate, kept_scale: 1 / (1 - rate) };
}

/** Inputs: x, the seed and, where an addition was absorbed, the residual. */
export const dropoutOp: Op<DropoutMask> = {
  name: "dropout",
  shape([x, seed, ...residual], { rate }) {
    if (!(rate > 0 && rate < 1)) {
      throw new RangeError(`dropout: the rate must be at least 0 and below 1, not ${rate}.`);
    }
    requireSameShape("dropout", [x, ...residual]);
    if (seed.dtype !== "u32" || size(seed.shape) !== 2) {
      throw new ShapeError("dropout", "the seed must be u32 [2]", [x, seed]);
    }
    return [{ shape: x.shape, dtype: "f32" }];
  },
  gradient: ({ inputs: [, seed], attributes }, [dy], needed) => [
    needed[0] ? apply(dropoutOp, [dy!, seed], attributes) : undefined,
    undefined,
    dy,
  ],
  kernel({ inputs: [x, seed, residual], outputs: [result], attributes }) {
    const count = size(x.shape);
    return [{
      shader,
      constants: { has_residual: residual ? 1 : 0 },
      uniforms: { count, ...dropoutUniforms(attributes) },
      bindings: { x, seed, result, ...(residual && { residual }) },
      workgroups: elementGrid(result, 4),
      flops: (residual ? 2 : 1) * count,
    }];
  },
  absorb(producer, consumer) {
    const { inputs: [x, seed, residual], outputs: [dropped], attributes } = producer;
    if (consumer.op !== addOp || residual) return undefined;
    const other = consumer.inputs.find((tensor) => tensor !== dropped);
    return other && apply(dropoutOp, [x, seed, other], attributes).node;
  },
};

/**
 * Dropout (Srivastava et al. 2014): each element is zero with probability `rate`, else divided by
 * 1 - rate. With rate 0 it is `x` itself.
 */
export function dropout(x: Tensor, { rate, seed, site }: DropoutOptions): Tensor {
  return rate === 0 ? x : apply(dropoutOp, [x, seed], { rate, site });
}

/** residual + dropout(x), in one kernel. */
export function dropoutAdd(x: Tensor, residual: Tensor, options: DropoutOptions): Tensor {
  const { rate, seed, site } = options;
  if (rate === 0) return add(x, residual);
  return apply(dropoutOp, [x, seed, residual], { rate, site });
}
