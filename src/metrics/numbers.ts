/**
 * Numbers in generated text, read as the reference reads them, with Python's `float()` and `int()`:
 * white space around, underscores between digits and digits of any script are fine, anything else
 * is not a number.
 */

import { stripNumber } from "./white-space.ts";

/** What stands for text that is not a number: no task has it as a target. */
const INVALID = -1;

/** The whole number that `text` is, or -1. */
export function parseInteger(text: string): number {
  const plain = plainNumber(text);
  return /^[+-]?\d+$/.test(plain) ? Number(plain) : INVALID;
}

/** The number that `text` is (infinite and NaN included), or -1. */
export function parseReal(text: string): number {
  const plain = plainNumber(text);
  if (/^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(plain)) return Number(plain);
  const word = /^([+-]?)(inf|infinity|nan)$/i.exec(plain);
  if (word === null) return INVALID;
  if (word[2].toLowerCase() === "nan") return NaN;
  return word[1] === "-" ? -Infinity : Infinity;
}

/** Trimmed, digits of all scripts as ASCII digits, underscores between digits left out. */
function plainNumber(text: string): string {
  return stripNumber(text).replace(/\p{Nd}/gu, asciiDigit).replace(/(?<=\d)_(?=\d)/g, "");
}

/** Every script's ten digits follow one another, and blocks of digits start at a zero. */
function asciiDigit(digit: string): string {
  const code = digit.codePointAt(0)!;
  let start = code;
  while (/\p{Nd}/u.test(String.fromCodePoint(start - 1))) start--;
  return String((code - start) % 10);
}
