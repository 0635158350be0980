/**
 * ROUGE-N and ROUGE-L (Lin 2004) as the `rouge-score` package has them: words of ASCII letters and digits,
 * those longer than three letters stemmed. Texts are one sequence each, but for ROUGE-Lsum, to which a
 * line is a sentence.
 */

import { stem } from "./porter.ts";

/** What a prediction and its target have in common, from 0 to 1. */
export interface Overlap {
  /** As a share of the prediction. */
  readonly precision: number;
  /** As a share of the target. */
  readonly recall: number;
  /** Their harmonic mean. */
  readonly f1: number;
}

/** The runs of `n` words that both have, each as often as the other has it. */
export function rougeN(n: number, prediction: string, target: string): Overlap {
  const predicted = runs(words(prediction), n);
  const meant = runs(words(target), n);
  const left = counts(predicted);
  let common = 0;
  for (const run of meant) {
    const count = left.get(run) ?? 0;
    if (count > 0) common++;
    left.set(run, count - 1);
  }
  return overlap(common, predicted.length, meant.length);
}

/** The longest common subsequence of words. */
export function rougeL(prediction: string, target: string): Overlap {
  const predicted = words(prediction);
  const meant = words(target);
  return overlap(commonWords(meant, predicted).length, predicted.length, meant.length);
}

/**
 * The words that the target's sentences have in common with any sentence of the prediction, in the sense
 * of ROUGE-L, none counted more often than either text has it.
 */
export function rougeLsum(prediction: string, target: string): Overlap {
  const [predicted, meant] = [prediction, target].map((text) => text.split("\n").map(words));
  const left = [predicted, meant].map((sentences) => counts(sentences.flat()));
  let common = 0;
  for (const sentence of meant) {
    const found = new Set(predicted.flatMap((other) => commonWords(sentence, other)));
    for (const index of [...found].sort((a, b) => a - b)) {
      const word = sentence[index];
      if (!left.every((counts) => (counts.get(word) ?? 0) > 0)) continue;
      left.forEach((counts) => counts.set(word, counts.get(word)! - 1));
      common++;
    }
  }
  return overlap(common, predicted.flat().length, meant.flat().length);
}

function overlap(common: number, predicted: number, meant: number): Overlap {
  if (common === 0) return { precision: 0, recall: 0, f1: 0 };
  return {
    precision: common / predicted,
    recall: common / meant,
    f1: 2 * common / (predicted + meant),
  };
}

function counts(items: readonly string[]): Map<string, number> {
  const result = new Map<string, number>();
  for (const item of items) result.set(item, (result.get(item) ?? 0) + 1);
  return result;
}

function runs(words: readonly string[], n: number): string[] {
  const count = Math.max(0, words.length - n + 1);
  return Array.from({ length: count }, (_, i) => words.slice(i, i + n).join(" "));
}

function words(text: string): string[] {
  const found = text.toLowerCase().match(/[a-z0-9]+/g) ?? [];
  return found.map((word) => word.length > 3 ? stem(word) : word);
}

/**
 * The places in `a` of one longest common subsequence with `b`. Of several it is the one that
 * `rouge-score` finds from the ends, on which ROUGE-Lsum depends.
 */
function commonWords(a: readonly string[], b: readonly string[]): number[] {
  const width = b.length + 1;
  const lengths = new Uint32Array((a.length + 1) * width);
  a.forEach((word, i) =>
    b.forEach((other, j) => {
      const above = i * width + j + 1, here = above + width;
      lengths[here] = word === other
        ? lengths[above - 1] + 1
        : Math.max(lengths[above], lengths[here - 1]);
    })
  );
  const found: number[] = [];
  for (let i = a.length, j = b.length; i > 0 && j > 0;) {
    if (a[i - 1] === b[j - 1]) {
      found.push(--i);
      j--;
    } else if (lengths[i * width + j - 1] > lengths[(i - 1) * width + j]) j--;
    else i--;
  }
  return found.reverse();
}
