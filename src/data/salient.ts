/**
 * Salient span masking: span corruption in which the words that carry what a passage says are nearly
 * always among the removed ones (Guu et al. 2020, "REALM", section 3.4; Roberts et al. 2020), and, for a
 * part of the passages, prefix language modelling, whose source ends where the last of those words begin
 * (Raffel et al. 2020, section 3.2.1; Lester et al. 2021).
 *
 * Invariant: source and target together hold every id of the passage exactly once.
 */

import { randomPartition, spanCorrupt } from "./corpus.ts";
import type { Random } from "./random.ts";

/** Running text to pretrain on. */
export interface Passage {
  readonly text: string;
  /** Start and end of each salient span, in UTF-16 units of `text`, in order; a span is whole words. */
  readonly salient: readonly (readonly [start: number, end: number])[];
}

/** Shares and lengths; the published backbone was made with the defaults. */
export interface SalientMaskingOptions {
  readonly random: Random;
  readonly sentinelIds: readonly number[];
  /** Chance that a passage with a salient span is a prefix and its continuation. */
  readonly prefixShare?: number;
  /** Chance that a salient span is removed. */
  readonly salientShare?: number;
  /** Share of the other ids that is removed. */
  readonly noiseDensity?: number;
  /** Share of the ids that is removed from a passage without salient spans. */
  readonly plainNoiseDensity?: number;
  /** Mean number of ids in a span removed by chance. */
  readonly meanSpanLength?: number;
}

/** A prefix of fewer ids says too little to be continued. */
const SHORTEST_PREFIX = 3;

/**
 * Source and target of a passage; neither ends with an end-of-sequence id.
 *
 * @param salient start and end of each salient span, in ids, in order
 */
export function maskSalient(
  ids: readonly number[],
  salient: readonly (readonly [start: number, end: number])[],
  {
    random,
    sentinelIds,
    prefixShare = 0.7,
    salientShare = 0.9,
    noiseDensity = 0.03,
    plainNoiseDensity = 0.2,
    meanSpanLength = 2.5,
  }: SalientMaskingOptions,
): { source: number[]; target: number[] } {
  const last = salient.at(-1);
  if (last === undefined) {
    return spanCorrupt(ids, {
      random,
      sentinelIds,
      noiseDensity: plainNoiseDensity,
      meanSpanLength,
    });
  }
  if (last[0] >= SHORTEST_PREFIX && random.float() < prefixShare) {
    return { source: ids.slice(0, last[0]), target: ids.slice(last[0]) };
  }
  const removed = new Uint8Array(ids.length);
  for (const [start, end] of salient) {
    if (random.float() < salientShare) removed.fill(1, start, end);
  }
  const others = Array.from(ids.keys()).filter((i) => removed[i] === 0);
  const none = others.length === ids.length;
  const count = Math.max(Number(none), Math.round(others.length * noiseDensity));
  if (count > 0 && count < others.length) {
    const spans = Math.min(Math.max(1, Math.round(count / meanSpanLength)), others.length - count);
    const removedLengths = randomPartition(count, spans, random);
    const keptLengths = randomPartition(others.length - count, spans, random);
    let position = 0;
    for (let span = 0; span < spans; span++) {
      position += keptLengths[span];
      for (let i = 0; i < removedLengths[span]; i++) removed[others[position++]] = 1;
    }
  }
  return takeOut(ids, removed, sentinelIds);
}

/** The ids with a sentinel for each run of removed ones, and the sentinels with what they stand for. */
function takeOut(
  ids: readonly number[],
  removed: Uint8Array,
  sentinelIds: readonly number[],
): { source: number[]; target: number[] } {
  const source: number[] = [];
  const target: number[] = [];
  let span = 0;
  ids.forEach((id, i) => {
    if (!removed[i]) return void source.push(id);
    if (i === 0 || !removed[i - 1]) {
      if (span === sentinelIds.length) {
        throw new RangeError(
          `a passage of ${ids.length} ids needs more than the ${span} sentinels there are`,
        );
      }
      source.push(sentinelIds[span]);
      target.push(sentinelIds[span++]);
    }
    target.push(id);
  });
  return { source, target };
}
