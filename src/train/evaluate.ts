/**
 * Scoring a model: its answers to every example, each task by its own metrics.
 *
 * A question that is asked of several parts of a text has several answers, of which the model's surest
 * counts. How sure it is, is the log-likelihood of the whole answer: the reference divides that by the
 * length of the longest answer of the batch, which orders the answers of one batch in the same way, and
 * those of different batches by chance.
 */

import type { ModelConfig } from "../../models/config.ts";
import { type BatchOptions, evaluationBatches } from "../data/batch.ts";
import type { Dataset, Example, MetricName, Split, TaskSpecification } from "../data/types.ts";
import { SequenceGenerator } from "../generate/generator.ts";
import {
  type GenerationDefaults,
  type GivenOptions,
  withDefaults,
} from "../generate/generation-config.ts";
import type { GenerationOptions } from "../generate/options.ts";
import type { Parameters } from "../graph/parameters.ts";
import { surest } from "../metrics/answers.ts";
import { meanScore, score } from "../metrics/score.ts";
import { byQuestion } from "../data/units.ts";
import type { Tokenizer } from "../text/tokenizer.ts";

/** A model that can be asked. */
export interface Answering {
  readonly generator: SequenceGenerator;
  readonly tokenizer: Tokenizer;
  readonly limits: BatchOptions;
  /** How answers are generated, where a task has no way of its own. */
  readonly options: GenerationOptions;
  readonly ways: AnswerWays;
}

/** Who has a say in how answers are generated: what is given, then what the model's files say. */
export interface AnswerWays {
  readonly given: GivenOptions;
  readonly defaults?: GenerationDefaults;
}

/**
 * Lets a model on the device answer.
 *
 * @throws {UserError} for ways of generating that cannot be
 */
export function createAnswering(
  config: ModelConfig,
  parameters: Parameters,
  tokenizer: Tokenizer,
  limits: BatchOptions,
  ways: AnswerWays = { given: {} },
): Answering {
  const generator = new SequenceGenerator(config, parameters);
  // The start token counts, which a target does not have.
  const options = withDefaults(ways.given, ways.defaults, limits.maxTargetLength + 1);
  return { generator, tokenizer, limits, options, ways };
}

/** An example with what the model wrote; of a question, that with the surest answer. */
export interface Prediction
  extends Pick<Example, "task" | "source" | "target" | "references" | "question"> {
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

/** How answers are searched for, where a task's own way is not wanted. */
export interface AnswerSearch {
  /** Most ids of an answer, end of sequence included; 0, unless told, for as many as the task has. */
  readonly maxAnswerLength?: number;
  /** Beams; 0, unless told, for as many as the task has. */
  readonly beams?: number;
}

/** What is evaluated, and who may watch or stop it. */
export interface EvaluationOptions extends AnswerSearch {
  readonly split: Split;
  /** Examples or questions per task, spread evenly over the split; all if 0, or unless told. */
  readonly limit?: number;
  readonly signal?: AbortSignal;
  /** Called after every batch with the number of examples done and of all. */
  readonly onProgress?: (done: number, total: number) => void;
}

/** The answers to some examples. */
export interface Answers {
  /** In the order of the examples. */
  readonly texts: readonly string[];
  /** The negative log-likelihood of each. */
  readonly nlls: readonly number[];
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
  const nlls: number[] = new Array(examples.length);
  let done = 0, truncated = 0;
  for (const batch of evaluationBatches(examples, tokenizer, limits)) {
    if (signal?.aborted) return undefined;
    const rows = await generator.generate(batch, options);
    batch.indices.forEach((example, row) => {
      const [{ tokens, choices }] = rows[row];
      texts[example] = tokenizer.decode(tokens);
      nlls[example] = -choices.reduce((sum, choice) => sum + choice, 0);
    });
    truncated += batch.truncated;
    onProgress?.(done += batch.indices.length, examples.length);
  }
  return { texts, nlls, truncated };
}

/**
 * Evaluates a model on one split of some tasks.
 *
 * @returns `undefined` when the signal stopped it
 */
export async function evaluate(
  model: Answering,
  datasets: readonly Dataset[],
  { split, limit, signal, onProgress, ...search }: EvaluationOptions,
): Promise<Evaluation | undefined> {
  const chosen = datasets.map(({ splits }) => spread(byQuestion(splits[split] ?? []), limit));
  const total = chosen.flat(2).length;
  const results: TaskResult[] = new Array(datasets.length);
  let done = 0, truncated = 0;
  // Tasks share batches where they can: fewer of them, and fewer shapes to compile.
  const ways = Map.groupBy(
    datasets.keys(),
    (i) => JSON.stringify(searchOptions(datasets[i].task, model, search)),
  );
  for (const [way, indices] of ways) {
    const options: GenerationOptions = JSON.parse(way);
    const examples = indices.flatMap((i) => chosen[i].flat());
    const answers = await answer({ ...model, options }, examples, {
      ...(signal && { signal }),
      onProgress: (now) => onProgress?.(done + now, total),
    });
    if (answers === undefined) return undefined;
    done += examples.length;
    truncated += answers.truncated;
    let next = 0;
    for (const i of indices) {
      const predictions = chosen[i].map((examples) =>
        predictionOf(examples.map((example) => {
          const text = answers.texts[next], nll = answers.nlls[next++];
          return { example, text, nll };
        }))
      );
      results[i] = {
        task: datasets[i].task,
        predictions,
        scores: scoreOf(datasets[i], predictions),
      };
    }
  }
  const sum = results.reduce((sum, { scores }) => sum + meanScore(scores), 0);
  return { tasks: results, average: sum / results.length, truncated };
}

/**
 * How answers to a task are searched for: as is given, else as the task has it, else as the model's files
 * have it. As in the reference, none is empty, unless that may be right.
 */
function searchOptions(
  { answerLength, beams, mayBeEmpty = false }: TaskSpecification,
  { tokenizer, limits, ways: { given, defaults } }: Answering,
  search: AnswerSearch,
): GenerationOptions {
  // The start token counts, as many as the end token does in a text's ids.
  const longest = typeof answerLength === "object"
    ? Math.max(...answerLength.map((text) => tokenizer.encode(text).length))
    : answerLength;
  const maxLength = search.maxAnswerLength ? search.maxAnswerLength + 1 : longest;
  const least = mayBeEmpty ? 1 : 2;
  // Its own length is a rule of the task for the shortest answer as well.
  const shortest = answerLength === undefined
    ? Math.max(least, defaults?.options.minLength ?? 0)
    : least;
  const options = withDefaults(
    {
      ...given,
      maxLength: given.maxLength ?? maxLength,
      minLength: given.minLength,
      beams: given.beams ?? (search.beams || beams),
      outputs: undefined,
    },
    defaults,
    limits.maxTargetLength + 1,
  );
  const minLength = given.minLength ?? Math.min(shortest, options.maxLength);
  return { ...options, minLength, outputs: 1 };
}

function predictionOf(
  candidates: readonly { example: Example; text: string; nll: number }[],
): Prediction {
  const { example, text } = surest(candidates);
  const { task, source, target, references, question } = example;
  return {
    task,
    source,
    target,
    ...(references && { references }),
    ...(question && { question }),
    prediction: text,
  };
}

function scoreOf({ task }: Dataset, predictions: readonly Prediction[]): TaskResult["scores"] {
  return score(task, predictions.map(({ prediction }) => prediction), predictions.map(targetOf));
}

/** What would be right: any answer to a question, any reference, or the target. */
function targetOf(
  { question, references, target }: Pick<Example, "question" | "references" | "target">,
) {
  return question?.answers ?? references ?? target;
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
  const targets = byQuestion(splits[split] ?? []).map(([example]) => targetOf(example));
  return score(task, targets.map(() => majority), targets);
}

function spread<T>(items: readonly T[], limit = 0): readonly T[] {
  if (limit === 0 || items.length <= limit) return items;
  const step = items.length / limit;
  return Array.from({ length: limit }, (_, i) => items[Math.floor(i * step)]);
}
