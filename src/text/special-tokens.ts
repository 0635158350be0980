/**
 * Which tokens stand apart from a tokenizer's model: those of `tokenizer.json`, and those that
 * `tokenizer_config.json`, `special_tokens_map.json` and `added_tokens.json` add or change.
 *
 * Invariant: they are those of transformers 5, in its order, which gives new ones their ids.
 */

import type { TokenizerFiles, TokenizerRule } from "./tokenizer-files.ts";
import type { AddedToken, TokenizerJson } from "./tokenizer-json.ts";

type Json = Readonly<Record<string, unknown>>;

/** A token in a file: its text, or all of it. */
type Written = string | Partial<AddedToken> & { readonly content: string };

/** Tokens that a class has though no file names them. */
export interface Defaults {
  readonly names?: Readonly<Record<string, string>>;
  readonly sentinels?: number;
}

const NAMES = [
  "bos_token",
  "eos_token",
  "unk_token",
  "sep_token",
  "pad_token",
  "cls_token",
  "mask_token",
] as const;

/**
 * All added tokens, in order.
 *
 * @param vocabSize the most ids there may be: default sentinels beyond it are left out, as no text that
 * the model was trained on can have had them
 */
export function gatherTokens(
  base: TokenizerJson,
  { tokenizer, config = {}, specialTokensMap = {}, addedTokens }: TokenizerFiles,
  { defaults, vocabSize, rule }: {
    defaults: Defaults;
    vocabSize: number | undefined;
    rule: TokenizerRule;
  },
): AddedToken[] {
  const hasDecoder = config.added_tokens_decoder !== undefined;
  const settings = settingsOf({ config, specialTokensMap });
  const extra = extraTokens(settings);
  const named = [
    ...NAMES.map((name) => settings[name] ?? defaults.names?.[name]),
    ...Object.keys(settings).filter((key) => /_token$/.test(key) && !NAMES.includes(key as never))
      .map((key) => settings[key]),
  ].filter(isWritten);

  const tokens = new Map<string, AddedToken>();
  const add = (token: AddedToken) => tokens.set(token.content, token);
  for (const token of base.added_tokens ?? []) add(complete(token));
  const decoder = hasDecoder
    ? Object.entries(config.added_tokens_decoder as Record<string, Written>)
      .map(([id, token]) => [Number(id), complete(token)] as const)
    // Of an older file's additional tokens, version 5 leaves open that they are special.
    : legacyDecoder(addedTokens, tokenizer, [
      ...named,
      ...(rule === "file" ? extra : extraTokens(config)).tokens,
    ]);
  for (const [, token] of decoder.toSorted(([a], [b]) => a - b)) add(token);
  for (const token of [...named, ...extra.tokens]) {
    const whole = special(token);
    if (!tokens.has(whole.content)) add(whole);
  }

  const pieces = knownPieces(base);
  const fresh = [...tokens.keys()].filter((content) => !pieces.has(content)).length;
  const sentinels = extra.isGiven ? [] : Array.from(
    { length: defaults.sentinels ?? 0 },
    (_, i) => `<extra_id_${i}>`,
  ).filter((content) => !tokens.has(content));
  const more = sentinels.filter((content) => !pieces.has(content)).length;
  const fits = pieces.size + fresh + more <= (vocabSize ?? Infinity);
  for (const content of sentinels) if (fits || pieces.has(content)) add(special(content));
  return [...tokens.values()];
}

/** `tokenizer_config.json`, and what an older file beside it names, unless that is in it. */
export function settingsOf(
  { config = {}, specialTokensMap }: Pick<TokenizerFiles, "config" | "specialTokensMap">,
): Json {
  return config.added_tokens_decoder !== undefined ? config : { ...config, ...specialTokensMap };
}

/** The tokens of `extra_special_tokens`, or of its older name. */
function extraTokens(settings: Json): { tokens: Written[]; isGiven: boolean } {
  const { extra_special_tokens: now, additional_special_tokens: before } = settings;
  const isEmpty = !now || Object.keys(now).length === 0;
  const given = isEmpty ? before : now;
  if (!given) return { tokens: [], isGiven: false };
  const tokens = Object.values(given as object).filter(isWritten);
  return { tokens, isGiven: tokens.length > 0 };
}

/** Before `tokenizer_config.json` listed them, added tokens lay in two other files. */
function legacyDecoder(
  addedTokens: Json | undefined,
  tokenizer: Json | undefined,
  specials: readonly Written[],
): (readonly [id: number, token: AddedToken])[] {
  const decoder = new Map<number, AddedToken>();
  const isSpecial = new Set(specials.map((token) => complete(token).content));
  for (const [content, id] of Object.entries(addedTokens ?? {})) {
    const special = isSpecial.has(content);
    decoder.set(id as number, { ...complete(content), normalized: !special, special });
  }
  for (const token of (tokenizer?.added_tokens ?? []) as (AddedToken & { id: number })[]) {
    decoder.set(token.id, complete(token));
  }
  return [...decoder];
}

function isWritten(token: unknown): token is Written {
  return typeof token === "string" ||
    typeof (token as { content?: unknown } | null)?.content === "string";
}

/** A token with all that its file leaves out. */
function complete(token: Written): AddedToken {
  const given: Partial<AddedToken> = typeof token === "string" ? { content: token } : token;
  const { content, single_word, lstrip, rstrip, special = false, normalized = !special } = given;
  return {
    content: content!,
    single_word: single_word ?? false,
    lstrip: lstrip ?? false,
    rstrip: rstrip ?? false,
    normalized,
    special,
  };
}

function special(token: Written): AddedToken {
  return complete(
    typeof token === "string" ? { content: token, special: true } : { ...token, special: true },
  );
}

function knownPieces({ model: { vocab } }: TokenizerJson): Set<string> {
  return new Set(Array.isArray(vocab) ? vocab.map(([piece]) => piece) : Object.keys(vocab));
}
