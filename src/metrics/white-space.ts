/**
 * White space as Python has it (`str.split`, `str.strip`, `\s` in `re`), by which every metric of the
 * reference parts words: U+001C to U+001F and U+0085 are some, and U+FEFF, which is some to JavaScript, is
 * none. U+180E and U+200B are none to either.
 */

const SPACE =
  "\\t-\\r\\x1C-\\x20\\x85\\xA0\\u1680\\u2000-\\u200A\\u2028\\u2029\\u202F\\u205F\\u3000";

const runs = new RegExp(`[${SPACE}]+`);
const end = new RegExp(`[${SPACE}]+$`);
const ends = new RegExp(`^[${SPACE}]+|[${SPACE}]+$`, "g");

/** The words of a text, as Python's `text.split()`. */
export function splitWords(text: string): string[] {
  return text.split(runs).filter((word) => word !== "");
}

/** A text without white space at its ends, as Python's `text.strip()`. */
export function strip(text: string): string {
  return text.replace(ends, "");
}

/** A text without white space at its end, as Python's `text.rstrip()`. */
export function stripEnd(text: string): string {
  return text.replace(end, "");
}
