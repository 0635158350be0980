/**
 * BLEU (Papineni et al. 2002) of a whole corpus, in percent, as `sacrebleu` has it by default: words as
 * mteval-v13a cuts them, runs of one to four, and runs of which none is right counted as half a hit, a
 * quarter and so on ("exp" smoothing). Of several references a run may be in any, and the one counts for
 * the length that is nearest to the prediction's, of equally near ones the shorter.
 */

import { splitWords, stripEnd } from "./white-space.ts";

const LONGEST_RUN = 4;

/**
 * BLEU of `predictions` with one target each, or a list of references. 0 where not a word is right.
 */
export function bleu(
  predictions: readonly string[],
  targets: readonly (string | readonly string[])[],
): number {
  const right = new Array<number>(LONGEST_RUN).fill(0);
  const all = new Array<number>(LONGEST_RUN).fill(0);
  let predictedLength = 0, targetLength = 0;
  predictions.forEach((prediction, i) => {
    const predicted = tokenize(prediction), references = [targets[i]].flat().map(tokenize);
    predictedLength += predicted.length;
    targetLength += nearestLength(predicted.length, references);
    for (let n = 1; n <= LONGEST_RUN; n++) {
      const allowed = mostRuns(references, n);
      for (const [run, count] of countRuns(predicted, n)) {
        right[n - 1] += Math.min(count, allowed.get(run) ?? 0);
        all[n - 1] += count;
      }
    }
  });
  if (right[0] === 0 || all[LONGEST_RUN - 1] === 0) return 0;

  let missed = 1, logarithms = 0;
  right.forEach((count, n) => {
    if (count === 0) missed *= 2;
    logarithms += Math.log((count === 0 ? 1 / missed : count) / all[n]);
  });
  const brevity = predictedLength < targetLength ? 1 - targetLength / predictedLength : 0;
  return 100 * Math.exp(brevity + logarithms / LONGEST_RUN);
}

function nearestLength(length: number, references: readonly (readonly string[])[]): number {
  const distance = (other: number) => Math.abs(other - length);
  return references.map((reference) => reference.length).reduce((best, other) =>
    distance(other) < distance(best) || (distance(other) === distance(best) && other < best)
      ? other
      : best
  );
}

/** How often any of the references has a run. */
function mostRuns(references: readonly (readonly string[])[], n: number): Map<string, number> {
  const [most, ...others] = references.map((reference) => countRuns(reference, n));
  for (const counts of others) {
    for (const [run, count] of counts) most.set(run, Math.max(count, most.get(run) ?? 0));
  }
  return most;
}

function countRuns(words: readonly string[], n: number): Map<string, number> {
  const counts = new Map<string, number>();
  for (let i = 0; i + n <= words.length; i++) {
    const run = words.slice(i, i + n).join(" ");
    counts.set(run, (counts.get(run) ?? 0) + 1);
  }
  return counts;
}

/** Words and signs: points and commas stay in numbers, hyphens go with what is before unless a digit. */
function tokenize(text: string): string[] {
  const spaced = ` ${
    stripEnd(text).replaceAll("<skipped>", "").replaceAll("-\n", "").replaceAll("\n", " ")
      .replaceAll("&quot;", '"').replaceAll("&amp;", "&")
      .replaceAll("&lt;", "<").replaceAll("&gt;", ">")
  } `
    .replace(/[{-~[-` -&(-+:-@/]/g, " $& ")
    .replace(/([^0-9])([.,])/g, "$1 $2 ")
    .replace(/([.,])([^0-9])/g, " $1 $2")
    .replace(/([0-9])(-)/g, "$1 $2 ");
  return splitWords(spaced);
}
