/**
 * Models as they lie in a directory: `config.json`, the weights, and `tokenizer.json` or `spiece.model`.
 *
 * A directory that holds only what adapter training changed has `backbone.json` in place of a tokenizer:
 * the directory of the frozen model beneath, with a fingerprint of its weights. So a checkpoint is a model
 * like any other, and small, and cannot be put on a backbone it was not trained on. Of the weights only
 * descriptions are read here, which are all checked before the first of them is placed.
 */

import { type ModelConfig, parseConfig } from "../../models/config.ts";
import { UserError } from "../errors.ts";
import { parseJsonObject } from "../io/json.ts";
import { checkTokenizerFits, type Tokenizer } from "../text/tokenizer.ts";
import { type BackboneReference, checkBackbone, fingerprint, parseReference } from "./backbone.ts";
import { settleEmbeddings } from "./embeddings.ts";
import { readTokenizer, type TokenizerChoice, tokenizerFile } from "./tokenizer-source.ts";
import { type ModelSource, openWeightFile, weightsFile } from "./weight-files.ts";
import { matchWeights, type WeightFile, type Weights } from "./weights.ts";

/** What was read from a model's directory; the tensors are checked by {@linkcode matchWeights}. */
export interface ModelFiles {
  readonly location: string;
  /** `config.json` as parsed, but for what the tensors decide: whether there is a head of its own. */
  readonly config: Readonly<Record<string, unknown>>;
  /** The text of `config.json`: what is written again keeps what it does not change. */
  readonly configText: string;
  readonly tokenizer: Tokenizer;
  /** The tokenizer's files. */
  readonly tokenizerFiles: Readonly<Record<string, Uint8Array>>;
  /** `generation_config.json` as it is, where there is one: how its publisher has the model generate. */
  readonly generationConfig?: Uint8Array;
  /** Later files override earlier ones. */
  readonly weights: readonly WeightFile[];
  /** How a checkpoint on top of this model refers to it. Reads all weights, once. */
  reference(): Promise<BackboneReference>;
}

/** File names in a model's directory. */
export const modelFile = {
  config: "config.json",
  weights: weightsFile,
  backbone: "backbone.json",
  generationConfig: "generation_config.json",
} as const;

/**
 * Reads a model's directory, and that of its backbone if it refers to one.
 *
 * @param open finds the directory that `backbone.json` names
 * @param choice which tokenizer it is to have, if not that of the directory
 * @throws {UserError} naming the file that is missing or malformed, or a backbone that is another one
 */
export async function readModel(
  source: ModelSource,
  open: (model: string) => ModelSource | Promise<ModelSource>,
  choice: TokenizerChoice = {},
): Promise<ModelFiles> {
  const { location } = source;
  const refuse = (what: string) =>
    new UserError(
      `${location} is not a model: it has no ${what}; a model is a directory with config.json, ` +
        `model.safetensors or pytorch_model.bin, and tokenizer.json or spiece.model`,
    );
  if (!await source.exists(modelFile.config)) {
    throw await otherAdapters(source) ?? refuse(modelFile.config);
  }
  const { bytes: configBytes, json, declared } = await readConfig(source);
  const own = { location, configText: new TextDecoder().decode(configBytes) };
  const weights = await openWeightFile(source);
  if (weights === undefined) throw await otherAdapters(source) ?? refuse("weights");

  const generation = await source.exists(modelFile.generationConfig) &&
    { generationConfig: await source.read(modelFile.generationConfig) };
  if (!await source.exists(modelFile.backbone)) {
    const tokenizer = await readTokenizer(choice.source ?? source, json, choice.rule);
    if (tokenizer === undefined) throw await lacksTokenizer(choice.source ?? source, choice);
    const settled = await settle(json, declared, [weights]);
    return withReference({ ...own, ...settled, ...tokenizer, ...generation });
  }
  const bytes = await source.read(modelFile.backbone);
  const reference = parseReference(bytes, `${location}/${modelFile.backbone}`);
  const backbone = await readModel(await open(reference.model), open, choice);
  checkBackbone(reference, await backbone.reference(), location);
  const settled = await settle(json, declared, [...backbone.weights, weights]);
  return withReference({ ...backbone, ...own, ...settled, ...generation });
}

/** The file that other libraries describe their adapters in. */
const OTHER_ADAPTERS = "adapter_config.json";

/** What to say of a directory that has another library's adapters, PEFT's or AdapterHub's, and no model. */
async function otherAdapters(source: ModelSource): Promise<UserError | undefined> {
  if (!await source.exists(OTHER_ADAPTERS)) return undefined;
  const file = `${source.location}/${OTHER_ADAPTERS}`;
  const fields = parseJsonObject(await source.read(OTHER_ADAPTERS), file);
  const { peft_type: type, base_model_name_or_path: base } = fields;
  return new UserError(
    type === undefined
      ? `${source.location} has adapters of AdapterHub and no model: only the adapters of a ` +
        `Hyperdecoder are read, in its own directory`
      : `${source.location} is a ${type} adapter of PEFT for ${base ?? "a model"}, and no model: ` +
        `merge it into that model there (merge_and_unload), save it, and give its directory`,
  );
}

/**
 * A model's `config.json` as parsed, but for what its tensors decide. Of weights, if there are any, it opens
 * no more than that takes.
 */
export async function readModelConfig(
  source: ModelSource,
): Promise<Readonly<Record<string, unknown>>> {
  const { json, declared } = await readConfig(source);
  const weights = declared.tiedEmbeddings ? await openWeightFile(source) : undefined;
  return weights ? (await settle(json, declared, [weights])).config : json;
}

/** Checks that a model is of a kind that is supported, by its `config.json` alone. @throws {UserError} if not */
export async function checkConfig(source: ModelSource): Promise<void> {
  await readConfig(source);
}

/** `config.json`, and what it declares but for its adapters, which may still be for the command line to say. */
async function readConfig(source: ModelSource) {
  const file = `${source.location}/${modelFile.config}`;
  const bytes = await source.read(modelFile.config);
  const json = parseJsonObject(bytes, file);
  const backbone = { ...json, encoder_adapter: "none", decoder_adapter: "none" };
  return { bytes, json, declared: parseConfig(backbone, file) };
}

/** The configuration with what the tensors decide, and the weights with every matrix under one name. */
async function settle(
  json: Readonly<Record<string, unknown>>,
  declared: ModelConfig,
  files: readonly WeightFile[],
): Promise<Pick<ModelFiles, "config" | "weights">> {
  const { weights, tiedEmbeddings = declared.tiedEmbeddings } = await settleEmbeddings(
    declared,
    files,
  );
  if (tiedEmbeddings === declared.tiedEmbeddings) return { config: json, weights };
  const { scaledOutputs } = declared;
  return {
    config: { ...json, tie_word_embeddings: tiedEmbeddings, scale_decoder_outputs: scaledOutputs },
    weights,
  };
}

/**
 * Holds a model's files against a configuration: that the tokenizer fits, and every tensor.
 *
 * @throws {UserError} naming what does not fit
 */
export function matchModel(
  { tokenizer, weights, location }: ModelFiles,
  config: ModelConfig,
): Weights {
  checkTokenizerFits(tokenizer, config.vocabSize);
  if (tokenizer.padId !== undefined && tokenizer.padId !== config.padId) {
    throw new UserError(
      `${location}: the tokenizer pads with id ${tokenizer.padId}, the model's config.json with ` +
        `pad_token_id ${config.padId}; use the tokenizer that the model was trained with`,
    );
  }
  if (!config.endIds.includes(tokenizer.eosId)) {
    throw new UserError(
      `${location}: the tokenizer ends a sequence with id ${tokenizer.eosId}, ` +
        `the model's config.json with eos_token_id ${
          config.endIds.join(", ")
        }; use the model's own tokenizer.json`,
    );
  }
  return matchWeights(config, weights);
}

/** What lies beside configuration and weights, to be saved with weights that stand alone. */
export function besideWeights(
  { tokenizerFiles, generationConfig }: ModelFiles,
): Record<string, Uint8Array> {
  const generation = generationConfig && { [modelFile.generationConfig]: generationConfig };
  return { ...tokenizerFiles, ...generation };
}

async function lacksTokenizer(
  { location, ...files }: ModelSource,
  { source }: TokenizerChoice,
): Promise<UserError> {
  const described = await files.exists(tokenizerFile.config)
    ? parseJsonObject(await files.read(tokenizerFile.config), `${location}/${tokenizerFile.config}`)
    : {};
  if (String(described.tokenizer_class).startsWith("ByT5")) {
    return new UserError(
      `${location} has a ${described.tokenizer_class}, which reads bytes: ByT5 is not supported`,
    );
  }
  return new UserError(
    `${location} has no tokenizer, neither tokenizer.json nor spiece.model` +
      (source ? "" : `: name a directory or hub id that has the model's with --tokenizer`),
  );
}

function withReference(files: Omit<ModelFiles, "reference">): ModelFiles {
  const identify = async () => {
    const { location, config, weights } = files;
    const own = matchWeights(parseConfig(config, `${location}/${modelFile.config}`), weights);
    return { model: location, fingerprint: await fingerprint(own) };
  };
  let reference: Promise<BackboneReference> | undefined;
  return { ...files, reference: () => reference ??= identify() };
}
