/**
 * Answers to questions: of several that were given one is chosen, and of several that are right the
 * nearest counts. So the official evaluations of SQuAD and MRQA do.
 */

/** What a model answered, and how unsure it was. */
export interface Candidate {
  readonly text: string;
  /** Negative log-likelihood, lower for the surer. */
  readonly nll: number;
}

/**
 * The surest of the answers that parts of a text gave to one question, the first of equals. Parts that
 * have no answer say so by an empty text: it is chosen only where all are empty.
 */
export function surest<T extends Candidate>(candidates: readonly T[]): T {
  const found = candidates.filter(({ text }) => text !== "");
  return (found.length > 0 ? found : candidates).reduce((best, candidate) =>
    candidate.nll < best.nll ? candidate : best
  );
}

/** The most that a prediction has of a metric over all answers that are right. */
export function bestOverAnswers(
  metric: (prediction: string, answer: string) => number,
  prediction: string,
  answers: readonly string[],
): number {
  return Math.max(...answers.map((answer) => metric(prediction, answer)));
}
