/**
 * Generation as a person would write it, one row at a time with everything on the host: what searches on
 * the device are compared with. The rules are the logits processors of transformers, in their order.
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

/** The tokens that must not follow a sequence, forced tokens aside. */
export function forbidden(
  sequence: readonly number[],
  { minLength, rules, endIds = [ids.eosId] }: Settings,
  source: readonly number[] = [ids.eosId],
): Set<number> {
  const { noRepeatNgram = 0, sourceNgram = 0, badWords = [], suppressTokens = [] } = rules;
  const { beginSuppressTokens = [], forcedBos } = rules;
  const result = new Set<number>(suppressTokens);
  if (sequence.length < minLength) endIds.forEach((id) => result.add(id));
  if (sequence.length === (forcedBos === undefined ? 1 : 2)) {
    beginSuppressTokens.forEach((id) => result.add(id));
  }
  const endsWith = (tokens: readonly number[]) =>
    tokens.length <= sequence.length &&
    tokens.every((token, i) => token === sequence[sequence.length - tokens.length + i]);
  const complete = (tokens: readonly number[]) => {
    if (endsWith(tokens.slice(0, -1))) result.add(tokens.at(-1)!);
  };
  for (const word of badWords) {
    if (word.length > 1 || !endIds.includes(word[0])) complete(word);
  }
  const grams = (tokens: readonly number[], size: number) =>
    size === 0
      ? []
      : tokens.map((_, i) => tokens.slice(i, i + size)).filter((gram) => gram.length === size);
  for (const gram of grams(sequence, noRepeatNgram)) complete(gram);
  for (const gram of grams(source, sourceNgram)) complete(gram);
  return result;
}

/** What the next token is chosen by: logits, or of beams their log-softmax, after all rules. */
export function scoresOf(
  scores: Float32Array,
  sequence: readonly number[],
  settings: Settings,
  source: readonly number[] = [ids.eosId],
): Float32Array {
  const { rules, maxLength, endIds = [ids.eosId] } = settings;
  const { repetitionPenalty = 1, sourcePenalty = 1, lengthDecay, removeInvalid } = rules;
  const { forcedBos, forcedEos, suppressTokens = [] } = rules;
  const penalised = (x: number, penalty: number) => x < 0 ? x * penalty : x / penalty;
  const none = forbidden(sequence, settings, source);
  let result = scores.map((x, id) => source.includes(id) ? penalised(x, 1 / sourcePenalty) : x)
    .map((x, id) => sequence.includes(id) ? penalised(x, repetitionPenalty) : x)
    .map((x, id) => none.has(id) ? -Infinity : x);
  const only = (forced: readonly number[]) =>
    scores.map((_, id) => forced.includes(id) ? 0 : -Infinity);
  if (forcedBos !== undefined && sequence.length === 1) result = only([forcedBos]);
  if (forcedEos && sequence.length === maxLength - 1) result = only(forcedEos);
  if (removeInvalid) {
    result = result.map((x, id) =>
      Number.isNaN(x) ? 0 : Number.isFinite(x) || none.has(id) ? x : Math.sign(x) * 3.4028235e38
    );
  }
  const since = sequence.length - 1 - (lengthDecay?.start ?? 0);
  if (lengthDecay && since > 0) {
    result = result.map((x, id) =>
      endIds.includes(id) && Number.isFinite(x)
        ? x + Math.abs(x) * (lengthDecay.factor ** since - 1)
        : x
    );
  }
  return result.map((x, id) => suppressTokens.includes(id) ? -Infinity : x);
}

/** Greedy choice. */
export function greedy(
  row: number,
  language: Language,
  settings: Settings,
  source?: readonly number[],
): GeneratedSequence {
  const { endIds = [ids.eosId], startId = ids.decoderStartId, maxLength } = settings;
  const sequence = [startId];
  const choices: number[] = [];
  let logLikelihood = 0, ended = false;
  while (sequence.length < maxLength && !ended) {
    const logits = language(row, sequence);
    const scores = scoresOf(logits, sequence, settings, source);
    const token = scores.indexOf(Math.max(...scores));
    logLikelihood += logSoftmax(logits)[token];
    choices.push(logSoftmax(scores)[token]);
    sequence.push(token);
    ended = endIds.includes(token);
  }
  const score = choices.reduce((a, b) => a + b, 0);
  return { tokens: withoutEnd(sequence), ended, logLikelihood, score, choices };
}

/** A sequence that has ended, or was cut. */
interface Finished {
  readonly sequence: readonly number[];
  readonly ended: boolean;
  readonly sum: number;
  readonly logLikelihood: number;
  readonly score: number;
}

/** Beam search by the rules of the reference (transformers 4.14), or of transformers today. */
export function beamSearch(
  row: number,
  language: Language,
  settings: Settings & { readonly strategy: Beams },
  source?: readonly number[],
): Pick<GeneratedSequence, "tokens" | "ended" | "logLikelihood" | "score">[] {
  const { maxLength, outputs, endIds = [ids.eosId], startId = ids.decoderStartId } = settings;
  const { beams: count, lengthPenalty, earlyStopping, rule, renormalize } = settings.strategy;
  const isToday = rule === "transformers";
  let beams = Array.from({ length: count }, (_, i) => ({
    sequence: [startId],
    sum: i === 0 ? 0 : -1e9,
    logLikelihood: i === 0 ? 0 : -1e9,
  }));
  let finished: Finished[] = [];
  let isDone = false;
  /** @param length what the sum is divided by a power of */
  const add = (beam: Omit<Finished, "score">, length: number) => {
    const score = beam.sum / length ** lengthPenalty;
    if (isToday && score <= -1e9) return;
    if (finished.length < count) {
      finished.push({ ...beam, score });
      return;
    }
    const worst = finished.reduce((a, b) => b.score < a.score ? b : a);
    if (!(score > worst.score)) return;
    finished = [...finished.filter((other) => other !== worst), { ...beam, score }];
  };

  for (let length = 1; length < maxLength && !isDone; length++) {
    const candidates = beams.flatMap(({ sequence, sum, logLikelihood }, beam) => {
      const logits = language(row, sequence);
      const own = logSoftmax(logits);
      const processed = scoresOf(own, sequence, settings, source);
      const scores = renormalize ? logSoftmax(processed) : processed;
      return [...scores].map((score, token) => ({
        beam,
        token,
        logit: processed[token],
        total: Math.fround(sum + score),
        logLikelihood: logLikelihood + own[token],
      }));
    }).sort((a, b) =>
      (b.total === a.total ? 0 : b.total - a.total) || a.beam - b.beam ||
      (b.logit === a.logit ? 0 : b.logit - a.logit) || a.token - b.token
    ).slice(0, Math.max(2, 1 + endIds.length) * count);
    const isLast = isToday && length === maxLength - 1;
    const next: typeof beams = [];
    for (const [i, { beam, token, total: sum, logLikelihood }] of candidates.entries()) {
      if (next.length === count) break;
      const sequence = [...beams[beam].sequence, token];
      const ended = endIds.includes(token);
      if ((ended || isLast) && i < count) add({ sequence, sum, logLikelihood, ended }, length);
      if (!ended) next.push({ sequence, sum, logLikelihood });
    }
    beams = next;
    const worst = Math.min(...finished.map(({ score }) => score));
    if (isLast) isDone = true;
    else if (finished.length === count) {
      if (earlyStopping === true) isDone = true;
      else if (isToday) {
        const longest = earlyStopping === "never" && lengthPenalty > 0 ? maxLength - 1 : length;
        isDone = !(beams[0].sum / longest ** lengthPenalty > worst);
      } else isDone = worst >= candidates[0].total / length ** lengthPenalty;
    }
  }
  if (!isDone) {
    for (const beam of beams) add({ ...beam, ended: false }, beam.sequence.length);
  }
  if (!isToday) finished.reverse();
  return finished.sort((a, b) => b.score - a.score).slice(0, outputs)
    .map(({ sequence, sum: _, logLikelihood, score, ended }) => ({
      tokens: withoutEnd(sequence),
      ended,
      logLikelihood,
      score,
    }));
}

function withoutEnd(sequence: readonly number[]): readonly number[] {
  return sequence.slice(1, sequence.at(-1) === ids.eosId ? -1 : undefined);
}
