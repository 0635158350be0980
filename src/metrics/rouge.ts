/**
 * ROUGE-L (Lin 2004) as the `rouge-score` package has it: words of ASCII letters and digits, those
 * longer than three letters stemmed, the whole text one sequence.
 */

import { stem } from "./porter.ts";

/** F1 of the longest common subsequence of words, from 0 to 1. */
export function rougeL(prediction: string, target: string): number {
  const predicted = words(prediction);
  const meant = words(target);
  const common = longestCommonSubsequence(predicted, meant);
  return common === 0 ? 0 : 2 * common / (predicted.length + meant.length);
}

function words(text: string): string[] {
  const found = text.toLowerCase().match(/[a-z0-9]+/g) ?? [];
  return found.map((word) => word.length > 3 ? stem(word) : word);
}

function longestCommonSubsequence(a: readonly string[], b: readonly string[]): number {
  let previous = new Array<number>(b.length + 1).fill(0);
  for (const word of a) {
    const current = [0];
    b.forEach((other, j) =>
      current.push(word === other ? previous[j] + 1 : Math.max(previous[j + 1], current[j]))
    );
    previous = current;
  }
  return previous[b.length];
}
