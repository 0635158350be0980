/**
 * Which relative positions share a row of T5's position bias table (Raffel et al. 2020, section 2.1).
 */

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
export function firstDistances({ buckets, bidirectional, maxDistance }: PositionBuckets): number[] {
  const count = bidirectional ? buckets / 2 : buckets;
  const exact = Math.floor(count / 2);
  const bucketOf = (distance: number): number => {
    if (distance < exact) return distance;
    const { fround } = Math;
    const logarithm = fround(Math.log(fround(distance / exact)));
    const fraction = fround(logarithm / fround(Math.log(maxDistance / exact)));
    return Math.min(count - 1, exact + Math.trunc(fround(fraction * (count - exact))));
  };
  const first: number[] = [];
  for (let distance = 0; distance <= maxDistance; distance++) {
    while (first.length <= bucketOf(distance)) first.push(distance);
  }
  return first;
}

/** A shader that looks positions up, with the constants that say which bucket each is in. */
export function withBuckets(source: string, positions: PositionBuckets): string {
  const distances = firstDistances(positions);
  const list = distances.map((distance) => `${distance}u`).join(", ");
  return source
    .replace(
      "const FIRST_DISTANCES = array<u32, 2>(0u, 1u);",
      `const FIRST_DISTANCES = array<u32, ${distances.length}>(${list});`,
    )
    .replace("const BIDIRECTIONAL = true;", `const BIDIRECTIONAL = ${positions.bidirectional};`)
    .replace("const DIRECTION_BUCKETS = 2u;", `const DIRECTION_BUCKETS = ${distances.length}u;`);
}
