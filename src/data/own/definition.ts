/**
 * What a user says of a task of their own: where its rows are, which columns become source and target, and how
 * answers are scored.
 *
 * A task file holds one such object, or a list of them; a run keeps them in its settings, completed. Every
 * key has an effect, and any other is refused.
 */

import { suggestion, UserError } from "../../errors.ts";
import { isJsonObject } from "../../io/json.ts";
import { METRIC_NAMES, type MetricName, type Split } from "../types.ts";

/** A task of the user's own. */
export interface OwnTask {
  readonly name: string;
  readonly description?: string;
  /** A file, a folder or a data set of the hub; or the files of each split. */
  readonly data?: string | SplitPaths;
  /** Which split of the data serves as each of ours, where their names differ. */
  readonly splits?: Partial<Record<Split, string>>;
  /** The columns of the source and the target, where there is no template. */
  readonly columns?: { readonly source?: string; readonly target?: string };
  /** The source's text, with columns in braces: `mine question: {question} context: {context}`. */
  readonly template?: string;
  /** The only targets there may be; or what each value in the data is called. */
  readonly labels?: readonly string[] | Readonly<Record<string, string>>;
  readonly metrics?: readonly MetricName[];
  /** Most ids of an answer, end of sequence included. */
  readonly answerLength?: number;
  readonly beams?: number;
  /** Whether cells of CSV and TSV may be quoted; they may unless told. */
  readonly quotes?: boolean;
}

/** The file or files of each split. */
export type SplitPaths = Partial<Readonly<Record<Split, string | readonly string[]>>>;

/** Our splits, in the order they are told in. */
export const SPLITS: readonly Split[] = ["train", "validation", "test"];

/** What a task may be called: letters, digits, `_`, `-` and `.`, not beginning with the latter two. */
const NAME = /^[\p{L}\p{N}_][\p{L}\p{N}_.-]*$/u;

/**
 * Reads a task, as a task file or a run's settings have it.
 *
 * @param file what it is called in errors
 * @throws {UserError} naming the key that is wrong, and what may be there
 */
export function parseOwnTask(value: unknown, file: string): OwnTask {
  if (!isJsonObject(value)) {
    throw new UserError(`${file} must hold a task as {"name": "mine", "data": "pairs.csv"}`);
  }
  for (const key of Object.keys(value)) {
    if (key in readers) continue;
    throw new UserError(
      `${file}: "${key}" is not a key of a task${
        suggestion(key, Object.keys(readers))
      }; there are ${Object.keys(readers).join(", ")}`,
    );
  }
  if (value.name === undefined) throw new UserError(`${file} gives the task no "name"`);
  const read = Object.entries(readers)
    .filter(([key]) => value[key] !== undefined && value[key] !== null)
    .map(([key, reader]) => [
      key,
      reader(value[key], (expected) => {
        throw new UserError(
          `${file}: "${key}" is ${JSON.stringify(value[key])}, but it must be ${expected}`,
        );
      }),
    ]);
  const task: OwnTask = Object.fromEntries(read);
  if (task.template !== undefined && task.columns?.source !== undefined) {
    throw new UserError(
      `${file}: the source is said twice, by "template" and by the "source" of "columns": leave one out`,
    );
  }
  checkMetrics(task, file);
  return task;
}

/**
 * What stands for each value of a closed set of labels; undefined for any text.
 *
 * A list names the targets themselves.
 */
export function labelWords({ labels }: OwnTask): ReadonlyMap<string, string> | undefined {
  if (labels === undefined) return undefined;
  return isList(labels)
    ? new Map(labels.map((label) => [label, label]))
    : new Map(Object.entries(labels));
}

/** What a task is scored by where nobody says. */
export function defaultMetrics(task: OwnTask): readonly MetricName[] {
  return task.labels === undefined ? ["exact_match", "token_f1"] : ["accuracy"];
}

/** @throws {UserError} for metrics that say nothing of the labels there are */
function checkMetrics(task: OwnTask, file: string): void {
  const labels = [...new Set(labelWords(task)?.values() ?? [])];
  for (const metric of task.metrics ?? []) {
    if (metric !== "f1" && metric !== "matthews") continue;
    if (labels.length === 0) {
      throw new UserError(
        `${file}: ${metric} compares classes: say with "labels" (or --labels) which there are`,
      );
    }
    if (metric === "f1" && labels.length !== 2) {
      throw new UserError(
        `${file}: f1 is that of the second of two labels, and there are ${labels.length}: ` +
          `take accuracy or matthews`,
      );
    }
  }
}

type Refuse = (expected: string) => never;

const readers: Readonly<Record<string, (value: unknown, refuse: Refuse) => unknown>> = {
  name: (value, refuse) =>
    typeof value === "string" && NAME.test(value)
      ? value
      : refuse("a name of letters, digits, _, - and ."),
  description: text,
  data: (value, refuse) => {
    if (typeof value === "string" && value !== "") return value;
    return bySplit(value, refuse, (path) => isTexts(path) && path.length > 0 || isText(path));
  },
  splits: (value, refuse) => bySplit(value, refuse, isText),
  columns: (value, refuse) => {
    const expected = 'columns by what they are for, as {"source": "question", "target": "answer"}';
    if (!isJsonObject(value) || Object.keys(value).length === 0) return refuse(expected);
    return Object.entries(value).every(([key, column]) =>
        (key === "source" || key === "target") && isText(column)
      )
      ? value
      : refuse(expected);
  },
  template: text,
  labels: readLabels,
  metrics: (value, refuse) => {
    const names = typeof value === "string" ? [value] : value;
    const known = METRIC_NAMES.join(", ");
    if (!isTexts(names) || names.length === 0) return refuse(`a list of ${known}`);
    const unknown = names.find((name) => !METRIC_NAMES.some((metric) => metric === name));
    return unknown === undefined ? [...new Set(names)] : refuse(`of ${known}`);
  },
  answerLength: count,
  beams: count,
  quotes: (value, refuse) => typeof value === "boolean" ? value : refuse("true or false"),
};

function text(value: unknown, refuse: Refuse): string {
  return isText(value) ? value : refuse("a text");
}

function count(value: unknown, refuse: Refuse): number {
  return Number.isSafeInteger(value) && Number(value) >= 1
    ? Number(value)
    : refuse("a whole number of at least 1");
}

function bySplit(
  value: unknown,
  refuse: Refuse,
  accepts: (value: unknown) => boolean,
): unknown {
  const isFine = isJsonObject(value) && Object.keys(value).length > 0 &&
    Object.entries(value).every(([split, path]) =>
      SPLITS.some((name) => name === split) && accepts(path)
    );
  return isFine
    ? value
    : refuse('something for each of "train", "validation" and "test", or for some of them');
}

/** Labels as text, whether a file has them as numbers, as `true` and `false`, or as text. */
function readLabels(value: unknown, refuse: Refuse): unknown {
  const label = (value: unknown) =>
    isText(value) || typeof value === "number" || typeof value === "boolean"
      ? String(value)
      : undefined;
  const entries = isJsonObject(value) ? Object.entries(value) : undefined;
  const words = (entries?.map(([, word]) => word) ?? (Array.isArray(value) ? value : [])).map(
    label,
  );
  if (words.length === 0 || words.includes(undefined)) {
    return refuse('a list of targets, or words for the values, as {"0": "no", "1": "yes"}');
  }
  if (entries) return Object.fromEntries(entries.map(([key], i) => [key, words[i]]));
  return new Set(words).size === words.length ? words : refuse("a list that names each label once");
}

const isText = (value: unknown): value is string => typeof value === "string" && value !== "";

const isTexts = (value: unknown): value is string[] => Array.isArray(value) && value.every(isText);

const isList = (labels: OwnTask["labels"]): labels is readonly string[] => Array.isArray(labels);
