/**
 * Which relative positions share a row of T5's position bias table (Raffel et al. 2020, section 2.1).
 */

import type { Shader } from "../tensor.ts";

/** How positions relative to the query, key − query, are put into buckets. */
export interface PositionBuckets {
  /** Rows of the table. */
  readonly buckets: number;
  /** Whether keys after the query have buckets of their own; else they share that of the query itself. */
  readonly bidirectional: boolean;
  /** From about here on, all distances share the last bucket. */
  readonly maxDistance: number;
}

/**
 * The smallest distance in each bucket of one direction.
 *
 * The first half of the buckets holds one distance each, the rest ever wider ranges up to the maximum
 * distance. The logarithms are rounded to f32 as the reference's are, which decides where ranges begin.
 */
export function firstDistances(positions: PositionBuckets): number[] {
  const { maxDistance } = positions;
  const count = directionBuckets(positions);
  const exact = exactBuckets(positions);
  const bucketOf = (distance: number): number => {
    if (distance < exact) return distance;
    const { fround } = Math;
    const logarithm = fround(Math.log(fround(distance / exact)));
    const fraction = fround(logarithm / fround(Math.log(maxDistance / exact)));
    return Math.min(count - 1, exact + Math.trunc(fround(fraction * (count - exact))));
  };
  const last = bucketOf(maxDistance);
  return Array.from({ length: last + 1 }, (_, bucket) => {
    let low = 0, high = maxDistance; // distances between which the bucket's first one is
    while (low < high) {
      const middle = Math.floor((low + high) / 2);
      if (bucketOf(middle) < bucket) low = middle + 1;
      else high = middle;
    }
    return low;
  });
}

/** A shader that looks positions up, with the constants that say which bucket each is in. */
export function withBuckets(source: string, positions: PositionBuckets): string {
  const { buckets, bidirectional } = positions;
  const distances = firstDistances(positions);
  const list = distances.map((distance) => `${distance}u`).join(", ");
  return source
    .replace(
      "const FIRST_DISTANCES = array<u32, 2>(0u, 1u);",
      `const FIRST_DISTANCES = array<u32, ${distances.length}>(${list});`,
    )
    .replace("const EXACT_DISTANCES = 1u;", `const EXACT_DISTANCES = ${exactBuckets(positions)}u;`)
    .replace("const BIDIRECTIONAL = true;", `const BIDIRECTIONAL = ${bidirectional};`)
    .replace("const DIRECTION_BUCKETS = 2u;", `const DIRECTION_BUCKETS = ${distances.length}u;`)
    .replace("const BUCKETS = 4u;", `const BUCKETS = ${buckets}u;`);
}

/** What buckets that cannot be shared out should have been, or undefined. */
export function bucketProblem(positions: PositionBuckets): string | undefined {
  const { buckets, bidirectional, maxDistance } = positions;
  if (bidirectional && (buckets < 4 || buckets % 2 !== 0)) {
    return "an even number of 4 or more rows";
  }
  if (buckets < 2) return "2 or more rows";
  if (maxDistance <= exactBuckets(positions)) {
    return `fewer rows for a maximum distance of ${maxDistance}`;
  }
  return undefined;
}

/** `withBuckets` of a shader, where there are buckets, under a name that tells them. */
export function bucketed({ name, source }: Shader, positions: PositionBuckets | null): Shader {
  if (!positions) return { name, source };
  const { buckets, bidirectional, maxDistance } = positions;
  const direction = bidirectional ? "bidirectional" : "backward";
  return {
    name: `${name}-${direction}-${buckets}-${maxDistance}`,
    source: withBuckets(source, positions),
  };
}

/** Buckets of one direction. */
function directionBuckets({ buckets, bidirectional }: PositionBuckets): number {
  return bidirectional ? buckets / 2 : buckets;
}

/** Buckets of one direction that hold a single distance, that of their number. */
function exactBuckets(positions: PositionBuckets): number {
  return Math.floor(directionBuckets(positions) / 2);
}
