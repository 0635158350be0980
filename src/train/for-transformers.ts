/**
 * What makes an export load in transformers, and answer there as it does here.
 *
 * A T5 without adapters is one of transformers' own and needs nothing. What is not brings its model along,
 * `modeling_hyperdecoder.py`, under a `model_type` that transformers does not know: without leave to run
 * that file it refuses the directory, instead of making a backbone of it.
 */

import { ADAPTER_FIELDS, type ModelConfig, needsOwnCode } from "../../models/config.ts";
import { ADAPTED_TYPE } from "../../models/supported.ts";
import modelCode from "../../models/modeling_hyperdecoder.py" with { type: "text" };
import { jsonFile, parseJsonObject } from "../io/json.ts";
import type { ModelFiles } from "./model-files.ts";
import { tokenizerFile } from "./tokenizer-source.ts";
import type { TrainedModel } from "./trained-model.ts";

const MODULE = "modeling_hyperdecoder";

/** What of `config.json` is for transformers; `undefined` for what is to be left out. */
export function transformersFields(config: ModelConfig): Record<string, unknown> {
  if (needsOwnCode(config)) {
    return {
      model_type: ADAPTED_TYPE,
      architectures: ["HyperdecoderForConditionalGeneration"],
      tasks: config.tasks.length > 0 ? config.tasks : undefined,
      auto_map: {
        AutoConfig: `${MODULE}.HyperdecoderConfig`,
        AutoModelForSeq2SeqLM: `${MODULE}.HyperdecoderForConditionalGeneration`,
      },
    };
  }
  // The mT5 of transformers 5 scales no outputs; but for that it is a T5.
  const isMt5 = config.modelType === "mt5" && !config.scaledOutputs;
  return {
    ...Object.fromEntries(ADAPTER_FIELDS.map((name) => [name, undefined])),
    model_type: isMt5 ? "mt5" : "t5",
    architectures: [`${isMt5 ? "M" : ""}T5ForConditionalGeneration`],
  };
}

/**
 * Files that a model needs beside its own. The class of the tokenizer, which transformers otherwise knows by
 * `model_type`, gives way to what the model came with.
 */
export function transformersFiles({ config, files }: TrainedModel): Record<string, Uint8Array> {
  if (!needsOwnCode(config)) return {};
  return {
    [tokenizerFile.config]: jsonFile(defaultTokenizer(files)),
    [`${MODULE}.py`]: new TextEncoder().encode(modelCode),
  };
}

/** The class of a tokenizer that says none: T5's, which transformers 5 builds anew, is Unigram's alone. */
function defaultTokenizer({ tokenizerFiles, tokenizer, location }: ModelFiles): object {
  const bytes = tokenizerFiles[tokenizerFile.tokenizer];
  if (!bytes) return { tokenizer_class: "T5Tokenizer" };
  const json = parseJsonObject(bytes, `${location}/${tokenizerFile.tokenizer}`);
  const { model, added_tokens: added } = json as {
    model: { type?: string };
    added_tokens: { id: number; content: string }[];
  };
  if (model.type === "Unigram") return { tokenizer_class: "T5Tokenizer" };
  return {
    tokenizer_class: "PreTrainedTokenizerFast",
    model_input_names: ["input_ids", "attention_mask"], // a T5 has no types of tokens
    pad_token: added.find(({ id }) => id === tokenizer.padId)?.content,
    eos_token: added.find(({ id }) => id === tokenizer.eosId)?.content,
  };
}

/**
 * The model with a head of its own where transformers 4 would misread one that is tied: it takes tied
 * embeddings for a sign that outputs are scaled, which in transformers 5 are two things.
 */
export function withUnmistakenHead(model: TrainedModel): TrainedModel {
  const { config, weights } = model;
  if (!config.tiedEmbeddings || config.scaledOutputs) return model;
  return {
    ...model,
    config: { ...config, tiedEmbeddings: false },
    weights: new Map([...weights, ["lm_head.weight", weights.get("shared.weight")!]]),
  };
}
