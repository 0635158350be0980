/**
 * Where the pieces of a tokenised text stand in it.
 *
 * A model says which pieces a text has, not where they come from, and normalisation changes lengths
 * (`ﬁ` becomes two letters, two spaces one). But graphemes are normalised one by one, and but for white
 * space and its mark nothing is added or lost after that: so the n-th visible character of the pieces
 * comes from the grapheme that gives the n-th visible character of the normalised text.
 *
 * Offsets are those of the `tokenizers` package for Python with T5's own pre-tokenizer: a piece does not
 * own the space before it. Of characters that a longer grapheme is composed of, all own the whole of it.
 */

import { UserError } from "../errors.ts";
import { byteLetters } from "./normalizers.ts";

/** Where a piece begins, and where it ends, in characters (code points). */
export type Offset = readonly [begin: number, end: number];

/** White space, and what stands for it in pieces. */
const INVISIBLE = /[\p{White_Space}\u2581]/u;

/** Characters that no normaliser of T5 changes or composes. */
const PLAIN = /^[\n\t -~]*$/;

/**
 * The offsets of a text's pieces.
 *
 * @param pieces in order; joined, without white space, they are the normalised text
 * @param normalize of a grapheme
 * @throws {UserError} when they are not
 */
export function pieceOffsets(
  text: string,
  pieces: readonly string[],
  normalize: (grapheme: string) => string,
): Offset[] {
  const visible = PLAIN.test(text)
    ? plainOffsets(text)
    : graphemeOffsets(text, normalize).filter(({ character }) => !INVISIBLE.test(character))
      .map(({ place }) => place);
  const end = visible.at(-1)?.[1] ?? 0;
  const at = (index: number): Offset => visible[Math.min(index, visible.length - 1)] ?? [end, end];
  let next = 0;
  const offsets = pieces.map((piece): Offset => {
    let length = 0;
    for (const character of piece) if (!INVISIBLE.test(character)) length++;
    const first = at(next), last = at(next + Math.max(length, 1) - 1);
    next += length;
    return [first[0], last[1]];
  });
  if (next !== visible.length) throw unplaceable(text);
  return offsets;
}

/**
 * The offsets of pieces whose letters stand for the bytes of the normalised text.
 *
 * @param pieces in order; a space that the text does not have may begin the first
 * @throws {UserError} when they are not the text's
 */
export function bytePieceOffsets(
  text: string,
  pieces: readonly string[],
  normalize: (grapheme: string) => string,
): Offset[] {
  const bytes = graphemeOffsets(text, normalize).flatMap(({ character, place }) =>
    Array.from(
      byteLetters(character),
      (letter) => ({ letter, place, isVisible: character !== " " }),
    )
  );
  let next = 0;
  const offsets = pieces.map((piece): Offset => {
    // A space that was put before a word is none of the text.
    const isPrefixed = piece[0] === SPACE_LETTER && bytes[next]?.letter !== SPACE_LETTER;
    const all = bytes.slice(next, next += piece.length - (isPrefixed ? 1 : 0));
    const visible = all.filter(({ isVisible }) => isVisible);
    if (visible.length > 0) return [visible[0].place[0], visible.at(-1)!.place[1]];
    const end = all.at(-1)?.place[1] ?? 0;
    return [end, end];
  });
  if (next !== bytes.length) throw unplaceable(text);
  return offsets;
}

/** Stands for a space in byte-level vocabularies. */
const SPACE_LETTER = byteLetters(" ");

function unplaceable(text: string): UserError {
  return new UserError(
    `The tokenizer changes text in a way that its pieces cannot be found in it again ` +
      `(${JSON.stringify(text.slice(0, 40))}…), which questions about a text need; ` +
      `use another tokenizer for these tasks.`,
  );
}

/** The place of every visible character of a text that is normalised already. */
function plainOffsets(text: string): Offset[] {
  const offsets: Offset[] = [];
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) > 32) offsets.push([i, i + 1]);
  return offsets;
}

const segmenter = new Intl.Segmenter("en", { granularity: "grapheme" });

/** For every character of the normalised text, the place in the text that it comes from. */
function graphemeOffsets(
  text: string,
  normalize: (grapheme: string) => string,
): { character: string; place: Offset }[] {
  const offsets: { character: string; place: Offset }[] = [];
  let begin = 0;
  for (const { segment } of segmenter.segment(text)) {
    const normalized = normalize(segment);
    const size = [...segment].length;
    const isSame = normalized === segment;
    [...normalized].forEach((character, i) => {
      const place: Offset = isSame ? [begin + i, begin + i + 1] : [begin, begin + size];
      offsets.push({ character, place });
    });
    begin += size;
  }
  return offsets;
}
