/**
 * JSON that is changed and written again, with numbers in the form in which they were.
 *
 * JavaScript has one kind of number, Python two: what says 1.0 there must not say 1 here afterwards, for a
 * reader who checks types refuses it. Numbers of more digits than a double has survive as well.
 */

import { parseWithSource } from "./json.ts";

/** Of which TypeScript's library does not know yet. */
const { rawJSON } = JSON as unknown as { rawJSON(text: string): object };

/**
 * Parses what will be written again by `JSON.stringify` alone: a number that this would spell differently is
 * an opaque object.
 *
 * @param isFloat whether numbers under a key are floating-point ones, whatever they look like: 1 becomes 1.0
 */
export function parseForm(text: string, isFloat: (key: string) => boolean = () => false): unknown {
  return parseWithSource(text, (key, value, { source }) => {
    if (typeof value !== "number" || source === undefined) return value;
    const form = isFloat(key) ? floatForm(source) : source;
    return form === JSON.stringify(value) ? value : rawJSON(form);
  });
}

/** A floating-point number, for `JSON.stringify` to write as one. */
export function float(value: number): object {
  return rawJSON(floatForm(JSON.stringify(value)));
}

function floatForm(source: string): string {
  return /^-?\d+$/.test(source) ? `${source}.0` : source;
}
