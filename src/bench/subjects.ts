/**
 * The models that are measured, and the batches they are given. Weights are random: time does not depend
 * on them.
 */

import { type ModelConfig, parseConfig } from "../../models/config.ts";
import embedded from "../../models/miniature/config.json" with { type: "json" };
import type { BatchShape } from "./inputs.ts";

/** A model at work. */
export interface Subject {
  readonly name: string;
  readonly config: ModelConfig;
  readonly batch: BatchShape;
}

/** The paper's model: learnt adapters in the encoder, generated ones in the decoder. */
const hyperdecoder = {
  feed_forward_proj: "gated-gelu",
  tie_word_embeddings: false,
  encoder_adapter: "manual",
  decoder_adapter: "generated",
};

/** The embedded model, with a batch of the size that it is trained with. */
export const miniature: Subject = {
  name: "embedded model",
  config: parseConfig(embedded, "models/miniature/config.json"),
  batch: { batchSize: 32, sourceLength: 64, targetLength: 16 },
};

/** Large enough that products are most of the work, small enough for a CPU adapter. */
export const small: Subject = {
  name: "small T5",
  config: parseConfig({
    ...hyperdecoder,
    vocab_size: 4096,
    d_model: 256,
    d_kv: 32,
    d_ff: 512,
    num_layers: 4,
    num_heads: 8,
    encoder_adapter_dim: 32,
    decoder_adapter_dim: 32,
    hypernetwork_bottleneck: 64,
  }, "the small T5"),
  batch: { batchSize: 16, sourceLength: 64, targetLength: 16 },
};

/** T5 v1.1 base as the paper trains it. A step of it takes a CPU adapter minutes. */
export const base: Subject = {
  name: "T5-base",
  config: parseConfig({
    ...hyperdecoder,
    vocab_size: 32128,
    d_model: 768,
    d_kv: 64,
    d_ff: 2048,
    num_layers: 12,
    num_heads: 12,
    encoder_adapter_dim: 64,
    decoder_adapter_dim: 64,
    hypernetwork_bottleneck: 128,
  }, "T5-base"),
  batch: { batchSize: 32, sourceLength: 128, targetLength: 16 },
};

/** One block of the small T5's encoder, all of whose weights are trained. */
export const block: Subject = {
  name: "encoder block",
  config: { ...small.config, encoderLayers: 1, encoderAdapter: "none", decoderAdapter: "none" },
  batch: small.batch,
};
