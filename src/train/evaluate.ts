/**
 * Scoring a model: greedy answers to every example, each task by its own metrics.
 */

import { type BatchOptions, evaluationBatches } from "../data/batch.ts";
import type { Dataset, Example, MetricName, Split, TaskSpecification } from "../data/types.ts";
import { meanScore, score } from "../metrics/score.ts";
import type { Tokenizer } from "../text/tokenizer.ts";

/** Writes the ids of an answer for each row of a batch; see `src/generate`. */
export interface Decoder {
  generate(batch: {
    readonly inputIds: Int32Array;
    readonly attentionMask: Int32Array;
    readonly batchSize: number;
    readonly sourceLength: number;
  }): Promise<number[][]>;
}

/** A model that can be asked. */
export interface Answering {
  readonly decoder: Decoder;
  readonly tokenizer: Tokenizer;
  readonly limits: BatchOptions;
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

/** What is evaluated, and who may watch or stop it. */
export interface EvaluationOptions {
  readonly split: Split;
  /** Examples per task, spread evenly over the split; all of them unless told. */
  readonly limit?: number;
  readonly signal?: AbortSignal;
  /** Called after every batch with the number of examples done and of all. */
  readonly onProgress?: (done: number, total: number) => void;
}

/**
 * Evaluates a model on one split of some tasks.
 *
 * @returns a result for each data set, or `undefined` when the signal stopped it
 */
export async function evaluate(
  model: Answering,
  datasets: readonly Dataset[],
  { split, limit, signal, onProgress }: EvaluationOptions,
): Promise<TaskResult[] | undefined> {
  const chosen = datasets.map(({ task, splits }) => spread(splits[split] ?? [], limit, task.name));
  const examples = chosen.flat();
  const predictions: string[] = new Array(examples.length);
  let done = 0;
  // Tasks share batches: fewer of them, and fewer shapes to compile.
  for (const batch of evaluationBatches(examples, model.tokenizer, model.limits)) {
    if (signal?.aborted) return undefined;
    const answers = await model.decoder.generate(batch);
    batch.indices.forEach((example, row) => {
      predictions[example] = model.tokenizer.decode(answers[row]);
    });
    onProgress?.(done += batch.indices.length, examples.length);
  }
  let start = 0;
  return datasets.map(({ task }, i) => {
    const written = chosen[i].map((example, j) => ({
      ...example,
      prediction: predictions[start + j],
    }));
    start += written.length;
    const texts = written.map(({ prediction }) => prediction);
    const targets = written.map(({ target }) => target);
    return { task, predictions: written, scores: score(task, texts, targets) };
  });
}

/** The mean over tasks of the mean over a task's metrics, in percent. */
export function averageScore(results: readonly Pick<TaskResult, "scores">[]): number {
  return results.reduce((sum, { scores }) => sum + meanScore(scores), 0) / results.length;
}

/** What always answering with the most frequent training target scores on a split, by metric. */
export function majorityBaseline(
  { task, splits }: Dataset,
  split: Split,
): Partial<Record<MetricName, number>> {
  const counts = new Map<string, number>();
  for (const { target } of splits.train ?? []) counts.set(target, (counts.get(target) ?? 0) + 1);
  const [majority] = [...counts].reduce((most, entry) => entry[1] > most[1] ? entry : most);
  const targets = (splits[split] ?? []).map(({ target }) => target);
  return score(task, targets.map(() => majority), targets);
}

function spread(examples: readonly Example[], limit = Infinity, task: string): readonly Example[] {
  if (examples.length === 0) throw new Error(`the task ${task} has no such split`);
  if (examples.length <= limit) return examples;
  return Array.from(
    { length: limit },
    (_, i) => examples[Math.floor(i * examples.length / limit)],
  );
}
