/**
 * White space as Python has it (`str.split`, `str.strip`, `\s` in `re`), by which every metric of the
 * reference parts words: U+001C to U+001F and U+0085 are some, and U+FEFF, which is some to JavaScript, is
 * none. U+180E and U+200B are none to either.
 */

/** To `int()` and `float()`, which do not have the four separators U+001C to U+001F. */
const NUMBER_SPACE =
  "\\t-\\r\\x20\\x85\\xA0\\u1680\\u2000-\\u200A\\u2028\\u2029\\u202F\\u205F\\u3000";

const SPACE = `${NUMBER_SPACE}\\x1C-\\x1F`;

const runs = new RegExp(`[${SPACE}]+`);
const end = new RegExp(`[${SPACE}]+$`);
const aroundNumber = new RegExp(`^[${NUMBER_SPACE}]+|[${NUMBER_SPACE}]+$`, "g");

/** The words of a text, as Python's `text.split()`. */
export function splitWords(text: string): string[] {
  return text.split(runs).filter((word) => word !== "");
}

/** A text without white space at its end, as Python's `text.rstrip()`. */
export function stripEnd(text: string): string {
  return text.replace(end, "");
}

/** A text without the white space around it that Python's `int()` and `float()` pass over. */
export function stripNumber(text: string): string {
  return text.replace(aroundNumber, "");
}
