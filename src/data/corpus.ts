/**
 * Span corruption of running text: T5's pretraining objective (Raffel et al. 2020, section 3.1.4).
 *
 * Invariant: source and target together hold every id of the text exactly once, in order, so that
 * the text can be put together again from the two.
 */

import type { Random } from "./random.ts";

/** How to corrupt; T5's own values are the defaults. */
export interface SpanCorruptionOptions {
  /** Where the spans' places come from. */
  readonly random: Random;
  /** Ids that stand for the removed spans, in order of use (`Tokenizer.sentinelIds`). */
  readonly sentinelIds: readonly number[];
  /** Share of the ids that is removed. */
  readonly noiseDensity?: number;
  /** Mean number of ids in a removed span. */
  readonly meanSpanLength?: number;
}

/**
 * Removes random spans from `ids`. `source` is the text with a sentinel in place of each span;
 * `target` is each sentinel followed by the span it stands for. Neither ends with an
 * end-of-sequence id.
 *
 * As in T5, kept and removed spans alternate, a kept one first and a removed one last.
 * Fewer spans are removed when the sentinels would run out.
 *
 * @throws RangeError for fewer than two ids, or no sentinel
 */
export function spanCorrupt(
  ids: readonly number[],
  { random, sentinelIds, noiseDensity = 0.15, meanSpanLength = 3 }: SpanCorruptionOptions,
): { source: number[]; target: number[] } {
  if (ids.length < 2 || sentinelIds.length === 0) {
    throw new RangeError(
      `span corruption needs 2 ids and a sentinel at least, got ${ids.length} and ${sentinelIds.length}`,
    );
  }
  const removed = clamp(Math.round(ids.length * noiseDensity), 1, ids.length - 1);
  const kept = ids.length - removed;
  const spans = clamp(
    Math.round(removed / meanSpanLength),
    1,
    Math.min(removed, kept, sentinelIds.length),
  );
  const removedLengths = randomPartition(removed, spans, random);
  const keptLengths = randomPartition(kept, spans, random);

  const source: number[] = [];
  const target: number[] = [];
  let position = 0;
  for (let span = 0; span < spans; span++) {
    const start = position + keptLengths[span];
    const end = start + removedLengths[span];
    source.push(...ids.slice(position, start), sentinelIds[span]);
    target.push(sentinelIds[span], ...ids.slice(start, end));
    position = end;
  }
  return { source, target };
}

/** `parts` (at most `total`) whole numbers of at least 1 that add up to `total`, every such sequence as likely. */
export function randomPartition(total: number, parts: number, random: Random): number[] {
  const cuts = random.permutation(total - 1).subarray(0, parts - 1).map((cut) => cut + 1).sort();
  return Array.from({ length: parts }, (_, i) => (cuts[i] ?? total) - (cuts[i - 1] ?? 0));
}

function clamp(value: number, low: number, high: number): number {
  return Math.max(low, Math.min(high, value));
}
