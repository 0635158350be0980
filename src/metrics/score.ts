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

/** What a prediction should have been; a list where any of several will do, which not all metrics know. */
export type Target = string | readonly string[];

/**
 * Scores predictions against targets of the same order. Exact match and token F1 take the best over a
 * list of targets; other metrics take its first.
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
  const targets = answers.map(([first]) => first);
  const integer = integerReader(labels);
  const integers = () => [predictions.map(integer), targets.map(integer)] as const;
  const reals = () => [predictions.map(parseReal), targets.map(parseReal)] as const;
  const best = (metric: TextMetric) =>
    meanPercent(predictions.map((text, i) => bestOverAnswers(metric, text, answers[i])));
  const overlap = (metric: (prediction: string, target: string) => Overlap) =>
    meanPercent(predictions.map((text, i) => metric(text, targets[i]).f1));
  switch (metric) {
    case "accuracy":
      return metrics.includes("f1") || metrics.includes("matthews")
        ? accuracy(...integers())
        : accuracy(predictions, targets);
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
      return best(tokenF1);
    case "rouge_1":
      return overlap((prediction, target) => rougeN(1, prediction, target));
    case "rouge_2":
      return overlap((prediction, target) => rougeN(2, prediction, target));
    case "rouge_l":
      return overlap(rougeL);
    case "rouge_lsum":
      return overlap((prediction, target) => rougeLsum(...bySentence(prediction, target)));
    case "bleu":
      return bleu(predictions, targets);
  }
}

/** Reads classes as numbers; labels that are other than 0 and 1 by their place among the labels. */
function integerReader(labels: TaskSpecification["labels"]): (text: string) => number {
  if (labels === undefined || labels.every((label) => ["0", "1"].includes(label))) {
    return parseInteger;
  }
  return (text) => labels.indexOf(text);
}

function meanPercent(values: readonly number[]): number {
  return 100 * values.reduce((sum, value) => sum + value, 0) / values.length;
}

const segmenter = new Intl.Segmenter("en", { granularity: "sentence" });

/** Texts with a line for each sentence. The reference cuts them with NLTK's trained splitter instead. */
function bySentence(prediction: string, target: string): [string, string] {
  const cut = (text: string) =>
    Array.from(segmenter.segment(text), ({ segment }) => segment.trim()).join("\n");
  return [cut(prediction), cut(target)];
}
