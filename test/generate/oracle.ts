/**
 * Generation as a person would write it, one row at a time with everything on the host: what searches on
 * the device are compared with.
 */

import type { GeneratedSequence } from "../../src/generate/search.ts";
import type { Beams, Settings } from "../../src/generate/options.ts";

/** Ids that mean something. */
export const ids = { decoderStartId: 0, padId: 0, eosId: 1 };

/** The logits after a sequence (start token included) of a row. */
export type Language = (row: number, sequence: readonly number[]) => Float32Array;

/** A made-up language: what follows depends on the row and the whole sequence; later rows end sooner. */
export function language(vocabulary: number, seed: number): Language {
  return (row, sequence) => {
    let state = (seed * 7919 + row * 104729) >>> 0;
    for (const id of sequence) state = (Math.imul(state ^ (id + 1), 2654435761) + 12345) >>> 0;
    return Float32Array.from({ length: vocabulary }, (_, id) => {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      return 6 * ((state >>> 8) / 2 ** 24 - 0.5) + (id === ids.eosId ? row % 6 : 0);
    });
  };
}

/** ln softmax, rounded as the device keeps it. */
export function logSoftmax(logits: Float32Array): Float32Array {
  const largest = Math.max(...logits);
  const total = Math.log(logits.reduce((sum, x) => sum + Math.exp(x - largest), 0));
  return logits.map((x) => x - largest - total);
}

/** The tokens that must not follow a sequence. */
export function forbidden(
  sequence: readonly number[],
  { minLength, noRepeatNgram: size }: Settings,
): Set<number> {
  const result = new Set<number>();
  if (sequence.length < minLength) result.add(ids.eosId);
  if (size === 0) return result;
  const grams = sequence.map((_, i) => sequence.slice(i, i + size)).filter((g) =>
    g.length === size
  );
  const last = sequence.slice(sequence.length - size + 1).join();
  if (sequence.length < size - 1) return result;
  for (const gram of grams) {
    if (gram.slice(0, -1).join() === (size === 1 ? "" : last)) result.add(gram[size - 1]);
  }
  return result;
}

/** Greedy choice. */
export function greedy(row: number, language: Language, settings: Settings): GeneratedSequence {
  const sequence = [ids.decoderStartId];
  const choices: number[] = [];
  let logLikelihood = 0, ended = false;
  while (sequence.length < settings.maxLength && !ended) {
    const logits = language(row, sequence);
    const none = forbidden(sequence, settings);
    const allowed = logits.map((x, id) => none.has(id) ? -Infinity : x);
    const token = allowed.indexOf(Math.max(...allowed));
    logLikelihood += logSoftmax(logits)[token];
    choices.push(logSoftmax(allowed)[token]);
    sequence.push(token);
    ended = token === ids.eosId;
  }
  const tokens = sequence.slice(1, ended ? -1 : undefined);
  const score = choices.reduce((a, b) => a + b, 0);
  return { tokens, ended, logLikelihood, score, choices };
}

/** A sequence that has ended, or was cut. */
interface Finished {
  readonly sequence: readonly number[];
  readonly ended: boolean;
  readonly sum: number;
  readonly score: number;
}

/** Beam search by the rules of the reference. */
export function beamSearch(
  row: number,
  language: Language,
  settings: Settings & { readonly strategy: Beams },
): Pick<GeneratedSequence, "tokens" | "ended" | "logLikelihood" | "score">[] {
  const { maxLength, outputs, strategy: { beams: count, lengthPenalty, earlyStopping } } = settings;
  let beams = Array.from({ length: count }, (_, i) => ({
    sequence: [ids.decoderStartId],
    sum: i === 0 ? 0 : -1e9,
  }));
  let finished: Finished[] = [];
  let isDone = false;
  const add = (sequence: readonly number[], sum: number, ended: boolean) => {
    const score = sum / sequence.length ** lengthPenalty;
    if (finished.length < count) {
      finished.push({ sequence, sum, score, ended });
      return;
    }
    const worst = finished.reduce((a, b) => b.score < a.score ? b : a);
    if (score <= worst.score) return;
    finished = [...finished.filter((other) => other !== worst), { sequence, sum, score, ended }];
  };

  for (let length = 1; length < maxLength && !isDone; length++) {
    const candidates = beams.flatMap(({ sequence, sum }, beam) => {
      const logits = language(row, sequence);
      const none = forbidden(sequence, settings);
      return [...logSoftmax(logits)].map((x, token) => {
        const logit = none.has(token) ? -Infinity : logits[token];
        return { beam, token, logit, total: Math.fround(sum + (none.has(token) ? -Infinity : x)) };
      });
    }).sort((a, b) =>
      (b.total === a.total ? 0 : b.total - a.total) || a.beam - b.beam ||
      (b.logit === a.logit ? 0 : b.logit - a.logit) || a.token - b.token
    ).slice(0, 2 * count);
    const next: typeof beams = [];
    for (const [i, { beam, token, total }] of candidates.entries()) {
      if (next.length === count) break;
      const { sequence } = beams[beam];
      if (token !== ids.eosId) next.push({ sequence: [...sequence, token], sum: total });
      else if (i < count) add(sequence, total, true);
    }
    beams = next;
    const worst = Math.min(...finished.map(({ score }) => score));
    isDone = finished.length === count &&
      (earlyStopping || worst >= candidates[0].total / length ** lengthPenalty);
  }
  if (!isDone) { for (const { sequence, sum } of beams) add(sequence, sum, false); }
  return finished.reverse().sort((a, b) => b.score - a.score).slice(0, outputs)
    .map(({ sequence, sum, score, ended }) => ({
      tokens: sequence.slice(1),
      ended,
      logLikelihood: sum,
      score,
    }));
}
