/**
 * The fields of `generation_config.json`: what each means here, which are not supported, and which have no
 * effect on what is generated. Those of transformers 4.57 and 5.
 */

import { UserError } from "../errors.ts";

/** A file that is being read, and what has come of it. */
export interface Field {
  readonly fields: Readonly<Record<string, unknown>>;
  readonly file: string;
  readonly options: Record<string, unknown>;
  readonly sampling: Record<string, unknown>;
}

type Read = (field: Field, name: string) => void;

/** By name, how a field that is there is taken over. */
export const fieldReaders: Readonly<Record<string, Read>> = {
  // The newer two win over the older.
  max_length: option("maxLength", whole(1)),
  max_new_tokens: option("maxLength", (value, ...at) => whole(1)(value, ...at) + 1),
  min_length: option("minLength", whole(0)),
  min_new_tokens: option("minLength", (value, ...at) => whole(0)(value, ...at) + 1),
  num_beams: option("beams", whole(1)),
  length_penalty: option("lengthPenalty", number()),
  early_stopping: option(
    "earlyStopping",
    (value, ...at) => value === "never" ? value : truth(value, ...at),
  ),
  num_return_sequences: option("outputs", whole(1)),
  no_repeat_ngram_size: option("noRepeatNgram", whole(0)),
  encoder_no_repeat_ngram_size: option("sourceNgram", whole(0)),
  repetition_penalty: option("repetitionPenalty", number(0)),
  encoder_repetition_penalty: option("sourcePenalty", number(0)),
  bad_words_ids: option(
    "badWords",
    (value, ...at) =>
      list(value, ...at).map((word) => list(word, ...at).map((id) => whole(0)(id, ...at))),
  ),
  suppress_tokens: option("suppressTokens", ids),
  begin_suppress_tokens: option("beginSuppressTokens", ids),
  forced_bos_token_id: option("forcedBos", whole(0)),
  forced_eos_token_id: option("forcedEos", ids),
  eos_token_id: option("endIds", ids),
  decoder_start_token_id: option("startId", whole(0)),
  renormalize_logits: option("renormalize", truth),
  remove_invalid_values: option("removeInvalid", truth),
  exponential_decay_length_penalty: option("lengthDecay", (value, ...at) => {
    const [start, factor] = list(value, ...at);
    return { start: whole(0)(start, ...at), factor: number(0)(factor, ...at) };
  }),
  do_sample: ({ fields, file }, name) => void truth(fields[name], file, name),
  // Whether they can be is asked once tokens are drawn.
  temperature: drawn("temperature", number()),
  top_k: drawn("topK", whole(0)),
  top_p: drawn("topP", number()),
};

/** Fields that change what is generated in ways that are not done here, once they are set to something. */
export const UNSUPPORTED: readonly {
  readonly field: string;
  readonly isSet: (value: unknown) => boolean;
  readonly belongsTo: "all" | "sampling" | "beams" | "greedy";
}[] = [
  { field: "sequence_bias", isSet: notEmpty, belongsTo: "all" },
  { field: "guidance_scale", isSet: (value) => value !== 1, belongsTo: "all" },
  { field: "watermarking_config", isSet: () => true, belongsTo: "all" },
  { field: "constraints", isSet: notEmpty, belongsTo: "all" },
  { field: "force_words_ids", isSet: notEmpty, belongsTo: "all" },
  { field: "stop_strings", isSet: notEmpty, belongsTo: "all" },
  { field: "max_time", isSet: () => true, belongsTo: "all" },
  { field: "token_healing", isSet: (value) => value === true, belongsTo: "all" },
  { field: "dola_layers", isSet: () => true, belongsTo: "all" },
  { field: "num_beam_groups", isSet: (value) => value !== 1, belongsTo: "beams" },
  { field: "diversity_penalty", isSet: (value) => value !== 0, belongsTo: "beams" },
  { field: "penalty_alpha", isSet: (value) => Number(value) > 0, belongsTo: "greedy" },
  { field: "min_p", isSet: (value) => value !== 0, belongsTo: "sampling" },
  { field: "top_h", isSet: () => true, belongsTo: "sampling" },
  { field: "typical_p", isSet: (value) => Number(value) < 1, belongsTo: "sampling" },
  { field: "epsilon_cutoff", isSet: (value) => value !== 0, belongsTo: "sampling" },
  { field: "eta_cutoff", isSet: (value) => value !== 0, belongsTo: "sampling" },
];

/** Fields about speed, memory, form of the output, or drafts that are checked before they count. */
export const WITHOUT_EFFECT: readonly string[] = [
  // Rows that have ended are padded, which nobody reads; what starts a sequence is decoder_start_token_id.
  "pad_token_id",
  "bos_token_id",
  "use_cache",
  "cache_implementation",
  "cache_config",
  "max_cache_len",
  "low_memory",
  "prefill_chunk_size",
  "compile_config",
  "disable_compile",
  "continuous_batching_config",
  "output_attentions",
  "output_hidden_states",
  "output_scores",
  "output_logits",
  "return_dict_in_generate",
  "is_assistant",
  "num_assistant_tokens",
  "num_assistant_tokens_schedule",
  "assistant_confidence_threshold",
  "assistant_early_exit",
  "assistant_lookbehind",
  "target_lookbehind",
  "assistant_ensemble_weight",
  "speculation_type",
  "use_mtp",
  "prompt_lookup_num_tokens",
  "max_matching_ngram_size",
  "transformers_version",
  "_from_model_config",
  "_commit_hash",
];

type Value<T> = (value: unknown, file: string, name: string) => T;

function option<T>(key: string, value: Value<T>): Read {
  return ({ fields, file, options }, name) => options[key] = value(fields[name], file, name);
}

function drawn<T>(key: string, value: Value<T>): Read {
  return ({ fields, file, sampling }, name) => sampling[key] = value(fields[name], file, name);
}

function refuse(file: string, name: string, value: unknown, expected: string): never {
  throw new UserError(`${file}: "${name}" is ${JSON.stringify(value)}, but must be ${expected}`);
}

function whole(least: number): Value<number> {
  return (value, file, name) =>
    Number.isSafeInteger(value) && Number(value) >= least
      ? Number(value)
      : refuse(file, name, value, `a whole number from ${least} on`);
}

function number(above = -Infinity): Value<number> {
  return (value, file, name) =>
    typeof value === "number" && value > above
      ? value
      : refuse(file, name, value, above === 0 ? "a number above 0" : "a number");
}

function truth(value: unknown, file: string, name: string): boolean {
  return typeof value === "boolean" ? value : refuse(file, name, value, "true or false");
}

function list(value: unknown, file: string, name: string): unknown[] {
  return Array.isArray(value) ? value : refuse(file, name, value, "a list");
}

/** One id, or a list of them. */
function ids(value: unknown, file: string, name: string): number[] {
  return [value].flat().map((id) => whole(0)(id, file, name));
}

function notEmpty(value: unknown): boolean {
  return typeof value !== "object" || Object.keys(value as object).length > 0;
}
