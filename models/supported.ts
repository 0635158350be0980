/**
 * Which configurations describe a model that is computed here, and which fields of them matter.
 *
 * Invariant: a field that changes results is read by `parseConfig`, or refused by name here. What is
 * neither changes nothing in T5: Hugging Face's configurations carry settings of other tasks and other
 * models. A field that nobody knows and that looks like one that matters is taken for a slip of the pen.
 */

import { nearest, UserError } from "../src/errors.ts";

/** The families whose `model_type` is computed here; a file without one is taken for the first. */
export const MODEL_TYPES = ["t5", "mt5"] as const;

/** One of {@linkcode MODEL_TYPES}. */
export type ModelType = typeof MODEL_TYPES[number];

/**
 * The `model_type` under which a T5 with adapters is written: transformers, which would make a backbone of
 * "t5" and leave its adapters out, refuses a type that it does not know. It is read as "t5" is, which the
 * reference writes.
 */
export const ADAPTED_TYPE = "hyperdecoder";

/** Relatives of T5 and other usual ones, with what tells them from it. */
const OTHER_FAMILIES: Readonly<Record<string, string>> = {
  umt5: "UMT5, which has a table of relative positions in every layer",
  longt5: "LongT5, whose encoder attends locally",
  switch_transformers: "Switch Transformers, a mixture of experts",
  t5gemma: "T5Gemma, which is built of Gemma's layers",
  bart: "BART, which has learnt positions, biases and other norms",
  mbart: "mBART, which has learnt positions, biases and other norms",
  pegasus: "Pegasus, which has fixed positions, biases and other norms",
};

/** Fields that are allowed to have this one meaning alone. */
const REFUSED: Readonly<Record<string, { is: (value: unknown) => boolean; why: string }>> = {
  quantization_config: {
    is: isSet,
    why: "quantised weights are not read; save the model in f32, f16 or bf16",
  },
  compression_config: {
    is: isSet,
    why: "compressed weights are not read; save the model in f32, f16 or bf16",
  },
  pruned_heads: { is: isSet, why: "models with heads taken out are not supported" },
  per_layer_config: { is: isSet, why: "layers that differ from one another are not supported" },
  tie_encoder_decoder: {
    is: (value) => value === true,
    why: "stacks that share their weights are not supported",
  },
  is_encoder_decoder: {
    is: (value) => value === false,
    why: "a model needs an encoder and a decoder",
  },
};

/** Architectures in `architectures` that lack a part, or have another one in place of the LM head. */
const OTHER_HEADS =
  /^M?T5(EncoderModel|ForSequenceClassification|ForTokenClassification|ForQuestionAnswering)$/;

/**
 * Fields of T5's configurations in transformers 4 and 5, and in the hub's files, that change nothing in the
 * model: they describe the file, other tasks, other models, or how answers are searched for.
 */
const WITHOUT_EFFECT: ReadonlySet<string> = new Set(
  `_attn_implementation _attn_implementation_autoset _commit_hash _name_or_path adapter_dim adapters
  add_cross_attention architectures
  attn_implementation auto_map bad_words_ids begin_suppress_tokens bos_token_id chunk_size_feed_forward
  classifier_dropout cross_attention_hidden_size decoder_max_length diversity_penalty do_sample dtype
  early_stopping encoder_no_repeat_ngram_size exponential_decay_length_penalty finetuning_task
  forced_bos_token_id forced_eos_token_id gradient_checkpointing id2label initializer_factor
  initializer_range is_decoder label2id length_penalty max_length max_new_tokens min_length min_new_tokens
  model_type n_positions no_repeat_ngram_size num_beam_groups num_beams num_labels
  num_return_sequences output_attentions output_hidden_states output_past output_scores prefix problem_type
  remove_invalid_values repetition_penalty return_dict return_dict_in_generate sep_token_id
  suppress_tokens task_specific_params temperature tf_legacy_loss tokenizer_class top_k top_p torch_dtype
  torchscript transformers_version typical_p use_bfloat16 use_cache xla_device`.split(/\s+/),
);

/**
 * Checks what a configuration says beside the fields that are read.
 *
 * @param fields the parsed `config.json`
 * @param file its name, for errors
 * @param read the names of the fields that are read
 * @returns the family
 * @throws {UserError} naming the family or the field that is not supported
 */
export function checkSupported(
  fields: Readonly<Record<string, unknown>>,
  file: string,
  read: readonly string[],
): ModelType {
  const refuse = (message: string): never => {
    throw new UserError(`${file}: ${message}.`);
  };
  const type = fields.model_type ?? MODEL_TYPES[0];
  const family = type === ADAPTED_TYPE ? "t5" : MODEL_TYPES.find((known) => known === type);
  if (!family) {
    const what = OTHER_FAMILIES[String(type)];
    return refuse(
      `model_type is ${JSON.stringify(type)}${what ? ` (${what})` : ""}, which is not supported; ` +
        `use a model of the T5 or mT5 family, as t5-small, google/flan-t5-base or google/mt5-small`,
    );
  }
  if (String(fields.tokenizer_class ?? "").startsWith("ByT5")) {
    refuse(`it describes a ByT5, which reads bytes, and that tokenizer is not supported`);
  }
  const { architectures } = fields;
  if (Array.isArray(architectures) && architectures.length > 0) {
    if (architectures.every((name) => OTHER_HEADS.test(String(name)))) {
      refuse(`it describes a ${architectures[0]}, where a model that generates text is needed`);
    }
  }
  for (const [name, value] of Object.entries(fields)) {
    const rule = REFUSED[name];
    if (rule?.is(value)) {
      refuse(`the field "${name}" is ${JSON.stringify(value).slice(0, 80)}: ${rule.why}`);
    }
    if (rule || read.includes(name) || WITHOUT_EFFECT.has(name)) continue;
    const meant = misspelt(name, read);
    if (meant) refuse(`the field "${name}" is unknown; if "${meant}" is meant, rename it`);
    if (/adapt[eo]r|hyper_?net/.test(name)) {
      refuse(`the field "${name}" is unknown, and may mean adapters that are not supported`);
    }
  }
  return family;
}

/** The field that an unknown name is probably meant to be. Short names are too near to one another to tell. */
function misspelt(name: string, read: readonly string[]): string | undefined {
  const long = read.filter(({ length }) => length > 4);
  return nearest(name.replace(/\W/g, "_"), long, 6);
}

function isSet(value: unknown): boolean {
  return value !== null && value !== undefined &&
    !(typeof value === "object" && Object.keys(value).length === 0);
}
