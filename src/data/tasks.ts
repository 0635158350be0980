/**
 * Every task under one set of names: the miniature mixture's, which are made here, the reference's, which are
 * read from files, and the user's own.
 *
 * Invariant: a name means one task. A task of the user's own cannot be called as one of the others.
 */

import { suggestion, UserError } from "../errors.ts";
import { exportedTask, exportedTaskNames, loadExported } from "./exported.ts";
import { glueTask, glueTaskNames, loadTask } from "./glue.ts";
import { inferenceTask, inferenceTaskNames, loadInference } from "./inference.ts";
import { type FileRecord, Ledger } from "./ledger.ts";
import { miniatureDatasets, miniatureTaskNames } from "./miniature/mixture.ts";
import type { DataFiles } from "./own/files.ts";
import { loadOwn, type LocatedTask, type OwnRead } from "./own/load.ts";
import {
  loadReading,
  mrqaSets,
  type ReadingOptions,
  readingTask,
  readingTaskNames,
} from "./reading.ts";
import type { TextSource } from "./source.ts";
import { loadDivided, sample } from "./splits.ts";
import type { Dataset, Split, TaskSpecification } from "./types.ts";

/** Which names each reader of files knows, and what the tasks are. */
const readers = [
  { names: glueTaskNames, task: glueTask, load: loadTask },
  { names: inferenceTaskNames, task: inferenceTask, load: loadInference },
  { names: readingTaskNames, task: readingTask, load: loadReading },
  { names: exportedTaskNames, task: exportedTask, load: loadExported },
];

const fileTaskNames = readers.flatMap(({ names }) => names);

/** The names {@linkcode loadDatasets} knows by itself. */
export const taskNames: readonly string[] = [...miniatureTaskNames, ...fileTaskNames];

/** What a task that is read from files is, without its examples; undefined for a name of no such task. */
export function fileTask(name: string): TaskSpecification | undefined {
  return readers.find(({ names }) => names.includes(name))?.task(name);
}

/** The tasks that a model for some tasks knows: those themselves and, of MRQA, its sets. */
export function withSubtasks(tasks: readonly string[]): string[] {
  const hasSets = tasks.includes("mrqa") || tasks.includes("mrqa_reg");
  return [...new Set([...tasks, ...(hasSets ? mrqaSets : [])])];
}

/** Names that a task of the user's own cannot have: those of other tasks, and of parts of them. */
export const reservedNames: readonly string[] = [...taskNames, ...mrqaSets];

/** Tasks of the user's own, and the files that they are read from. */
export interface OwnTasks {
  readonly tasks: readonly LocatedTask[];
  readonly files: DataFiles;
}

/** Which tasks to load, and from where. */
export interface DatasetRequest extends Omit<ReadingOptions, "ledger"> {
  /** Names of tasks, each once; all of the miniature mixture unless told. */
  readonly tasks?: readonly string[];
  /** Where the tasks' folders are. */
  readonly data?: TextSource;
  /** Which splits of a task to read from files; all of them unless told. */
  readonly splits?: (task: string) => readonly Split[];
  /** Whether tasks without a labelled test split get a validation split of their own. */
  readonly splitValidation?: boolean;
  /** Training examples or questions per task, drawn at random; 0 (the default) for all of them. */
  readonly trainLimit?: number;
  /** Seed of what is drawn. */
  readonly dataSeed?: number;
  /** Tasks of the user's own, which `tasks` may name as well. */
  readonly own?: OwnTasks;
  /** Is told, for each task of the user's own, what was read and how it was divided. */
  readonly onReadOwn?: (read: OwnRead) => void;
  /** Whether bad rows are left out; unless told, where the publishers are known to ship some. */
  readonly skipBad?: boolean | undefined;
  /** Is told, for each task that is read from files, what was read of them. */
  readonly onRead?: (read: TaskFiles) => void;
}

/** What was read of a task's files. */
export interface TaskFiles {
  readonly task: string;
  readonly files: readonly FileRecord[];
}

const allSplits: readonly Split[] = ["train", "validation", "test"];

/**
 * Loads tasks with their examples, in the order asked for.
 *
 * @throws {UserError} for an unknown or repeated name, a task whose files are missing or malformed, and
 * for files that no task of the request reads
 */
export async function loadDatasets(request: DatasetRequest): Promise<Dataset[]> {
  const { tasks: names = miniatureTaskNames, data, trainLimit = 0, dataSeed = 0 } = request;
  const own = request.own?.tasks ?? [];
  checkNames(names, own.map(({ name }) => name));
  if (data !== undefined && own.length === 0 && !names.some(isRead)) {
    throw new UserError(
      `none of the tasks ${names.join(", ")} is read from ${data.root}: ` +
        `choose with --tasks among ${fileTaskNames.join(", ")}, or leave out --data`,
    );
  }
  const isMade = (name: string) => miniatureTaskNames.includes(name);
  const miniature = names.some(isMade) ? miniatureDatasets() : [];
  const datasets: Dataset[] = [];
  for (const name of names) {
    const made = miniature.find(({ task }) => task.name === name);
    const { task, splits } = made ?? await loadFiles(name, request);
    const train = splits.train && sample(splits.train, trainLimit, name, dataSeed);
    datasets.push({ task, splits: { ...splits, ...(train && { train }) } });
  }
  return datasets;
}

const isRead = (name: string): boolean => fileTaskNames.includes(name);

async function loadFiles(name: string, request: DatasetRequest): Promise<Dataset> {
  const { data, splits, splitValidation = false, dataSeed = 0, own } = request;
  const task = own?.tasks.find((task) => task.name === name);
  if (task) {
    return await loadOwn(task, own!.files, splits?.(name) ?? allSplits, {
      splitValidation,
      dataSeed,
      skipBad: request.skipBad,
      onRead: request.onReadOwn,
    });
  }
  if (data === undefined) {
    throw new UserError(
      `task ${name} is read from files: say with --data DIR where its folder is`,
    );
  }
  const reader = readers.find(({ names }) => names.includes(name))!;
  const ledger = new Ledger(name, request.skipBad);
  const load = (splits: readonly Split[]) =>
    reader.load(name, data, splits, { ...request, ledger });
  const wanted = splits?.(name) ?? allSplits;
  const dataset = splitValidation
    ? await loadDivided(name, load, wanted, dataSeed)
    : await load(wanted);
  request.onRead?.({ task: name, files: ledger.files });
  return dataset;
}

function checkNames(names: readonly string[], own: readonly string[]): void {
  const taken = own.find((name) => reservedNames.includes(name));
  if (taken !== undefined) {
    throw new UserError(`${taken} is one of the tasks built in: give your own another name`);
  }
  const known = [...own, ...taskNames];
  for (const [i, name] of names.entries()) {
    if (!known.includes(name)) {
      throw new UserError(
        `there is no task "${name}"${suggestion(name, known)}; known tasks: ${known.join(", ")}`,
      );
    }
    if (names.indexOf(name) !== i) throw new UserError(`the task ${name} is named twice`);
  }
}
