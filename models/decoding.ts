/**
 * One step of the decoder with everything before it cached: the same layers as in t5.ts, for a single
 * position of one or more sequences per instance (`K` of them: beams, or samples).
 *
 * The keys and values of earlier positions, and of the encoder, lie in variables; so do the adapters
 * that the hypernetwork generated once for the instance. A step reads and writes only these, so that
 * many steps can be queued at once. The sequences of an instance stand where t5.ts has positions: they
 * share the encoder's keys and values and the instance's adapters, of which there is one copy.
 */

import { add } from "../src/graph/ops/add.ts";
import { attentionStep } from "../src/graph/ops/attention-step.ts";
import { cacheWrite, type KeyValues } from "../src/graph/ops/cache-write.ts";
import { linear } from "../src/graph/ops/matmul.ts";
import { reshape } from "../src/graph/ops/reshape.ts";
import type { Tensor } from "../src/graph/tensor.ts";
import {
  type AdaptLayer,
  CROSS_MASK,
  embed,
  feedForward,
  finalNorm,
  type Model,
  norm,
  positionTable,
  project,
} from "./t5.ts";

/** What a step reads besides the token; caches are [B, length, slots × heads × headDim], see `attentionStep`. */
export interface DecoderCache {
  /** By layer, K slots; overwritten at the current position. */
  readonly self: readonly KeyValues[];
  /** By layer, one slot; computed from the encoder's output. */
  readonly cross: readonly KeyValues[];
  /** i32[B, S]. */
  readonly encoderMask: Tensor;
  /** u32[B, K, length]: the slots of earlier keys, for sequences that go on from one another. */
  readonly ancestors?: Tensor | undefined;
}

/** Keys and values of the encoder's output [B, S, D], by decoder layer. */
export function crossKeyValues(model: Model, encoded: Tensor): KeyValues[] {
  return Array.from({ length: model.config.decoderLayers }, (_, i) => {
    const name = `decoder.block.${i}.layer.1.EncDecAttention`;
    return {
      key: linear(encoded, model.weight(`${name}.k.weight`)),
      value: linear(encoded, model.weight(`${name}.v.weight`)),
    };
  });
}

/**
 * Logits after one more token.
 *
 * @param ids i32[B, K], the tokens at `position`
 * @param position u32[1]
 * @returns [B × K, V]; the cache's writes happen because the logits depend on them
 */
export function decodeStep(
  model: Model,
  ids: Tensor,
  position: Tensor,
  cache: DecoderCache,
  adapt?: AdaptLayer,
): Tensor {
  const { config } = model;
  const { heads } = config;
  const [batch, sequences] = ids.shape;
  /** [B, K, features] as one row of a cache. */
  const slots = (x: Tensor) => reshape(x, [batch, sequences * x.shape[2]]);
  let h = embed(model, ids);
  for (let i = 0; i < config.decoderLayers; i++) {
    const block = `decoder.block.${i}.layer`;
    const part = (name: string, x: Tensor) => linear(x, model.weight(`${block}.${name}.weight`));

    const own = norm(model, `${block}.0.layer_norm`, h);
    const written = cacheWrite(cache.self[i], {
      key: slots(part("0.SelfAttention.k", own)),
      value: slots(part("0.SelfAttention.v", own)),
    }, position);
    const context = attentionStep(
      part("0.SelfAttention.q", own),
      written.key,
      written.value,
      {
        heads,
        position,
        table: model.weight(positionTable("decoder")),
        ancestors: cache.ancestors,
      },
    );
    h = add(part("0.SelfAttention.o", context), h);

    const query = norm(model, `${block}.1.layer_norm`, h);
    const read = attentionStep(
      part("1.EncDecAttention.q", query),
      cache.cross[i].key,
      cache.cross[i].value,
      { heads, keyMask: cache.encoderMask, maskValue: CROSS_MASK },
    );
    h = add(part("1.EncDecAttention.o", read), h);
    h = feedForward(model, `${block}.2`, i, h, adapt);
  }
  const logits = project(model, finalNorm(model, "decoder", h));
  return reshape(logits, [batch * sequences, config.vocabSize]);
}
