/** What the reference computed, and how close to it a metric must come. */

import * as assert from "uvu/assert";

const path = new URL("../fixtures/metrics.json", import.meta.url);
const sections = JSON.parse(await Deno.readTextFile(path));

/** A section of the reference's results. */
export function reference<T>(name: string): T {
  return sections[name];
}

/** JSON has no word for these numbers, so the fixture writes them as strings. */
export function number(value: number | string): number {
  return Number(value);
}

/** Asserts equality to nine digits. */
export function assertClose(actual: number, expected: number, message: string): void {
  const error = Math.abs(actual - expected);
  assert.ok(
    error <= 1e-9 * Math.max(1, Math.abs(expected)),
    `${message}: ${actual}, not ${expected}`,
  );
}
