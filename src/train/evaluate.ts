/**
 * Scoring a model: its answers to every example, each task by its own metrics.
 */

import type { ModelConfig } from "../../models/config.ts";
import { type BatchOptions, evaluationBatches } from "../data/batch.ts";
import type { Dataset, Example, MetricName, Split, TaskSpecification } from "../data/types.ts";
import { SequenceGenerator } from "../generate/generator.ts";
import type { GenerationOptions } from "../generate/options.ts";
import type { Parameters } from "../graph/parameters.ts";
import { meanScore, score } from "../metrics/score.ts";
import type { Tokenizer } from "../text/tokenizer.ts";

/** A model that can be asked. */
export interface Answering {
  readonly generator: SequenceGenerator;
  readonly tokenizer: Tokenizer;
  readonly limits: BatchOptions;
  /** How answers are generated. */
  readonly options: GenerationOptions;
}

/** Lets a model on the device answer, greedily and with at most `maxTargetLength` ids. */
export function createAnswering(
  config: ModelConfig,
  parameters: Parameters,
  tokenizer: Tokenizer,
  limits: BatchOptions,
): Answering {
  const generator = new SequenceGenerator(config, parameters);
  // The start token counts, which a target does not have.
  return { generator, tokenizer, limits, options: { maxLength: limits.maxTargetLength + 1 } };
}

/** An example with what the model wrote. */
export interface Prediction extends Example {
  readonly prediction: string;
}

/** One task's result. */
export interface TaskResult {
  readonly task: TaskSpecification;
  readonly predictions: readonly Prediction[];
  /** In percent. */
  readonly scores: Partial<Record<MetricName, number>>;
}

/** The result of an evaluation. */
export interface Evaluation {
  /** For each data set, in order. */
  readonly tasks: readonly TaskResult[];
  /** The mean over tasks of the mean over a task's metrics, in percent. */
  readonly average: number;
  /** Sources and targets that were longer than the limits and were cut. */
  readonly truncated: number;
}

/** What is evaluated, and who may watch or stop it. */
export interface EvaluationOptions {
  readonly split: Split;
  /** Examples per task, spread evenly over the split; all of them if 0, or unless told. */
  readonly limit?: number;
  readonly signal?: AbortSignal;
  /** Called after every batch with the number of examples done and of all. */
  readonly onProgress?: (done: number, total: number) => void;
}

/** The answers to some examples. */
export interface Answers {
  /** In the order of the examples. */
  readonly texts: readonly string[];
  /** Sources and targets that were longer than the limits and were cut. */
  readonly truncated: number;
}

/**
 * Has a model answer the sources of `examples`.
 *
 * @returns `undefined` when the signal stopped it
 */
export async function answer(
  { generator, tokenizer, limits, options }: Answering,
  examples: readonly Example[],
  { signal, onProgress }: Pick<EvaluationOptions, "signal" | "onProgress"> = {},
): Promise<Answers | undefined> {
  const texts: string[] = new Array(examples.length);
  let done = 0, truncated = 0;
  for (const batch of evaluationBatches(examples, tokenizer, limits)) {
    if (signal?.aborted) return undefined;
    const rows = await generator.generate(batch, options);
    batch.indices.forEach((example, row) => texts[example] = tokenizer.decode(rows[row][0].tokens));
    truncated += batch.truncated;
    onProgress?.(done += batch.indices.length, examples.length);
  }
  return { texts, truncated };
}

/**
 * Evaluates a model on one split of some tasks.
 *
 * @returns `undefined` when the signal stopped it
 */
export async function evaluate(
  model: Answering,
  datasets: readonly Dataset[],
  { split, limit, ...watch }: EvaluationOptions,
): Promise<Evaluation | undefined> {
  const chosen = datasets.map(({ splits }) => spread(splits[split] ?? [], limit));
  // Tasks share batches: fewer of them, and fewer shapes to compile.
  const answers = await answer(model, chosen.flat(), watch);
  if (answers === undefined) return undefined;
  let next = 0;
  const tasks = datasets.map(({ task }, i) => {
    const predictions = chosen[i].map((example) => ({
      ...example,
      prediction: answers.texts[next++],
    }));
    const texts = predictions.map(({ prediction }) => prediction);
    const targets = predictions.map(({ target }) => target);
    return { task, predictions, scores: score(task, texts, targets) };
  });
  const sum = tasks.reduce((sum, { scores }) => sum + meanScore(scores), 0);
  return { tasks, average: sum / tasks.length, truncated: answers.truncated };
}

/**
 * What always answering with the most frequent training target scores on a split, by metric; with the
 * split's own most frequent target where there are no training examples.
 */
export function majorityBaseline(
  { task, splits }: Dataset,
  split: Split,
): Partial<Record<MetricName, number>> {
  const counts = new Map<string, number>();
  for (const { target } of splits.train ?? splits[split] ?? []) {
    counts.set(target, (counts.get(target) ?? 0) + 1);
  }
  const [majority] = [...counts].reduce((most, entry) => entry[1] > most[1] ? entry : most);
  const targets = (splits[split] ?? []).map(({ target }) => target);
  return score(task, targets.map(() => majority), targets);
}

function spread(examples: readonly Example[], limit = 0): readonly Example[] {
  if (limit === 0 || examples.length <= limit) return examples;
  const step = examples.length / limit;
  return Array.from({ length: limit }, (_, i) => examples[Math.floor(i * step)]);
}
