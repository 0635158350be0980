/**
 * Models as they lie in a directory: `config.json`, `model.safetensors` and `tokenizer.json`.
 *
 * A directory that holds only what adapter training changed has `backbone.json` in place of a tokenizer:
 * the directory of the frozen model beneath, with the size and SHA-256 of its weights. So a checkpoint is
 * a model like any other, and small, and cannot be put on a backbone it was not trained on.
 */

import type { ModelConfig } from "../../models/config.ts";
import { UserError } from "../errors.ts";
import { readSafetensors } from "../io/safetensors.ts";
import { checkTokenizerFits, createTokenizer, type Tokenizer } from "../text/tokenizer.ts";
import { sha256 } from "./checkpoint.ts";
import { matchWeights, type WeightFile, type Weights } from "./weights.ts";

/** A model's directory, wherever it is. */
export interface ModelSource {
  /** What the user calls it: a path, `miniature`. */
  readonly location: string;
  /** The bytes of a file in it. */
  read(file: string): Promise<Uint8Array>;
  /** Whether it has that file. */
  exists(file: string): Promise<boolean>;
}

/** Which backbone a checkpoint stands on. */
export interface BackboneReference {
  /** Where its directory was. */
  readonly model: string;
  /** Size of its `model.safetensors`. */
  readonly bytes: number;
  /** SHA-256 of its `model.safetensors`, in hexadecimal. */
  readonly sha256: string;
}

/** What was read from a model's directory; the tensors are checked by {@linkcode matchWeights}. */
export interface ModelFiles {
  readonly location: string;
  /** `config.json` as parsed. */
  readonly config: Readonly<Record<string, unknown>>;
  readonly tokenizer: Tokenizer;
  /** The tokenizer's files, to be saved beside weights that stand alone. */
  readonly tokenizerFiles: Readonly<Record<string, Uint8Array>>;
  /** Later files override earlier ones. */
  readonly weights: readonly WeightFile[];
  /** How a checkpoint on top of this model refers to it. */
  readonly reference: BackboneReference;
}

/** File names in a model's directory. */
export const modelFile = {
  config: "config.json",
  weights: "model.safetensors",
  tokenizer: "tokenizer.json",
  tokenizerConfig: "tokenizer_config.json",
  backbone: "backbone.json",
} as const;

/**
 * Reads a model's directory, and that of its backbone if it refers to one.
 *
 * @param open finds the directory that `backbone.json` names
 * @throws {UserError} naming the file that is missing or malformed, or a backbone that is another one
 */
export async function readModel(
  source: ModelSource,
  open: (model: string) => ModelSource,
): Promise<ModelFiles> {
  const { location } = source;
  for (const file of [modelFile.config, modelFile.weights]) {
    if (!await source.exists(file)) {
      throw new UserError(
        `${location} is not a model: it has no ${file}; a model is a directory with config.json, ` +
          `model.safetensors and tokenizer.json`,
      );
    }
  }
  const config = parseObject(
    await source.read(modelFile.config),
    `${location}/${modelFile.config}`,
  );
  const weights = await source.read(modelFile.weights);
  const name = `${location}/${modelFile.weights}`;
  const own = {
    location,
    config,
    weights: [{ name, tensors: readSafetensors(weights, name) }],
    reference: { model: location, bytes: weights.length, sha256: await sha256(weights) },
  };
  if (!await source.exists(modelFile.backbone)) return { ...own, ...await readTokenizer(source) };

  const bytes = await source.read(modelFile.backbone);
  const reference = parseReference(bytes, `${location}/${modelFile.backbone}`);
  const backbone = await readModel(open(reference.model), open);
  checkBackbone(reference, backbone, location);
  return { ...backbone, ...own, weights: [...backbone.weights, ...own.weights] };
}

/** Reads a `backbone.json`; `file` is its name, for errors. */
export function parseReference(bytes: Uint8Array, file: string): BackboneReference {
  const { model, bytes: size, sha256 } = parseObject(bytes, file);
  if (typeof model !== "string" || typeof size !== "number" || typeof sha256 !== "string") {
    throw new UserError(`${file} must name a model with the bytes and sha256 of its weights`);
  }
  return { model, bytes: size, sha256 };
}

/** Checks that a checkpoint stands on this very model. @throws {UserError} if the weights differ */
export function checkBackbone(
  expected: BackboneReference,
  { reference }: ModelFiles,
  checkpoint: string,
): void {
  if (reference.sha256 === expected.sha256) return;
  throw new UserError(
    `${checkpoint} was trained on other weights than ${reference.model}/${modelFile.weights} holds ` +
      `(${reference.bytes} bytes, SHA-256 ${reference.sha256}): it needs those of ${expected.bytes} ` +
      `bytes, SHA-256 ${expected.sha256}`,
  );
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
  if (tokenizer.eosId !== config.eosId) {
    throw new UserError(
      `${location}: the tokenizer ends a sequence with id ${tokenizer.eosId}, ` +
        `the model's config.json with eos_token_id ${config.eosId}; use the model's own tokenizer.json`,
    );
  }
  return matchWeights(config, weights);
}

async function readTokenizer(source: ModelSource) {
  const tokenizerFiles: Record<string, Uint8Array> = {};
  const read = async (file: string) => {
    tokenizerFiles[file] = await source.read(file);
    return parseObject(tokenizerFiles[file], `${source.location}/${file}`);
  };
  const json = await read(modelFile.tokenizer);
  const hasConfig = await source.exists(modelFile.tokenizerConfig);
  const tokenizer = createTokenizer(json, hasConfig ? await read(modelFile.tokenizerConfig) : {});
  return { tokenizer, tokenizerFiles };
}

function parseObject(bytes: Uint8Array, file: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder().decode(bytes));
  } catch (error) {
    const reason = (error as Error).message.replace(/\s+/g, " ");
    throw new UserError(`${file} is not valid JSON: ${reason}`);
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new UserError(`${file} must hold a JSON object`);
  }
  return value as Record<string, unknown>;
}
