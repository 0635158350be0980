/**
 * What a text-to-text task is to the rest of the project: named splits of (source, target) strings and
 * the metrics its predictions are scored with. Readers and generators make it; mixtures consume it.
 */

/** A part of a data set. */
export type Split = "train" | "validation" | "test";

/** The metrics there are, by their names in tables and JSON; see `src/metrics`. */
export const METRIC_NAMES = [
  "accuracy",
  "f1",
  "matthews",
  "pearson",
  "spearman",
  "exact_match",
  "token_f1",
  "rouge_1",
  "rouge_2",
  "rouge_l",
  "rouge_lsum",
  "rouge_lsum_lines",
  "bleu",
] as const;

/** A metric by its name. */
export type MetricName = typeof METRIC_NAMES[number];

/** One text-to-text example. */
export interface Example {
  readonly task: string;
  /** What the encoder reads, task prefix included. */
  readonly source: string;
  /** What the decoder should write. */
  readonly target: string;
  /** Every text that is right, the target first, where there are several. */
  readonly references?: readonly string[];
  /** The source as ids, end of sequence included, where it is cut out of a longer text of them. */
  readonly sourceIds?: readonly number[];
  /** The question that the target is an answer to, where answers are scored by question. */
  readonly question?: Question;
}

/** A question, which may be asked of several parts of a text: an example for each, one after another. */
export interface Question {
  readonly id: string;
  /** Answers of which any is right; at least one, which is empty where the question has no answer. */
  readonly answers: readonly string[];
}

/** A task: its label set (if closed) and how predictions are scored. */
export interface TaskSpecification {
  readonly name: string;
  /** One sentence for `--help` and tables. */
  readonly description: string;
  /** The closed set of targets, for classification. A row with any other label is an error. */
  readonly labels?: readonly string[];
  /** Metrics reported; the task's score is their mean (as in the reference's average_metrics). */
  readonly metrics: readonly MetricName[];
  /**
   * Most ids of an answer, the start token included; or texts, of which the longest says it. Without it
   * an answer may be as long as a target.
   */
  readonly answerLength?: number | readonly string[];
  /** Beams that answers are searched with; greedy choice without it. */
  readonly beams?: number;
  /** Whether an answer may be empty, since some question has none; as in the reference, it may not else. */
  readonly mayBeEmpty?: boolean;
}

/** A task with its examples. A split may be absent (then it is not offered). */
export interface Dataset {
  readonly task: TaskSpecification;
  readonly splits: Partial<Record<Split, readonly Example[]>>;
}
