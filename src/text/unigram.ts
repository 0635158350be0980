/**
 * Unigram models: of all ways to cut a word into pieces, the most likely one.
 *
 * Invariant: pieces, and which of equally likely ways is taken, are those of the `tokenizers` package for
 * Python. The library's own model gives the same, but takes seconds and hundreds of megabytes for the trie
 * of mT5's 250,000 pieces, where looking each substring up needs none.
 */

/** What an unknown character costs, beyond the least likely piece. */
const UNKNOWN_PENALTY = 10;

/**
 * The function that cuts words by a model. Unknown characters in a row are one piece.
 *
 * @param unkId of the piece that stands for what is unknown
 */
export function createUnigram(
  vocab: readonly (readonly [piece: string, score: number])[],
  unkId: number,
): (word: string) => string[] {
  const scores = new Map(vocab);
  const longest = new Map<string, number>(); // of the pieces that begin with a character, in UTF-16 units
  let least = Infinity;
  for (const [piece, score] of vocab) {
    const first = firstOf(piece, 0);
    longest.set(first, Math.max(longest.get(first) ?? 0, piece.length));
    least = Math.min(least, score);
  }
  const unknown = vocab[unkId][0];

  return (word) => {
    const size = word.length;
    const best = new Float64Array(size + 1); // the score of the best way to each place
    const from = new Int32Array(size + 1).fill(-1); // where its last piece begins
    const reach = (start: number, end: number, score: number) => {
      const total = score + best[start];
      if (from[end] >= 0 && total <= best[end]) return;
      best[end] = total;
      from[end] = start;
    };
    for (let start = 0; start < size;) {
      const first = firstOf(word, start);
      const limit = Math.min(size, start + (longest.get(first) ?? 0));
      for (let end = start + first.length; end <= limit; end++) {
        const score = scores.get(word.slice(start, end));
        if (score !== undefined) reach(start, end, score);
      }
      if (!scores.has(first)) reach(start, start + first.length, least - UNKNOWN_PENALTY);
      start += first.length;
    }

    const pieces: string[] = [];
    let wasUnknown = false;
    for (let end = size; end > 0; end = from[end]) {
      const piece = word.slice(from[end], end);
      const isUnknown = piece === unknown || !scores.has(piece);
      if (isUnknown && wasUnknown) pieces[pieces.length - 1] = piece + pieces.at(-1);
      else pieces.push(piece);
      wasUnknown = isUnknown;
    }
    return pieces.reverse();
  };
}

/** The character at a place; nothing at the end. */
function firstOf(text: string, place: number): string {
  const code = text.codePointAt(place);
  return code === undefined ? "" : String.fromCodePoint(code);
}
