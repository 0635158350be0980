/**
 * The model's configuration, under the names of Hugging Face's `config.json` for T5 plus the adapter
 * fields of the reference implementation.
 */

import { suggestion, UserError } from "../src/errors.ts";
import { checkSupported, type ModelType } from "./supported.ts";
import {
  type Activation,
  type FeedForwardFields,
  feedForwardOf,
  formatFeedForward,
  headOf,
  type Refuse,
} from "./transformers-fields.ts";

export type { Activation, ModelType };

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

/** Everything that decides what a Hyperdecoder computes. */
export interface ModelConfig extends FeedForwardFields {
  /** The family, whose defaults differ. */
  readonly modelType: ModelType;
  readonly vocabSize: number;
  readonly modelDim: number;
  /** Size of one attention head; heads × headDim need not be modelDim. */
  readonly headDim: number;
  readonly heads: number;
  readonly feedForwardDim: number;
  readonly encoderLayers: number;
  readonly decoderLayers: number;
  readonly relativeBuckets: number;
  /** From this distance on, all relative positions share a bucket. */
  readonly maxDistance: number;
  readonly dropoutRate: number;
  readonly normEpsilon: number;
  /**
   * Whether the LM head is the matrix of the embeddings. Not what `config.json` says counts where the
   * tensors are known, but whether they have a head of their own.
   */
  readonly tiedEmbeddings: boolean;
  /** Whether the decoder's output is multiplied by modelDim^-½ before the head, as in T5 1.0. */
  readonly scaledOutputs: boolean;
  readonly padId: number;
  /** The first of `endIds`. */
  readonly eosId: number;
  /** The tokens that end an answer. */
  readonly endIds: readonly number[];
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

/** Fields that a T5 without adapters does not have. */
export const ADAPTER_FIELDS = [
  "encoder_adapter",
  "decoder_adapter",
  "encoder_adapter_dim",
  "decoder_adapter_dim",
  "hypernetwork_bottleneck",
  "adapter_norm_input",
  "process_encoder_output",
  "tasks",
] as const;

/** The fields that are read, by the names under which they are written. */
const FIELDS = [
  "vocab_size",
  "d_model",
  "d_kv",
  "d_ff",
  "num_heads",
  "num_layers",
  "num_decoder_layers",
  "feed_forward_proj",
  "dense_act_fn",
  "is_gated_act",
  "relative_attention_num_buckets",
  "relative_attention_max_distance",
  "dropout_rate",
  "layer_norm_epsilon",
  "tie_word_embeddings",
  "scale_decoder_outputs",
  "pad_token_id",
  "eos_token_id",
  "decoder_start_token_id",
  ...ADAPTER_FIELDS,
] as const;

/** Other names that transformers knows some of them by. */
const SYNONYMS: Readonly<Record<string, string>> = {
  d_model: "hidden_size",
  d_kv: "head_dim",
  num_heads: "num_attention_heads",
  num_layers: "num_hidden_layers",
};

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
  const modelType = checkSupported(fields, file, [...FIELDS, ...Object.values(SYNONYMS)]);
  const refuse = (message: string): never => {
    throw new UserError(`${file}: ${message}.`);
  };
  const valueOf = (name: string): unknown => {
    const value = fields[name] ?? undefined;
    const synonym = SYNONYMS[name], other = (synonym && fields[synonym]) ?? undefined;
    if (value !== undefined && other !== undefined && value !== other) {
      refuse(`"${name}" is ${value} and "${synonym}", which means the same, is ${other}`);
    }
    return value ?? other;
  };
  const field = <T>(name: string, type: "number" | "boolean" | "string", fallback?: T): T => {
    const value = valueOf(name) ?? fallback;
    const found: string = typeof value;
    if (found !== type) {
      const problem = value === undefined ? "is missing" : `must be a ${type}`;
      refuse(`the field "${name}" ${problem}`);
    }
    return value as T;
  };
  const size = (name: string, fallback?: number): number => {
    const value = field<number>(name, "number", fallback);
    if (Number.isInteger(value) && value >= 1) return value;
    return refuse(`the field "${name}" must be a positive integer, not ${value}`);
  };
  const vocabSize = size("vocab_size");
  const token = (name: string, value: unknown): number => {
    if (Number.isInteger(value) && Number(value) >= 0 && Number(value) < vocabSize) {
      return Number(value);
    }
    return refuse(`"${name}" is ${JSON.stringify(value)}, no id below the vocab_size ${vocabSize}`);
  };
  const adapter = (name: string): AdapterMode => {
    const value = field<string>(name, "string", "none");
    const mode = ADAPTER_MODES.find((mode) => mode === value);
    return mode ?? refuse(
      `"${name}" is "${value}", which is not supported; use one of ` +
        `${ADAPTER_MODES.join(", ")}${suggestion(value, ADAPTER_MODES)}`,
    );
  };
  const tasks = fields.tasks ?? [];
  if (!Array.isArray(tasks) || tasks.some((task) => typeof task !== "string")) {
    return refuse(`the field "tasks" must be a list of names`);
  }
  const encoderLayers = size("num_layers");
  const padId = token("pad_token_id", valueOf("pad_token_id") ?? 0);
  const ends = valueOf("eos_token_id") ?? 1;
  const endIds = (Array.isArray(ends) ? ends : [ends]).map((id) => token("eos_token_id", id));
  if (endIds.length === 0) refuse(`the field "eos_token_id" names no token`);
  const config: ModelConfig = {
    modelType,
    vocabSize,
    modelDim: size("d_model"),
    headDim: size("d_kv"),
    heads: size("num_heads"),
    feedForwardDim: size("d_ff"),
    ...feedForwardOf(modelType, field, refuse),
    encoderLayers,
    decoderLayers: size("num_decoder_layers", encoderLayers),
    relativeBuckets: size("relative_attention_num_buckets", 32),
    maxDistance: size("relative_attention_max_distance", 128),
    dropoutRate: field("dropout_rate", "number", 0.1),
    normEpsilon: field("layer_norm_epsilon", "number", 1e-6),
    ...headOf(modelType, fields, field),
    padId,
    eosId: endIds[0],
    endIds,
    decoderStartId: token("decoder_start_token_id", valueOf("decoder_start_token_id") ?? padId),
    encoderAdapter: adapter("encoder_adapter"),
    decoderAdapter: adapter("decoder_adapter"),
    encoderAdapterDim: size("encoder_adapter_dim", 64),
    decoderAdapterDim: size("decoder_adapter_dim", 64),
    hypernetworkBottleneck: size("hypernetwork_bottleneck", 128),
    adapterNormInput: field("adapter_norm_input", "boolean", false),
    processEncoderOutput: field("process_encoder_output", "boolean", true),
    tasks,
  };
  checkPositions(config, refuse);
  if (needsTasks(config) && tasks.length === 0) {
    refuse(`its adapters depend on the task, but "tasks" names none`);
  }
  if (new Set(tasks).size < tasks.length) refuse(`the field "tasks" names a task twice`);
  return config;
}

/** Relative positions that cannot be shared out among so many buckets make no sense in transformers either. */
function checkPositions({ relativeBuckets, maxDistance }: ModelConfig, refuse: Refuse): void {
  if (relativeBuckets < 4 || relativeBuckets % 2 !== 0) {
    refuse(
      `"relative_attention_num_buckets" is ${relativeBuckets}: it must be even, and 4 or more`,
    );
  }
  if (maxDistance <= relativeBuckets / 2) {
    refuse(
      `"relative_attention_max_distance" is ${maxDistance}: it must be more than half of the ` +
        `${relativeBuckets} "relative_attention_num_buckets"`,
    );
  }
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

/** Whether either stack has adapters. */
export function isAdapted({ encoderAdapter, decoderAdapter }: ModelConfig): boolean {
  return encoderAdapter !== "none" || decoderAdapter !== "none";
}

/**
 * Whether transformers has no model of its own for this one: none has adapters, and none of those of
 * transformers 4 scales what goes into a head of its own.
 */
export function needsOwnCode(config: ModelConfig): boolean {
  return isAdapted(config) || (config.scaledOutputs && !config.tiedEmbeddings);
}

/** The `config.json` that `parseConfig` reads back as the same configuration. */
export function formatConfig(config: ModelConfig): Record<string, unknown> {
  return {
    model_type: config.modelType,
    vocab_size: config.vocabSize,
    d_model: config.modelDim,
    d_kv: config.headDim,
    d_ff: config.feedForwardDim,
    num_layers: config.encoderLayers,
    num_decoder_layers: config.decoderLayers,
    num_heads: config.heads,
    relative_attention_num_buckets: config.relativeBuckets,
    relative_attention_max_distance: config.maxDistance,
    dropout_rate: config.dropoutRate,
    layer_norm_epsilon: config.normEpsilon,
    ...formatFeedForward(config),
    is_encoder_decoder: true,
    tie_word_embeddings: config.tiedEmbeddings,
    scale_decoder_outputs: config.scaledOutputs,
    pad_token_id: config.padId,
    eos_token_id: config.endIds.length > 1 ? config.endIds : config.eosId,
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
