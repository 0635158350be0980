/**
 * The few numbers that a fixture keeps of a tensor instead of the tensor.
 */

import type { Comparison } from "./comparison.ts";
import type { Fields } from "./json.ts";

/** Compares norm, largest magnitude and sampled entries. */
export function compareStatistics(
  comparison: Comparison,
  name: string,
  values: ArrayLike<number>,
  expected: Fields,
): void {
  const { l2, absmax } = summarize(values);
  const expectedAbsmax = expected.number("absmax");
  comparison.value(`l2 of ${name}`, l2, expected.number("l2"));
  comparison.value(`absmax of ${name}`, absmax, expectedAbsmax);
  const samples = expected.numbers("sample_values");
  expected.numbers("sample_flat_indices").forEach((index, i) => {
    comparison.value(`element ${index} of ${name}`, values[index], samples[i], expectedAbsmax);
  });
}

/**
 * Compares the sum, which may be near zero where the entries are not: its error is measured by the norm.
 *
 * Errors that are allowed in each of n entries could add up to √n times that. Rounding errors are of
 * either sign and stay far below; a wrong kernel's are not.
 */
export function compareSum(
  comparison: Comparison,
  name: string,
  values: ArrayLike<number>,
  expected: Fields,
): void {
  const { sum } = summarize(values);
  comparison.value(`sum of ${name}`, sum, expected.number("sum"), expected.number("l2"));
}

function summarize(values: ArrayLike<number>): { l2: number; sum: number; absmax: number } {
  let squares = 0, sum = 0, absmax = 0;
  for (let i = 0; i < values.length; i++) {
    squares += values[i] ** 2;
    sum += values[i];
    absmax = Math.max(absmax, Math.abs(values[i]));
  }
  return { l2: Math.sqrt(squares), sum, absmax };
}
