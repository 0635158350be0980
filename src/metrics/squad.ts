/**
 * SQuAD's metrics of extracted answers (Rajpurkar et al. 2016), as fractions of one pair each.
 *
 * Invariant: what is compared is the normalised answer, and normalising equals the official script's.
 */

import { splitWords } from "./white-space.ts";

/** ASCII's punctuation, Python's `string.punctuation`. */
const PUNCTUATION = /[!-/:-@[-`{-~]/g;

/** An article standing alone; letters and digits of any script join it to a word. */
const ARTICLE = /(?<![\p{L}\p{N}_])(?:a|an|the)(?![\p{L}\p{N}_])/gu;

/** Lower-cased, without ASCII punctuation and English articles, words parted by single spaces. */
export function normalizeAnswer(answer: string): string {
  return splitWords(answer.toLowerCase().replace(PUNCTUATION, "").replace(ARTICLE, " ")).join(" ");
}

/** Whether two answers are the same when normalised: 1 or 0. */
export function exactMatch(prediction: string, target: string): number {
  return Number(normalizeAnswer(prediction) === normalizeAnswer(target));
}

/** F1 of the words two answers share. 0 when they share none, so for two empty answers as well. */
export function tokenF1(prediction: string, target: string): number {
  const predicted = normalizeAnswer(prediction).split(" ").filter(Boolean);
  const meant = normalizeAnswer(target).split(" ").filter(Boolean);
  const remaining = [...meant];
  const shared = predicted.filter((word) => {
    const index = remaining.indexOf(word);
    if (index >= 0) remaining.splice(index, 1);
    return index >= 0;
  }).length;
  return shared === 0 ? 0 : 2 * shared / (predicted.length + meant.length);
}
