/**
 * A task's scores: its metrics over what a model wrote and what it should have written, in percent.
 *
 * Invariant: the numbers are the reference's, which compares text unless the task has a metric over
 * numbers; then it reads both sides as numbers first, text that is none as -1.
 */

import type { MetricName, TaskSpecification } from "../data/types.ts";
import { bestOverAnswers } from "./answers.ts";
import { bleu } from "./bleu.ts";
import { accuracy, binaryF1, matthews } from "./classification.ts";
import { pearson, spearman } from "./correlation.ts";
import { parseInteger, parseReal } from "./numbers.ts";
import { type Overlap, rougeL, rougeLsum, rougeN } from "./rouge.ts";
import { exactMatch, tokenF1 } from "./squad.ts";

type TextMetric = (prediction: string, target: string) => number;

/** What a prediction should have been; a list where any of several will do. */
export type Target = string | readonly string[];

/**
 * Scores predictions against targets of the same order. Of a list of targets, exact match, token F1 and
 * each kind of ROUGE take the best (as SQuAD's evaluation and `rouge-score`'s `score_multi`), BLEU takes all
 * (as `sacrebleu`), and accuracy takes any; metrics over numbers take the first.
 *
 * @returns each of the task's metrics, in percent
 */
export function score(
  task: TaskSpecification,
  predictions: readonly string[],
  targets: readonly Target[],
): Partial<Record<MetricName, number>> {
  if (predictions.length !== targets.length || targets.length === 0) {
    throw new RangeError(
      `task ${task.name}: ${predictions.length} predictions for ${targets.length} targets`,
    );
  }
  const answers = targets.map((target) => typeof target === "string" ? [target] : target);
  return Object.fromEntries(
    task.metrics.map((metric) => [metric, measure(metric, task, predictions, answers)]),
  );
}

/** The one figure of a task: the mean of its metrics. */
export function meanScore(scores: Partial<Record<MetricName, number>>): number {
  const values = Object.values(scores);
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

function measure(
  metric: MetricName,
  { metrics, labels }: TaskSpecification,
  predictions: readonly string[],
  answers: readonly (readonly string[])[],
): number {
  const first = answers.map(([target]) => target);
  const integer = integerReader(labels);
  const integers = () => [predictions.map(integer), first.map(integer)] as const;
  const reals = () => [predictions.map(parseReal), first.map(parseReal)] as const;
  const best = (metric: TextMetric) =>
    meanPercent(predictions.map((text, i) => bestOverAnswers(metric, text, answers[i])));
  const overlap = (metric: (prediction: string, target: string) => Overlap) =>
    best((prediction, target) => metric(prediction, target).f1);
  switch (metric) {
    case "accuracy":
      return metrics.includes("f1") || metrics.includes("matthews")
        ? accuracy(...integers())
        : best((prediction, target) => Number(prediction === target));
    case "f1":
      return binaryF1(...integers());
    case "matthews":
      return matthews(...integers());
    case "pearson":
      return pearson(...reals());
    case "spearman":
      return spearman(...reals());
    case "exact_match":
      return best(exactMatch);
    case "token_f1":
      return best(answerF1);
    case "rouge_1":
      return overlap((prediction, target) => rougeN(1, prediction, target));
    case "rouge_2":
      return overlap((prediction, target) => rougeN(2, prediction, target));
    case "rouge_l":
      return overlap(rougeL);
    case "rouge_lsum":
      return overlap((prediction, target) => rougeLsum(...bySentence(prediction, target)));
    case "rouge_lsum_lines":
      return overlap(rougeLsum);
    case "bleu":
      return bleu(predictions, answers);
  }
}

/** Reads classes as numbers; labels that are other than 0 and 1 by their place among the labels. */
function integerReader(labels: TaskSpecification["labels"]): (text: string) => number {
  if (labels === undefined || labels.every((label) => ["0", "1"].includes(label))) {
    return parseInteger;
  }
  return (text) => labels.indexOf(text);
}

/** Token F1; to the empty text, which answers a question that has no answer, only the empty text is right. */
function answerF1(prediction: string, answer: string): number {
  return (answer === "" ? exactMatch : tokenF1)(prediction, answer);
}

function meanPercent(values: readonly number[]): number {
  return 100 * values.reduce((sum, value) => sum + value, 0) / values.length;
}

const segmenter = new Intl.Segmenter("en", { granularity: "sentence" });

/**
 * Texts with a line for each sentence, by Unicode's rules for English. The reference cuts them with NLTK's
 * trained splitter instead, which knows more abbreviations; `rouge_lsum_lines` takes lines as they are.
 */
function bySentence(prediction: string, target: string): [string, string] {
  const cut = (text: string) =>
    Array.from(segmenter.segment(text), ({ segment }) => segment.trim()).join("\n");
  return [cut(prediction), cut(target)];
}
