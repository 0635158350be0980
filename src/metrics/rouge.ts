/**
 * ROUGE-N and ROUGE-L (Lin 2004) as the `rouge-score` package has it: words of ASCII letters and digits, those
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

/** F1 of the runs of `n` words that both have, each as often as the other has it; from 0 to 1. */
export function rougeN(n: number, prediction: string, target: string): number {
  const predicted = runs(words(prediction), n);
  const meant = runs(words(target), n);
  const left = new Map<string, number>();
  for (const run of predicted) left.set(run, (left.get(run) ?? 0) + 1);
  let common = 0;
  for (const run of meant) {
    const count = left.get(run) ?? 0;
    if (count > 0) common++;
    left.set(run, count - 1);
  }
  return common === 0 ? 0 : 2 * common / (predicted.length + meant.length);
}

function runs(words: readonly string[], n: number): string[] {
  const count = Math.max(0, words.length - n + 1);
  return Array.from({ length: count }, (_, i) => words.slice(i, i + n).join(" "));
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
