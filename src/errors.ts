/**
 * Errors that a user can mend: bad input, a missing file, an impossible setting.
 *
 * Everything else that is thrown is a defect of this project and keeps its stack trace.
 */

/** Something the caller gave is wrong. The message is one sentence: what, where, and what to do. */
export class UserError extends Error {
  override name = "UserError";
}

/**
 * The candidate nearest to `word` by edit distance, or `undefined` when none is near enough to be a
 * plausible typing error.
 *
 * @param share one letter in so many may differ
 */
export function nearest(
  word: string,
  candidates: Iterable<string>,
  share = 3,
): string | undefined {
  let best: string | undefined;
  let bestDistance = Math.max(1, Math.floor(word.length / share)) + 1;
  for (const candidate of candidates) {
    const distance = editDistance(word.toLowerCase(), candidate.toLowerCase());
    if (distance < bestDistance) [best, bestDistance] = [candidate, distance];
  }
  return best;
}

/** ` (did you mean "x"?)`, or the empty string when nothing is near. */
export function suggestion(word: string, candidates: Iterable<string>): string {
  const match = nearest(word, candidates);
  return match === undefined ? "" : ` (did you mean "${match}"?)`;
}

function editDistance(a: string, b: string): number {
  let previous = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const current = [i];
    for (let j = 1; j <= b.length; j++) {
      const substitution = previous[j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1);
      current.push(Math.min(substitution, previous[j] + 1, current[j - 1] + 1));
    }
    previous = current;
  }
  return previous[b.length];
}
