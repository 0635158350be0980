/**
 * Pre-tokenizers of a `tokenizer.json`: where normalised text is cut into words, of which no token holds
 * parts of two.
 *
 * Invariant: the words are those of the `tokenizers` package for Python. White space, digits and
 * punctuation are Unicode's, as in Rust, and not JavaScript's `\s`, `\d`, `\w`.
 */

import { byteLetters } from "./normalizers.ts";
import { type Component, patternOf, unsupported } from "./tokenizer-json.ts";

/** A stretch of normalised text. */
export interface Part {
  readonly text: string;
  /** Whether the whole text begins with it. */
  readonly isFirst: boolean;
}

/** Cuts stretches into shorter ones. */
export type PreTokenize = (parts: readonly Part[]) => readonly Part[];

/**
 * The pre-tokenizer that a file describes.
 *
 * @throws {UserError} when it is one that is not done here
 */
export function createPreTokenizer(json: Component | null): PreTokenize {
  if (json === null) return (parts) => parts;
  switch (json.type) {
    case "Sequence": {
      const steps = (json.pretokenizers as Component[]).map(createPreTokenizer);
      return (parts) => steps.reduce((result, step) => step(result), parts);
    }
    case "WhitespaceSplit":
      return cut(/\p{White_Space}/gu, "Removed");
    case "Whitespace":
      return cut(
        /[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}]+|[^\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}\p{White_Space}]+/gu,
        "Removed",
        true,
      );
    case "BertPreTokenizer": {
      const words = cut(/\p{White_Space}/gu, "Removed"), signs = cut(PUNCTUATION, "Isolated");
      return (parts) => signs(words(parts));
    }
    case "Punctuation":
      return cut(PUNCTUATION, behaviorOf(json.behavior ?? "Isolated"));
    case "Digits":
      return cut(/\p{N}/gu, json.individual_digits ? "Isolated" : "Contiguous");
    case "CharDelimiterSplit":
      return cut(patternOf("pre-tokenizer", { String: json.delimiter }), "Removed");
    case "Split":
      return cut(
        patternOf("pre-tokenizer", json.pattern),
        behaviorOf(json.behavior),
        json.invert === true,
      );
    case "FixedLength":
      return cut(new RegExp(`[^]{1,${json.length ?? 5}}`, "gu"), "Isolated");
    case "Metaspace":
      return metaspace(json);
    case "ByteLevel":
      return byteLevel(json);
    default:
      throw unsupported("pre-tokenizer", json.type);
  }
}

const PUNCTUATION = /[!-/:-@[-`{-~\p{P}]/gu;

/** What becomes of what a pattern finds: it goes, stands alone, or joins a neighbour. */
const BEHAVIORS = [
  "Removed",
  "Isolated",
  "Contiguous",
  "MergedWithPrevious",
  "MergedWithNext",
] as const;
type Behavior = typeof BEHAVIORS[number];

function behaviorOf(name: unknown): Behavior {
  const found = BEHAVIORS.find((behavior) => behavior === name);
  if (found === undefined) throw unsupported("pre-tokenizer", `behavior ${JSON.stringify(name)}`);
  return found;
}

/** Cuts at what a pattern finds; `inverted`, at what it leaves. */
function cut(pattern: RegExp, behavior: Behavior, inverted = false): PreTokenize {
  return (parts) =>
    parts.flatMap(({ text, isFirst }) =>
      join(stretches(text, pattern, inverted), behavior).flatMap(([begin, end]) =>
        begin === end ? [] : [{ text: text.slice(begin, end), isFirst: isFirst && begin === 0 }]
      )
    );
}

/** A stretch of a text, and whether it is a delimiter. */
type Stretch = [begin: number, end: number, isMatch: boolean];

function stretches(text: string, pattern: RegExp, inverted: boolean): Stretch[] {
  const result: Stretch[] = [];
  let last = 0;
  for (const { 0: { length }, index } of text.matchAll(pattern)) {
    if (index > last) result.push([last, index, inverted]);
    result.push([index, index + length, !inverted]);
    last = index + length;
  }
  if (last < text.length) result.push([last, text.length, inverted]);
  return result;
}

function join(all: Stretch[], behavior: Behavior): Stretch[] {
  if (behavior === "Isolated") return all;
  if (behavior === "Removed") return all.filter(([, , isMatch]) => !isMatch);
  if (behavior === "MergedWithNext") {
    const result: Stretch[] = [];
    let wasMatch = false;
    for (const stretch of all.toReversed()) {
      if (stretch[2] && !wasMatch && result.length > 0) result[0][0] = stretch[0];
      else result.unshift(stretch);
      wasMatch = stretch[2];
    }
    return result;
  }
  const result: Stretch[] = [];
  let wasMatch = false;
  for (const stretch of all) {
    const isJoined = behavior === "Contiguous" ? stretch[2] === wasMatch : stretch[2] && !wasMatch;
    if (isJoined && result.length > 0) result[result.length - 1][1] = stretch[1];
    else result.push(stretch);
    wasMatch = stretch[2];
  }
  return result;
}

/** Spaces become a letter, which words begin with, the first of a text as well. */
function metaspace(json: Component): PreTokenize {
  const mark = json.replacement as string;
  const scheme = json.add_prefix_space === false ? "never" : json.prepend_scheme ?? "always";
  const words = json.split === false
    ? (parts: readonly Part[]) => parts
    : cut(new RegExp(RegExp.escape(mark), "gu"), "MergedWithNext");
  return (parts) =>
    words(parts.map(({ text, isFirst }) => {
      text = text.replaceAll(" ", mark);
      const prepends = scheme === "always" || (scheme === "first" && isFirst);
      return { text: prepends && !text.startsWith(mark) ? mark + text : text, isFirst };
    }));
}

/** GPT-2's words. */
const BYTE_LEVEL_WORDS =
  /'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\p{White_Space}\p{L}\p{N}]+|\p{White_Space}+(?!\P{White_Space})|\p{White_Space}+/gu;

/** Bytes become letters. */
function byteLevel(json: Component): PreTokenize {
  const words = json.use_regex === false
    ? (parts: readonly Part[]) => parts
    : cut(BYTE_LEVEL_WORDS, "Isolated");
  return (parts) =>
    words(parts.map(({ text, isFirst }) => ({
      text: json.add_prefix_space && !text.startsWith(" ") ? ` ${text}` : text,
      isFirst,
    }))).map(({ text, isFirst }) => ({ text: byteLetters(text), isFirst }));
}
