/**
 * How attention by products is cut up so that the scores in memory are bounded.
 *
 * Whole elements of the batch first: their products are as large as they can be, and no sum spans two chunks.
 * Only where one element has too many scores are its queries divided, and gradients of keys and values summed
 * over the chunks in order.
 */

/** Some elements of the batch, and some queries of each. */
export interface AttentionChunk {
  readonly firstBatch: number;
  readonly batch: number;
  readonly firstQuery: number;
  readonly queries: number;
}

/** About how many scores a chunk has: few enough to stay in a cache, enough to be worth its dispatches. */
export const CHUNK_SCORES = 2 ** 21;

/** Chunks have whole multiples of this many queries: with fewer, products would be mostly loads. */
const QUERY_UNIT = 32;

/** A problem uncut. */
export function wholeChunk(
  { batch, queryLength }: { readonly batch: number; readonly queryLength: number },
): AttentionChunk {
  return { firstBatch: 0, batch, firstQuery: 0, queries: queryLength };
}

/** The chunks of a problem whose every query has `scoresPerQuery` scores, in all heads together. */
export function attentionChunks(
  { batch, queryLength }: { readonly batch: number; readonly queryLength: number },
  scoresPerQuery: number,
): AttentionChunk[] {
  const fitting = Math.floor(CHUNK_SCORES / scoresPerQuery);
  const whole = fitting >= queryLength;
  const elements = parts(batch, whole ? Math.floor(fitting / queryLength) : 1);
  const queries = whole ? [[0, queryLength]] : parts(queryLength, fitting, QUERY_UNIT);
  return elements.flatMap(([firstBatch, batch]) =>
    queries.map(([firstQuery, queries]) => ({ firstBatch, batch, firstQuery, queries }))
  );
}

/** Cuts `total` into few parts of about equal size, whole units of at most `most` where there are such. */
function parts(total: number, most: number, unit = 1): [first: number, size: number][] {
  const count = Math.ceil(total / (unit * Math.max(1, Math.floor(most / unit))));
  const size = unit * Math.ceil(total / count / unit);
  return Array.from({ length: Math.ceil(total / size) }, (_, i) => [
    i * size,
    Math.min(size, total - i * size),
  ]);
}
