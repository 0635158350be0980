/**
 * The model's configuration, under the names of Hugging Face's `config.json` for T5 plus the adapter
 * fields of the reference implementation.
 */

import { suggestion, UserError } from "../src/errors.ts";

/**
 * Where a stack's adapter weights come from.
 *
 * - `none`: the stack has no adapters.
 * - `manual`: one adapter per layer, learnt directly.
 * - `manual_specific`: one adapter per layer and task, learnt directly.
 * - `task`: a hypernetwork generates them from an embedding of the task.
 * - `generated`: a hypernetwork generates them from the instance itself.
 */
export type AdapterMode = "none" | "manual" | "manual_specific" | "task" | "generated";

/** All of them, in the order of their generality. */
export const ADAPTER_MODES: readonly AdapterMode[] = [
  "none",
  "manual",
  "manual_specific",
  "task",
  "generated",
];

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
  /** Names of the tasks; a task's index is its place here. Empty where no adapter depends on it. */
  readonly tasks: readonly string[];
}

/** One of the two stacks. */
export type Side = "encoder" | "decoder";

/** What a configuration says of one stack. */
export function stackOf(config: ModelConfig, side: Side) {
  return side === "encoder"
    ? {
      layers: config.encoderLayers,
      mode: config.encoderAdapter,
      adapterDim: config.encoderAdapterDim,
    }
    : {
      layers: config.decoderLayers,
      mode: config.decoderAdapter,
      adapterDim: config.decoderAdapterDim,
    };
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
  const tasks = fields.tasks ?? [];
  if (!Array.isArray(tasks) || tasks.some((task) => typeof task !== "string")) {
    throw new UserError(`${file}: the field "tasks" must be a list of names.`);
  }
  const projection = field<string>("feed_forward_proj", "string", "relu");
  if (projection !== "relu" && projection !== "gated-gelu") {
    throw new UserError(`${file}: feed_forward_proj "${projection}" must be relu or gated-gelu.`);
  }
  const encoderLayers = size("num_layers");
  const config: ModelConfig = {
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
    encoderAdapter: adapter("encoder_adapter"),
    decoderAdapter: adapter("decoder_adapter"),
    encoderAdapterDim: size("encoder_adapter_dim", 64),
    decoderAdapterDim: size("decoder_adapter_dim", 64),
    hypernetworkBottleneck: size("hypernetwork_bottleneck", 128),
    adapterNormInput: field("adapter_norm_input", "boolean", false),
    processEncoderOutput: field("process_encoder_output", "boolean", true),
    tasks,
  };
  if (needsTasks(config) && tasks.length === 0) {
    throw new UserError(`${file}: its adapters depend on the task, but "tasks" names none.`);
  }
  if (new Set(tasks).size < tasks.length) {
    throw new UserError(`${file}: the field "tasks" names a task twice.`);
  }
  return config;
}

/** Whether a stack has adapters that depend on the task of a row. */
export function needsTasks({ encoderAdapter, decoderAdapter }: ModelConfig): boolean {
  const depends = (mode: AdapterMode) => mode === "task" || mode === "manual_specific";
  return depends(encoderAdapter) || depends(decoderAdapter);
}

/**
 * Each row's task as its place in the model's list.
 *
 * @param tasks by row
 * @throws {UserError} for a task that the model was not made for
 */
export function taskIndices({ tasks: known }: ModelConfig, tasks: readonly string[]): Int32Array {
  return Int32Array.from(tasks, (task) => {
    const index = known.indexOf(task);
    if (index >= 0) return index;
    throw new UserError(
      `the model has no adapter for the task "${task}"${
        suggestion(task, known)
      }: it has them for ` +
        known.join(", "),
    );
  });
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
    ...(config.tasks.length > 0 && { tasks: config.tasks }),
  };
}
