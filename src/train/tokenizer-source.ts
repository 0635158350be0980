/**
 * The tokenizer of a model's directory, of whichever files it lies in.
 *
 * Invariant: what is saved beside a trained model gives the same tokenizer again, to everybody who reads
 * it: the files as they are, or, under a rule that somebody chose, a `tokenizer.json` by that rule.
 */

import { jsonFile, parseJsonObject } from "../io/json.ts";
import { createTokenizer, type Tokenizer } from "../text/tokenizer.ts";
import {
  resolveTokenizer,
  type TokenizerFiles,
  tokenizerJsonFiles,
  type TokenizerRule,
} from "../text/tokenizer-files.ts";
import type { ModelSource } from "./weight-files.ts";

/** The names of a tokenizer's files; the first two are the tokenizer, the others say more of it. */
export const tokenizerFile = {
  tokenizer: "tokenizer.json",
  sentencepiece: "spiece.model",
  config: "tokenizer_config.json",
  specialTokensMap: "special_tokens_map.json",
  addedTokens: "added_tokens.json",
} as const;

/** Forms of the same tokenizer that other programs read, and versions of transformers. */
const OTHER_FORMS = [tokenizerFile.sentencepiece, "vocab.json", "merges.txt"];

/** Which tokenizer a model is to have. */
export interface TokenizerChoice {
  /** Where it lies, if not beside the model's weights. */
  readonly source?: ModelSource;
  /** How its files are read, if not as they call for. */
  readonly rule?: TokenizerRule;
}

/** A tokenizer, and its files as they are saved. */
export interface SourcedTokenizer {
  readonly tokenizer: Tokenizer;
  readonly tokenizerFiles: Readonly<Record<string, Uint8Array>>;
}

/**
 * Reads the tokenizer of a directory.
 *
 * @param model the `config.json` of the model that it is for
 * @returns nothing if there is neither `tokenizer.json` nor `spiece.model`
 * @throws {UserError} naming a file that is malformed, or asks for what is not done here
 */
export async function readTokenizer(
  source: Pick<ModelSource, "location" | "read" | "exists">,
  model: Readonly<Record<string, unknown>>,
  rule?: TokenizerRule,
): Promise<SourcedTokenizer | undefined> {
  const hasJson = await source.exists(tokenizerFile.tokenizer);
  if (!hasJson && !await source.exists(tokenizerFile.sentencepiece)) return undefined;
  const saved: Record<string, Uint8Array> = {};
  const read = async (file: string) => saved[file] = await source.read(file);
  const readJson = async (file: string) =>
    await source.exists(file)
      ? parseJsonObject(await read(file), `${source.location}/${file}`)
      : undefined;

  const files = defined<TokenizerFiles>({
    tokenizer: await readJson(tokenizerFile.tokenizer),
    sentencepiece: hasJson ? undefined : await read(tokenizerFile.sentencepiece),
    config: await readJson(tokenizerFile.config),
    specialTokensMap: await readJson(tokenizerFile.specialTokensMap),
    addedTokens: await readJson(tokenizerFile.addedTokens),
  });
  const { location } = source;
  const resolved = resolveTokenizer(files, { location, model, ...(rule && { rule }) });
  const tokenizer = createTokenizer(resolved.json, resolved.config);
  if (rule === undefined) {
    const others = OTHER_FORMS.filter((file) => !(file in saved));
    for (const file of others) if (await source.exists(file)) await read(file);
    return { tokenizer, tokenizerFiles: saved };
  }
  const { json, config } = tokenizerJsonFiles(resolved, tokenizer);
  return {
    tokenizer,
    tokenizerFiles: {
      [tokenizerFile.tokenizer]: jsonFile(json),
      [tokenizerFile.config]: jsonFile(config),
    },
  };
}

/** An object without what is undefined. */
function defined<T>(values: { readonly [K in keyof T]: T[K] | undefined }): T {
  return Object.fromEntries(
    Object.entries(values).filter(([, value]) => value !== undefined),
  ) as T;
}
