/**
 * A user's own task with its examples.
 *
 * Invariant: every row becomes an example, is counted as left out, or is an error that names file and line.
 */

import { UserError } from "../../errors.ts";
import { BadRow, type FileRecord, Ledger } from "../ledger.ts";
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
  /** Whether bad rows are left out; they are not unless told. */
  readonly skipBad?: boolean | undefined;
  /** Is told what was read and how it was divided. */
  readonly onRead?: ((read: OwnRead) => void) | undefined;
}

/** What was read of a task. */
export interface OwnRead {
  readonly task: TaskSpecification;
  readonly files: readonly (FileRecord & { readonly columns: string })[];
  /** For each split its size, and what it is made of. */
  readonly splits: readonly (Origin & { readonly split: Split; readonly size: number })[];
  /** Seed of what was cut off. */
  readonly seed: number;
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
  { splitValidation = false, dataSeed: seed = 0, skipBad = false, onRead }: OwnOptions = {},
): Promise<Dataset> {
  const { name, data } = task;
  const division: Division = { name, data, splitValidation, seed };
  const plan = planSplits(division, splits);
  const read = new Map<Split, SplitRows>();
  for (const { from } of plan.values()) {
    if (!read.has(from)) read.set(from, await readSplit(task, files, from, skipBad));
  }
  const isScored = [...plan.values()].some(({ cut }) => cut !== undefined);
  const train = read.get("train");
  const parts = train && divide(train.examples, division, isScored);
  const loaded = [...plan].map(([split, { from, cut }]) => {
    return [split, from === "train" ? parts![cut ?? "train"] : read.get(from)!.examples] as const;
  });
  const specification = ownTask(task);
  onRead?.({
    task: specification,
    files: [...read.values()].flatMap(({ files }) => files),
    splits: [...plan].map(([split, origin], i) => ({
      ...origin,
      split,
      size: loaded[i][1].length,
    })),
    seed,
  });
  return { task: specification, splits: Object.fromEntries(loaded) };
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
  readonly files: OwnRead["files"];
}

async function readSplit(
  task: LocatedTask,
  files: DataFiles,
  split: Split,
  skipBad: boolean,
): Promise<SplitRows> {
  const { quotes = true, name } = task;
  const toExample = exampleMaker(task);
  const examples: Example[] = [];
  const ledger = new Ledger(name, skipBad);
  const descriptions: string[] = [];
  for (const path of [task.data[split]!].flat()) {
    const table = await openTable(files, path, { quotes });
    const columns = chooseColumns(task, table.columns, path);
    const record = ledger.open(path, split);
    descriptions.push(columns.description);
    for await (const row of table.rows(neededColumns(columns, table.columns))) {
      const { place } = row;
      const where = place.slice(path.length).replace(/^:/, "line ").replace(/^, /, "");
      const example = record.attempt(where, () => {
        return toExample(readTexts(columns, row.read(), place), place);
      });
      if (example && examples.push(example)) record.rows++;
    }
    if (record.rows === 0) {
      const [{ where, fault }] = record.bad;
      throw new UserError(
        `${path} has no row that can be read: all ${record.bad.length} are bad (the first: ${where}, ${fault})`,
      );
    }
  }
  const read = ledger.files.map((file, i) => Object.assign(file, { columns: descriptions[i] }));
  return { examples, files: read };
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
      throw new BadRow(place, `"${value}" is not a label of ${name} (${known})`, "label");
    }
    if (isNumeric && !Number.isFinite(Number(word))) {
      const compared = metrics.join(" and ");
      throw new BadRow(place, `"${word}" is no number, which ${compared} compare`, "label");
    }
    return word;
  }

  return ({ source, targets }, place) => {
    const answers = targets.map((target) => wordOf(target, place));
    const references = answers.length > 1 ? { references: answers } : {};
    return { task: name, source, target: answers[0], ...references };
  };
}
