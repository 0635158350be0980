/**
 * A user's own task with its examples.
 *
 * Invariant: every row becomes an example, or is an error that names file and line.
 */

import { UserError } from "../../errors.ts";
import type { Dataset, Example, MetricName, Split, TaskSpecification } from "../types.ts";
import { chooseColumns, neededColumns, readTexts, type RowText } from "./columns.ts";
import { defaultMetrics, labelWords, type OwnTask, type SplitPaths } from "./definition.ts";
import { divide, type Division, type Origin, originOf } from "./division.ts";
import type { DataFiles } from "./files.ts";
import { openTable } from "./table.ts";

/** A task whose files have been found. */
export interface LocatedTask extends OwnTask {
  readonly data: SplitPaths;
}

/** How splits are made. */
export interface OwnOptions {
  /** Whether a task without a test split validates on rows that are not those it is tested on. */
  readonly splitValidation?: boolean;
  readonly dataSeed?: number;
  /** Told, in a sentence, what was read and how it was divided. */
  readonly tell?: (line: string) => void;
}

/** What a task is, without its examples. */
export function ownTask(task: OwnTask): TaskSpecification {
  const { name, description = "A task of your own.", answerLength, beams } = task;
  const words = labelWords(task);
  const labels = words && [...new Set(words.values())];
  return {
    name,
    description,
    ...(labels && { labels, answerLength: labels }),
    metrics: task.metrics ?? defaultMetrics(task),
    ...(answerLength !== undefined && { answerLength: answerLength + 1 }), // the start token counts
    ...(beams !== undefined && { beams }),
  };
}

/**
 * Reads a task.
 *
 * @param splits which are wanted
 * @throws {UserError} for a file or row that is malformed, and where a split cannot be had
 */
export async function loadOwn(
  task: LocatedTask,
  files: DataFiles,
  splits: readonly Split[],
  { splitValidation = false, dataSeed: seed = 0, tell }: OwnOptions = {},
): Promise<Dataset> {
  const { name, data } = task;
  const division: Division = { name, data, splitValidation, seed };
  const plan = planSplits(division, splits);
  const read = new Map<Split, SplitRows>();
  for (const { from } of plan.values()) {
    if (!read.has(from)) read.set(from, await readSplit(task, files, from));
  }
  const isScored = [...plan.values()].some(({ cut }) => cut !== undefined);
  const train = read.get("train");
  const parts = train && divide(train.examples, division, isScored);
  const loaded = [...plan].map(([split, { from, cut }]) => {
    return [split, from === "train" ? parts![cut ?? "train"] : read.get(from)!.examples] as const;
  });
  const dataset = { task: ownTask(task), splits: Object.fromEntries(loaded) };
  if (splits.length > 0) tell?.(describe(dataset, plan, read, seed));
  return dataset;
}

/**
 * What a task says, and what it leaves open, as its first file decides it.
 *
 * @throws {UserError} as reading it would
 */
export async function completeTask(task: LocatedTask, files: DataFiles): Promise<LocatedTask> {
  const [path] = Object.values(task.data).flat();
  const { quotes = true } = task;
  const table = await openTable(files, path, { quotes });
  await table.close();
  const { columns: _, metrics = defaultMetrics(task), ...rest } = task;
  return { ...rest, columns: chooseColumns(task, table.columns, path).named, metrics };
}

function planSplits(division: Division, splits: readonly Split[]): Map<Split, Origin> {
  return new Map(splits.map((split) => {
    const origin = originOf(split, division);
    if (origin) return [split, origin] as const;
    throw new UserError(
      `the task ${division.name} has no ${split} split: its data has only ${
        Object.keys(division.data).join(" and ")
      }`,
    );
  }));
}

/** The rows of one split of the data. */
interface SplitRows {
  readonly examples: readonly Example[];
  readonly paths: readonly string[];
  /** Which columns were taken, for people. */
  readonly columns: string;
}

async function readSplit(task: LocatedTask, files: DataFiles, split: Split): Promise<SplitRows> {
  const paths = [task.data[split]!].flat();
  const { quotes = true } = task;
  const toExample = exampleMaker(task);
  const examples: Example[] = [];
  let description = "";
  for (const path of paths) {
    const table = await openTable(files, path, { quotes });
    const columns = chooseColumns(task, table.columns, path);
    description = columns.description;
    for await (const { row, place } of table.rows(neededColumns(columns, table.columns))) {
      examples.push(toExample(readTexts(columns, row, place), place));
    }
  }
  return { examples, paths, columns: description };
}

/** Metrics over numbers. */
const numericMetrics: readonly MetricName[] = ["pearson", "spearman"];

/** Makes examples of what rows say, and refuses targets that the task cannot have. */
function exampleMaker(task: OwnTask): (text: RowText, place: string) => Example {
  const { name, metrics = [] } = task;
  const words = labelWords(task);
  const isNumeric = metrics.some((metric) => numericMetrics.includes(metric));

  function wordOf(value: string, place: string): string {
    const word = words ? words.get(value) : value;
    if (word === undefined) {
      const known = [...words!.keys()].join(", ");
      throw new UserError(`${place}: "${value}" is not a label of ${name} (${known})`);
    }
    if (isNumeric && !Number.isFinite(Number(word))) {
      throw new UserError(
        `${place}: "${word}" is no number, which ${metrics.join(" and ")} compare`,
      );
    }
    return word;
  }

  return ({ source, targets }, place) => {
    const answers = targets.map((target) => wordOf(target, place));
    const question = answers.length > 1 ? { question: { id: place, answers } } : {};
    return { task: name, source, target: answers[0], ...question };
  };
}

/** What was read and how it was divided, in a sentence. */
function describe(
  { task: { name, metrics }, splits }: Dataset,
  plan: ReadonlyMap<Split, Origin>,
  read: ReadonlyMap<Split, SplitRows>,
  seed: number,
): string {
  const sources = [...read.values()].map(({ examples, paths, columns }) =>
    `${examples.length} rows of ${paths.join(" and ")} (${columns})`
  );
  const sizes = [...plan].map(([split, { from, cut = from }]) => {
    const size = splits[split]!.length;
    if (split === "test" && cut === "validation") {
      return `the ${size} that validate also test, for there is no test split`;
    }
    const purpose = `${size} to ${split === "validation" ? "validate" : split}`;
    return cut === from ? purpose : `${purpose}, cut off at random with seed ${seed}`;
  });
  return `${name}: ${sources.join(", ")}; ${sizes.join("; ")}; scored by ${metrics.join(", ")}.`;
}
