/**
 * The table of replacements by which a SentencePiece model normalises text, the `precompiled_charsmap`:
 * a trie of UTF-8 strings and what each becomes.
 *
 * Invariant: the result is that of the `tokenizers` package for Python, which looks up whole graphemes
 * and replaces one by what its *shortest* prefix in the table stands for. SentencePiece itself takes the
 * longest prefix and keeps the rest; the two differ where an accent follows a compatibility character
 * (`ﬁ` + accent), and fine-tuned T5s have seen the former.
 */

import { UserError } from "../errors.ts";

/** A grapheme of this many bytes or more is looked up character by character. */
const LONG_GRAPHEME = 6;

/** Graphemes remembered; text of one script rarely has more. */
const CACHE_SIZE = 20_000;

/**
 * The function that normalises text by a charsmap: the size of the trie (u32, little-endian), the trie
 * (a double array of u32), and its values (UTF-8 strings that end with a zero byte).
 *
 * @throws {UserError} when the sizes are not a charsmap's
 */
export function charsmapNormalizer(charsmap: Uint8Array): (text: string) => string {
  const view = new DataView(charsmap.buffer, charsmap.byteOffset, charsmap.byteLength);
  const trieBytes = charsmap.length < 4 ? NaN : view.getUint32(0, true);
  if (!(trieBytes >= 4 && trieBytes % 4 === 0 && 4 + trieBytes <= charsmap.length)) {
    throw new UserError(
      `The tokenizer's precompiled_charsmap is damaged: it has ${charsmap.length} bytes, which is ` +
        `no room for its table; fetch the tokenizer again.`,
    );
  }
  const trie = Uint32Array.from(
    { length: trieBytes / 4 },
    (_, i) => view.getUint32(4 + 4 * i, true),
  );
  const values = charsmap.subarray(4 + trieBytes);
  const replacement = (key: string) => {
    const at = shortestPrefix(trie, encoder.encode(key));
    if (at === undefined) return undefined;
    const end = values.indexOf(0, at);
    return decoder.decode(values.subarray(at, end < 0 ? undefined : end));
  };

  function normalizeGrapheme(grapheme: string): string {
    const whole = encoder.encode(grapheme).length < LONG_GRAPHEME
      ? replacement(grapheme)
      : undefined;
    if (whole !== undefined) return whole;
    let result = "";
    for (const character of grapheme) result += replacement(character) ?? character;
    return result;
  }

  const cache = new Map<string, string>();
  function normalizeStretch(text: string): string {
    let result = "";
    for (const { segment } of segmenter.segment(text)) {
      let normalized = cache.get(segment);
      if (normalized === undefined) {
        normalized = normalizeGrapheme(segment);
        if (cache.size < CACHE_SIZE) cache.set(segment, normalized);
      }
      result += normalized;
    }
    return result;
  }

  // Printable ASCII characters are graphemes of their own, but for those beside others.
  const printable = Array.from({ length: 95 }, (_, i) => String.fromCharCode(32 + i));
  const keepsPrintable = printable.every((character) => replacement(character) === undefined);
  return keepsPrintable ? (text) => text.replace(OTHERS, normalizeStretch) : normalizeStretch;
}

/** Characters that are not printable ASCII, with a neighbour at either side. */
const OTHERS = /[ -~]?[^ -~]+(?:[ -~][^ -~]+)*[ -~]?/g;

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
const segmenter = new Intl.Segmenter("en", { granularity: "grapheme" });

/**
 * The value of the shortest prefix of `key` in a double array as darts-clone writes it. Each u32 has the
 * byte that leads to it (bits 0–7), whether a key ends there (8), and by which exclusive-or its children
 * are found (10–30, in units of 256 if bit 9 is set); a value is marked by bit 31.
 */
function shortestPrefix(trie: Uint32Array, key: Uint8Array): number | undefined {
  const children = (unit: number) => (unit >>> 10) << ((unit & 0x200) >>> 6);
  let node = children(trie[0]);
  for (const byte of key) {
    if (byte === 0) return undefined;
    node ^= byte;
    const unit = trie[node];
    if (unit === undefined || (unit & 0x8000_00ff) !== byte) return undefined;
    node ^= children(unit);
    if ((unit & 0x100) !== 0) return trie[node] & 0x7fff_ffff;
  }
  return undefined;
}
