/**
 * How an update is made to fit into memory: by cutting its batches and by computing blocks again.
 *
 * Both change what an update costs and neither what it comes to. A smaller micro-batch is nearly free
 * until it is too small to fill the device; computing blocks again costs about a third more time, so it
 * comes second.
 */

import { UserError } from "../errors.ts";

/** How batches are worked through. */
export interface Division {
  /** Micro-batches that a batch is cut into. */
  readonly parts: number;
  /** Whether the backward pass computes blocks again instead of keeping them. */
  readonly recompute: boolean;
}

/** A division, and what training needs with it. */
export interface Fit extends Division {
  /** Parameters, gradients, the optimiser's state and the planned workspace. */
  readonly bytes: number;
}

/** Rows below which a micro-batch leaves a device idle, so that computing blocks again is better. */
const FEW_ROWS = 8;

/**
 * The first division, from the fastest to the smallest, whose needs are within the budget.
 *
 * @param bytesOf what training needs with a division
 * @throws {UserError} if none fits, with the least that would do
 */
export function fitMemory(
  batchSize: number,
  maxBytes: number,
  bytesOf: (division: Division) => number,
): Fit {
  let least: Fit | undefined;
  for (const division of divisions(batchSize)) {
    const fit = { ...division, bytes: bytesOf(division) };
    if (fit.bytes <= maxBytes) return fit;
    if (!least || fit.bytes < least.bytes) least = fit;
  }
  throw new UserError(
    `--max-memory is ${gigabytes(maxBytes)}, but an update of ${batchSize} examples needs ` +
      `${gigabytes(least!.bytes)} even one by one: shorten --max-source-length, or raise it`,
  );
}

/** All divisions worth trying: large micro-batches first, those of few rows last. */
function divisions(batchSize: number): Division[] {
  const cuts: number[] = [];
  for (let parts = 1; parts < batchSize; parts *= 2) cuts.push(parts);
  cuts.push(batchSize);
  const large = cuts.filter((parts) => parts === 1 || batchSize / parts >= FEW_ROWS);
  const small = cuts.filter((parts) => !large.includes(parts));
  return [
    ...large.map((parts) => ({ parts, recompute: false })),
    ...large.map((parts) => ({ parts, recompute: true })),
    ...small.map((parts) => ({ parts, recompute: true })),
  ];
}

/** Bytes for people: "1.25 GB". */
export function gigabytes(bytes: number): string {
  return bytes < 1e8 ? `${(bytes / 1e6).toFixed(1)} MB` : `${(bytes / 1e9).toFixed(2)} GB`;
}
