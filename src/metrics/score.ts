/**
 * A task's scores: its metrics over what a model wrote and what it should have written, in percent.
 *
 * Invariant: the numbers are the reference's, which compares text unless the task has a metric over
 * numbers; then it reads both sides as numbers first, text that is none as -1.
 */

import type { MetricName, TaskSpecification } from "../data/types.ts";
import { accuracy, binaryF1, matthews } from "./classification.ts";
import { pearson, spearman } from "./correlation.ts";
import { parseInteger, parseReal } from "./numbers.ts";
import { rougeL, rougeN } from "./rouge.ts";
import { exactMatch, tokenF1 } from "./squad.ts";

type TextMetric = (prediction: string, target: string) => number;

/**
 * Scores predictions against targets of the same order.
 *
 * @returns each of the task's metrics, in percent
 */
export function score(
  task: TaskSpecification,
  predictions: readonly string[],
  targets: readonly string[],
): Partial<Record<MetricName, number>> {
  if (predictions.length !== targets.length || targets.length === 0) {
    throw new RangeError(
      `task ${task.name}: ${predictions.length} predictions for ${targets.length} targets`,
    );
  }
  return Object.fromEntries(
    task.metrics.map((metric) => [metric, measure(metric, task, predictions, targets)]),
  );
}

/** The one figure of a task: the mean of its metrics. */
export function meanScore(scores: Partial<Record<MetricName, number>>): number {
  const values = Object.values(scores);
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

function measure(
  metric: MetricName,
  { metrics }: TaskSpecification,
  predictions: readonly string[],
  targets: readonly string[],
): number {
  const integers = () => [predictions.map(parseInteger), targets.map(parseInteger)] as const;
  const reals = () => [predictions.map(parseReal), targets.map(parseReal)] as const;
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
      return meanPercent(exactMatch, predictions, targets);
    case "token_f1":
      return meanPercent(tokenF1, predictions, targets);
    case "rouge_1":
      return meanPercent(
        (prediction, target) => rougeN(1, prediction, target),
        predictions,
        targets,
      );
    case "rouge_2":
      return meanPercent(
        (prediction, target) => rougeN(2, prediction, target),
        predictions,
        targets,
      );
    case "rouge_l":
      return meanPercent(rougeL, predictions, targets);
  }
}

function meanPercent(
  metric: TextMetric,
  predictions: readonly string[],
  targets: readonly string[],
): number {
  const sum = predictions.reduce((sum, prediction, i) => sum + metric(prediction, targets[i]), 0);
  return 100 * sum / targets.length;
}
