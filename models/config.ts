/**
 * The model's configuration, under the names of Hugging Face's `config.json` for T5 plus the adapter
 * fields of the reference implementation.
 */

import { suggestion, UserError } from "../src/errors.ts";

/** Where a stack's adapter weights come from. */
export type AdapterMode = "none" | "manual" | "generated";

const ADAPTER_MODES: readonly AdapterMode[] = ["none", "manual", "generated"];

/** Everything that decides the shape of a Hyperdecoder. */
export interface ModelConfig {
  readonly vocabSize: number;
  readonly modelDim: number;
  /** Size of one attention head; heads × headDim need not be modelDim. */
  readonly headDim: number;
  readonly heads: number;
  readonly feedForwardDim: number;
  readonly gatedGelu: boolean;
  readonly encoderLayers: number;
  readonly decoderLayers: number;
  readonly relativeBuckets: number;
  readonly dropoutRate: number;
  readonly normEpsilon: number;
  readonly tiedEmbeddings: boolean;
  readonly padId: number;
  readonly eosId: number;
  readonly decoderStartId: number;
  readonly encoderAdapter: AdapterMode;
  readonly decoderAdapter: AdapterMode;
  readonly encoderAdapterDim: number;
  readonly decoderAdapterDim: number;
  /** Hidden size of the hypernetwork. */
  readonly hypernetworkBottleneck: number;
  /** Adapters read the normed input of the feed-forward layer instead of the residual stream. */
  readonly adapterNormInput: boolean;
  /** A two-layer perceptron stands between the pooled encoder output and the hypernetwork. */
  readonly processEncoderOutput: boolean;
}

/** Length of the embedding of a layer's index; fixed in the reference. */
export const LAYER_EMBEDDING_DIM = 10;

/**
 * Reads a parsed `config.json`.
 *
 * @param json the parsed file
 * @param file its name, for errors
 * @throws {UserError} naming the field that is missing, of the wrong type or not supported
 */
export function parseConfig(json: unknown, file: string): ModelConfig {
  if (typeof json !== "object" || json === null || Array.isArray(json)) {
    throw new UserError(`${file} must hold a JSON object with the model's configuration.`);
  }
  const fields = json as Record<string, unknown>;
  const field = <T>(name: string, type: "number" | "boolean" | "string", fallback?: T): T => {
    const value = fields[name] ?? fallback;
    const found: string = typeof value;
    if (found !== type) {
      const problem = value === undefined ? "is missing" : `must be a ${type}`;
      throw new UserError(`${file}: the field "${name}" ${problem}.`);
    }
    return value as T;
  };
  const size = (name: string, fallback?: number): number => {
    const value = field<number>(name, "number", fallback);
    if (!Number.isInteger(value) || value < 1) {
      throw new UserError(`${file}: the field "${name}" must be a positive integer, not ${value}.`);
    }
    return value;
  };
  const adapter = (name: string): AdapterMode => {
    const value = field<string>(name, "string", "none");
    const mode = ADAPTER_MODES.find((mode) => mode === value);
    if (!mode) {
      throw new UserError(
        `${file}: "${name}" is "${value}", which is not supported; use one of ` +
          `${ADAPTER_MODES.join(", ")}${suggestion(value, ADAPTER_MODES)}.`,
      );
    }
    return mode;
  };
  const projection = field<string>("feed_forward_proj", "string", "relu");
  if (projection !== "relu" && projection !== "gated-gelu") {
    throw new UserError(`${file}: feed_forward_proj "${projection}" must be relu or gated-gelu.`);
  }
  const encoderAdapter = adapter("encoder_adapter");
  if (encoderAdapter === "generated") {
    throw new UserError(
      `${file}: a generated encoder adapter is not supported; use manual or none.`,
    );
  }
  const encoderLayers = size("num_layers");
  return {
    vocabSize: size("vocab_size"),
    modelDim: size("d_model"),
    headDim: size("d_kv"),
    heads: size("num_heads"),
    feedForwardDim: size("d_ff"),
    gatedGelu: projection === "gated-gelu",
    encoderLayers,
    decoderLayers: size("num_decoder_layers", encoderLayers),
    relativeBuckets: size("relative_attention_num_buckets", 32),
    dropoutRate: field("dropout_rate", "number", 0.1),
    normEpsilon: field("layer_norm_epsilon", "number", 1e-6),
    tiedEmbeddings: field("tie_word_embeddings", "boolean", true),
    padId: field("pad_token_id", "number", 0),
    eosId: field("eos_token_id", "number", 1),
    decoderStartId: field("decoder_start_token_id", "number", 0),
    encoderAdapter,
    decoderAdapter: adapter("decoder_adapter"),
    encoderAdapterDim: size("encoder_adapter_dim", 64),
    decoderAdapterDim: size("decoder_adapter_dim", 64),
    hypernetworkBottleneck: size("hypernetwork_bottleneck", 128),
    adapterNormInput: field("adapter_norm_input", "boolean", false),
    processEncoderOutput: field("process_encoder_output", "boolean", true),
  };
}

/** The `config.json` that `parseConfig` reads back as the same configuration. */
export function formatConfig(config: ModelConfig): Record<string, unknown> {
  return {
    model_type: "t5",
    architectures: ["T5ForConditionalGenerationWithAdapter"],
    vocab_size: config.vocabSize,
    d_model: config.modelDim,
    d_kv: config.headDim,
    d_ff: config.feedForwardDim,
    num_layers: config.encoderLayers,
    num_decoder_layers: config.decoderLayers,
    num_heads: config.heads,
    relative_attention_num_buckets: config.relativeBuckets,
    dropout_rate: config.dropoutRate,
    layer_norm_epsilon: config.normEpsilon,
    feed_forward_proj: config.gatedGelu ? "gated-gelu" : "relu",
    is_encoder_decoder: true,
    tie_word_embeddings: config.tiedEmbeddings,
    pad_token_id: config.padId,
    eos_token_id: config.eosId,
    decoder_start_token_id: config.decoderStartId,
    encoder_adapter: config.encoderAdapter,
    decoder_adapter: config.decoderAdapter,
    encoder_adapter_dim: config.encoderAdapterDim,
    decoder_adapter_dim: config.decoderAdapterDim,
    hypernetwork_bottleneck: config.hypernetworkBottleneck,
    adapter_norm_input: config.adapterNormInput,
    process_encoder_output: config.processEncoderOutput,
  };
}
