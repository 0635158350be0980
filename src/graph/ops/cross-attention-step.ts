/**
 * Cross-attention of the newest token of every sequence: a step of generation.
 */

import source from "../../../shaders/cross-attention-step.wgsl" with { type: "text" };
import { linearGrid } from "../dispatch.ts";
import { apply, type Op, sameShape, ShapeError, type Tensor } from "../tensor.ts";
import { blocksOf, LANES, withHead } from "./attention-head.ts";
import type { KeyValues } from "./self-attention-step.ts";

/** How scores are made. */
export interface CrossAttentionStepOptions {
  readonly heads: number;
  /** i32[batch, length], 0 where a key is masked. */
  readonly keyMask: Tensor;
  /** What is added to the score of a masked key. */
  readonly maskValue: number;
}

const crossAttentionStepOp: Op<{ heads: number; maskValue: number }> = {
  name: "cross-attention step",

  shape(inputs, { heads }) {
    const [query, key, value, mask] = inputs;
    const fail = (message: string): never => {
      throw new ShapeError("crossAttentionStep", message, inputs);
    };
    const [batch, , width] = query.shape;
    const [, length] = key.shape;
    if (query.shape.length !== 3 || width % heads !== 0) {
      fail(`the query must be [batch, K, features] with features for ${heads} heads`);
    }
    const expected = [batch, length, width];
    if (!sameShape(key.shape, expected) || !sameShape(value.shape, expected)) {
      fail("key and value must be [batch, length, features]");
    }
    if (mask.dtype !== "i32" || !sameShape(mask.shape, [batch, length])) {
      fail(`the key mask must be i32[${batch}, ${length}]`);
    }
    return [query];
  },

  kernel({ inputs, attributes: { heads, maskValue }, outputs: [output] }, gpu) {
    const [query, key, value, key_mask] = inputs;
    const [batch, queries, width] = query.shape;
    const [, length] = key.shape;
    const headSize = width / heads;
    const dispatch = {
      shader: withHead({ name: "cross-attention-step", source }, headSize),
      uniforms: { batch, queries, heads, length, mask_value: maskValue },
      flops: 4 * batch * queries * length * width,
    };
    if (gpu.isCpu) {
      return [{
        ...dispatch,
        entry: "by_invocation",
        bindings: { query, key, value, key_mask, output },
        workgroups: linearGrid(batch * queries * heads * blocksOf(headSize), LANES),
      }];
    }
    return [{
      ...dispatch,
      entry: "by_workgroup",
      bindings: { query, key, value_features: value, key_mask, output_features: output },
      workgroups: [Math.ceil(headSize / 64), heads, batch * queries],
    }];
  },
};

/**
 * `attention` of a row's K sequences, each of one token, to keys that they share. It has no gradient.
 *
 * @param query [batch, K, heads · headSize]
 * @param memory [batch, length, heads · headSize] each
 * @returns as query
 * @throws {ShapeError} when operands do not fit
 */
export function crossAttentionStep(
  query: Tensor,
  memory: KeyValues,
  { heads, keyMask, maskValue }: CrossAttentionStepOptions,
): Tensor {
  const inputs = [query, memory.key, memory.value, keyMask];
  return apply(crossAttentionStepOp, inputs, { heads, maskValue });
}
