/**
 * One step of the decoder with everything before it cached: the same layers as in t5.ts, for a single
 * position of one or more sequences per instance (`K` of them: beams, or samples).
 *
 * The keys and values of earlier positions, and of the encoder, lie in variables; so do the adapters
 * that the hypernetwork generated once for the instance. A step reads and writes only these, so that
 * many steps can be queued at once. The sequences of an instance stand where t5.ts has positions: they
 * share the encoder's keys and values and the instance's adapters, of which there is one copy.
 */

import { crossAttentionStep } from "../src/graph/ops/cross-attention-step.ts";
import { linear } from "../src/graph/ops/matmul.ts";
import { reshape } from "../src/graph/ops/reshape.ts";
import { type KeyValues, selfAttentionStep } from "../src/graph/ops/self-attention-step.ts";
import { stepLinear } from "../src/graph/ops/step-linear.ts";
import type { Tensor } from "../src/graph/tensor.ts";
import {
  type AdaptLayer,
  CROSS_MASK,
  embed,
  feedForward,
  finalNorm,
  headWeight,
  type Model,
  norm,
  positionTable,
  project,
} from "./t5.ts";

/** What a step reads besides the token; caches are [B, length, slots × heads × headDim], see `selfAttentionStep`. */
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
  let h = embed(model, ids);
  for (let i = 0; i < config.decoderLayers; i++) {
    const block = `decoder.block.${i}.layer`;
    const weight = (name: string) => model.weight(`${block}.${name}.weight`);
    const norm = (layer: number) => normOf(model, `${block}.${layer}.layer_norm`);

    const own = ["q", "k", "v"].map((part) => weight(`0.SelfAttention.${part}`));
    const { context } = selfAttentionStep(stepLinear(h, own, { norm: norm(0) }), cache.self[i], {
      heads,
      position,
      table: model.weight(positionTable("decoder")),
      maxDistance: config.maxDistance,
      ancestors: cache.ancestors,
    });
    h = stepLinear(context, [weight("0.SelfAttention.o")], { residual: h });

    const query = stepLinear(h, [weight("1.EncDecAttention.q")], { norm: norm(1) });
    const read = crossAttentionStep(query, cache.cross[i], {
      heads,
      keyMask: cache.encoderMask,
      maskValue: CROSS_MASK,
    });
    h = stepLinear(read, [weight("1.EncDecAttention.o")], { residual: h });
    h = stepFeedForward(model, `${block}.2`, i, h, adapt);
  }
  return reshape(stepProject(model, h), [batch * sequences, config.vocabSize]);
}

/** `feedForward` of a step. */
function stepFeedForward(
  model: Model,
  layer: string,
  index: number,
  h: Tensor,
  adapt: AdaptLayer | undefined,
): Tensor {
  const { config } = model;
  const hasKernel = config.gated && config.activation === "gelu_new";
  if (!hasKernel) return feedForward(model, layer, index, h, adapt);
  const part = (p: string) => model.weight(`${layer}.DenseReluDense.${p}.weight`);
  const inner = stepLinear(h, [part("wi_0"), part("wi_1")], {
    norm: normOf(model, `${layer}.layer_norm`),
    isGated: true,
  });
  const y = stepLinear(inner, [part("wo")], { residual: h });
  if (!adapt) return y;
  return adapt(index, config.adapterNormInput ? norm(model, `${layer}.layer_norm`, h) : h, y);
}

/** The logits of a step, after the last norm. */
function stepProject(model: Model, h: Tensor): Tensor {
  if (model.config.scaledOutputs) return project(model, finalNorm(model, "decoder", h));
  return stepLinear(h, [headWeight(model)], {
    norm: normOf(model, "decoder.final_layer_norm"),
  });
}

/** What `stepLinear` needs of the norm of that name. */
function normOf(model: Model, name: string) {
  return { scale: model.weight(`${name}.weight`), epsilon: model.config.normEpsilon };
}
