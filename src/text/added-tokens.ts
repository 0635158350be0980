/**
 * Texts that are one token wherever they stand, whatever the model would make of them: sentinels, `</s>`,
 * and what users added.
 *
 * Invariant: they are found as the `tokenizers` package for Python finds them. First those that are not
 * normalised, in the text as it is; then the others, as they read when normalised, in what is left
 * when that is normalised. Of several that begin at one place it is the longest.
 */

import type { Normalize } from "./normalizers.ts";
import type { AddedToken } from "./tokenizer-json.ts";

/** A stretch of text that a token was found in, or that is left. */
export interface Section {
  readonly text: string;
  /** Where in the text that was searched it begins, in UTF-16 units. */
  readonly begin: number;
  /** The token's id. */
  readonly id?: number;
}

/** An added token with its id. */
export interface NumberedToken extends AddedToken {
  readonly id: number;
}

/**
 * Gives tokens their ids: that which the model's vocabulary has for the text, or else the next free one.
 * A token of the same content takes an earlier one's place.
 */
export function numberTokens(
  tokens: readonly AddedToken[],
  idOf: (text: string) => number | undefined,
  modelSize: number,
): NumberedToken[] {
  const numbered = new Map<string, NumberedToken>();
  let next = modelSize;
  for (const token of tokens) {
    if (token.content === "") continue;
    const id = numbered.get(token.content)?.id ?? idOf(token.content) ?? next++;
    numbered.set(token.content, { ...token, id });
  }
  return [...numbered.values()];
}

/** Cuts a text at the tokens that are found in it. */
export type Finder = (text: string) => Section[];

/** How special tokens are found. */
export interface FinderOptions {
  /** They are text as any other: `split_special_tokens`. */
  readonly splitsSpecial: boolean;
}

/** A search for tokens as they are written. */
export function plainFinder(tokens: readonly NumberedToken[], options: FinderOptions): Finder {
  return finder(new Map(tokens.filter((t) => !t.normalized).map((t) => [t.content, t])), options);
}

/** A search in normalised text for tokens as they read when normalised. */
export function normalizedFinder(
  tokens: readonly NumberedToken[],
  normalize: Normalize,
  options: FinderOptions,
): Finder {
  const byContent = new Map<string, NumberedToken>();
  for (const token of tokens) {
    const content = normalize(token.content);
    if (token.normalized && !byContent.has(content)) byContent.set(content, token);
  }
  return finder(byContent, options);
}

const WORD = /^[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}]$/u;
const WHITE_SPACE = /\p{White_Space}/u;

/** Whether a word's character stands before a place, or (`side` 1) after it. */
function isInWord(text: string, place: number, side: -1 | 1): boolean {
  const character = side > 0
    ? String.fromCodePoint(text.codePointAt(place) ?? 0)
    : [...text.slice(Math.max(0, place - 2), place)].at(-1) ?? "";
  return WORD.test(character);
}

function finder(
  tokens: ReadonlyMap<string, NumberedToken>,
  { splitsSpecial }: FinderOptions,
): Finder {
  const contents = [...tokens.keys()].filter((content) => content !== "")
    .sort((a, b) => b.length - a.length);
  if (contents.length === 0) return (text) => text === "" ? [] : [{ text, begin: 0 }];
  const pattern = new RegExp(contents.map((content) => RegExp.escape(content)).join("|"), "gu");
  return (text) => {
    const sections: Section[] = [];
    let last = 0;
    const add = (begin: number, end: number, id?: number) => {
      if (begin < end) {
        sections.push({ text: text.slice(begin, end), begin, ...(id !== undefined && { id }) });
      }
    };
    for (const { 0: content, index } of text.matchAll(pattern)) {
      const { id, single_word, lstrip, rstrip, special } = tokens.get(content)!;
      if (special && splitsSpecial) continue;
      let begin = index, end = index + content.length;
      if (single_word && (isInWord(text, begin, -1) || isInWord(text, end, 1))) continue;
      if (lstrip) { while (begin > last && WHITE_SPACE.test(text[begin - 1])) begin--; }
      if (rstrip) { while (end < text.length && WHITE_SPACE.test(text[end])) end++; }
      add(last, begin);
      add(begin, end, id);
      last = end;
    }
    add(last, text.length);
    return sections;
  };
}
