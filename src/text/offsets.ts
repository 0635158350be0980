/**
 * Where the pieces of a tokenised text stand in it.
 *
 * The library says which pieces a text has, not where they come from, and normalisation changes lengths
 * (`ﬁ` becomes two letters, two spaces one). But graphemes are normalised one by one, and but for white
 * space and its mark nothing is added or lost after that: so the n-th visible character of the pieces
 * comes from the grapheme that gives the n-th visible character of the normalised text.
 *
 * Offsets are those of the `tokenizers` package for Python with T5's own pre-tokenizer: a piece does not
 * own the space before it. Of characters that a longer grapheme is composed of, all own the whole of it.
 */

/** Where a piece begins, and where it ends, in characters (code points). */
export type Offset = readonly [begin: number, end: number];

/** White space, and what stands for it in pieces. */
const INVISIBLE = /[\s\u2581]/u;

/** Characters that no normaliser of T5 changes or composes. */
const PLAIN = /^[\n\t -~]*$/;

/**
 * The offsets of a text's pieces.
 *
 * @param pieces in order; joined, without white space, they are the normalised text
 * @param normalize of a grapheme
 */
export function pieceOffsets(
  text: string,
  pieces: readonly string[],
  normalize: (grapheme: string) => string,
): Offset[] {
  const visible = PLAIN.test(text) ? plainOffsets(text) : graphemeOffsets(text, normalize);
  const end = visible.at(-1)?.[1] ?? 0;
  const at = (index: number): Offset => visible[Math.min(index, visible.length - 1)] ?? [end, end];
  let next = 0;
  return pieces.map((piece) => {
    let length = 0;
    for (const character of piece) if (!INVISIBLE.test(character)) length++;
    const first = at(next), last = at(next + Math.max(length, 1) - 1);
    next += length;
    return [first[0], last[1]];
  });
}

/** The place of every visible character of a text that is normalised already. */
function plainOffsets(text: string): Offset[] {
  const offsets: Offset[] = [];
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) > 32) offsets.push([i, i + 1]);
  return offsets;
}

const segmenter = new Intl.Segmenter("en", { granularity: "grapheme" });

/** For every visible character of the normalised text, the place in the text that it comes from. */
function graphemeOffsets(text: string, normalize: (grapheme: string) => string): Offset[] {
  const offsets: Offset[] = [];
  let begin = 0;
  for (const { segment } of segmenter.segment(text)) {
    const normalized = normalize(segment);
    const size = [...segment].length;
    const isSame = normalized === segment;
    [...normalized].forEach((character, i) => {
      if (INVISIBLE.test(character)) return;
      offsets.push(isSame ? [begin + i, begin + i + 1] : [begin, begin + size]);
    });
    begin += size;
  }
  return offsets;
}
