/**
 * The user's own tasks, from what the command line, task files and a run's settings say of them.
 *
 * Invariant: what comes out is complete. A run keeps it in its settings, and means the same rows, columns
 * and scores when it goes on, or is scored, in another folder.
 */

import { dirname, resolve } from "node:path";
import { defaultMetrics, type OwnTask, parseOwnTask } from "../../src/data/own/definition.ts";
import { completeTask, type LocatedTask } from "../../src/data/own/load.ts";
import { fileTask, reservedNames, taskNames } from "../../src/data/tasks.ts";
import type { Split } from "../../src/data/types.ts";
import { suggestion, UserError } from "../../src/errors.ts";
import { parseJson } from "../../src/io/json.ts";
import { exists, readText } from "../../src/platform/files.ts";
import { DataFinder } from "./data-finder.ts";
import { formatPlaces, nameByPlaces, parsePlaces } from "./data-places.ts";
import { dataFiles, parseHubPlace } from "./hub-data.ts";
import { type OwnFlags, ownFlags } from "./own-flags.ts";

/** What is said of tasks and data. */
export interface TaskRequest extends OwnFlags {
  readonly tasks?: readonly string[] | undefined;
  readonly evalTasks?: readonly string[] | undefined;
  readonly data?: string | undefined;
}

/** The same, complete; what nobody said and nothing says stays open. */
export interface ResolvedTasks {
  readonly tasks?: readonly string[];
  /** Absolute paths. */
  readonly data?: string;
  readonly taskFile?: readonly LocatedTask[];
}

/** What is known before anything is said. */
export interface KnownTasks {
  /** The tasks of a run, of which what is said changes a part. */
  readonly begun?: ResolvedTasks | undefined;
  /** The split that a single table is to be, all of it; the training split unless told. */
  readonly scored?: Split;
}

/**
 * Finds out what the tasks are that the user names.
 *
 * @throws {UserError} for data that no task reads, flags that say nothing of any task, and a task without
 * data
 */
export async function resolveTasks(
  said: TaskRequest,
  { begun = {}, scored }: KnownTasks = {},
): Promise<ResolvedTasks> {
  const written = await readTaskFiles(said.taskFile);
  const parsed = await parsePlaces(said.data);
  const isNamed = said.tasks !== undefined || begun.tasks !== undefined;
  const places = isNamed || written.length > 0 ? parsed : await nameByPlaces(parsed);
  const tasks = said.tasks ?? begun.tasks ?? namesOf([...written, ...places]);
  const all = [...new Set([...tasks ?? [], ...said.evalTasks ?? []])];
  const own = all.filter((name) => !taskNames.includes(name));
  checkNames([...own, ...namesOf([...written, ...places]) ?? []]);
  checkUse(said, written, all, own);

  const known = new Map(begun.taskFile?.map((task) => [task.name, task]));
  const finder = new DataFinder(places, { own, written, known, ...(scored && { scored }) });
  const located: LocatedTask[] = [];
  for (const name of own) {
    const base = overlay(known.get(name), written.find((task) => task.name === name)) ?? { name };
    const data = await finder.find(base);
    if (data === undefined) throw await unknownTask(name, parsed.map(({ path }) => path));
    located.push(inOrder(await completeTask({ ...withFlags(base, said), data }, dataFiles)));
  }
  finder.checkUse(all.filter((name) => fileTask(name) !== undefined));
  return {
    ...(tasks && { tasks }),
    ...(parsed.length > 0 && { data: formatPlaces(parsed) }),
    ...(located.length > 0 && { taskFile: located }),
  };
}

/**
 * What is said of the tasks of a run that goes on, which may only repeat what the run was begun with.
 *
 * @param run its path
 * @throws {UserError} if anything is said of the user's own tasks that is not so
 */
export async function repeatTasks(
  said: TaskRequest,
  begun: ResolvedTasks,
  run: string,
): Promise<ResolvedTasks> {
  const { tasks, data = begun.data } = said;
  if (Object.keys(ownFlags).some((flag) => said[flag as keyof OwnFlags] !== undefined)) {
    const now = await resolveTasks({ ...said, data }, { begun });
    for (const task of now.taskFile ?? []) {
      const before = begun.taskFile?.find(({ name }) => name === task.name);
      for (const [key, value] of Object.entries(task)) {
        const there = JSON.stringify(before?.[key as keyof OwnTask]);
        if (JSON.stringify(value) === there) continue;
        throw new UserError(
          `"${key}" of the task ${task.name} is ${
            JSON.stringify(value)
          } here, but ${run} was begun with ` +
            `${there ?? "none"}: leave it out to resume, or begin a new run`,
        );
      }
    }
  }
  return {
    ...(tasks && { tasks }),
    ...(said.data !== undefined && { data: formatPlaces(await parsePlaces(said.data)) }),
  };
}

/** The tasks of some task files, whose paths are relative to the files. */
async function readTaskFiles(taskFile: OwnFlags["taskFile"] = []): Promise<OwnTask[]> {
  const tasks: OwnTask[] = [];
  for (const given of taskFile) {
    if (typeof given !== "string") {
      tasks.push(absolute(given, "."));
      continue;
    }
    for (const task of [parseJson(await readText(given), given)].flat()) {
      tasks.push(absolute(parseOwnTask(task, given), dirname(given)));
    }
  }
  const twice = tasks.find(({ name }, i) => tasks.findIndex((task) => task.name === name) !== i);
  if (twice) throw new UserError(`the task files describe ${twice.name} twice`);
  return tasks;
}

function absolute(task: OwnTask, folder: string): OwnTask {
  const { data } = task;
  if (data === undefined) return task;
  const from = (path: string) => path.startsWith("hub:") ? path : resolve(folder, path);
  if (typeof data === "string") return { ...task, data: from(data) };
  const paths = Object.entries(data).map(([split, paths]) => [
    split,
    typeof paths === "string" ? from(paths) : paths.map(from),
  ]);
  return { ...task, data: Object.fromEntries(paths) };
}

/** A task of a run with what a task file says of it now. */
function overlay(task: OwnTask | undefined, now: OwnTask | undefined): OwnTask | undefined {
  if (task === undefined || now === undefined) return now ?? task;
  const { template, columns, ...rest } = task;
  const isSourceSaid = now.template !== undefined || now.columns?.source !== undefined;
  const { source, ...others } = columns ?? {};
  const before = isSourceSaid || source === undefined ? others : { source, ...others };
  return {
    ...rest,
    ...(template !== undefined && !isSourceSaid && { template }),
    ...now,
    columns: { ...before, ...now.columns },
  };
}

/** A task with what flags say of it in place of what it said. */
function withFlags(
  task: OwnTask,
  { sourceColumn, targetColumn, template, labels, metric }: OwnFlags,
): OwnTask {
  if (sourceColumn !== undefined && template !== undefined) {
    throw new UserError(
      "--source-column and --template both say what the source is: leave one out",
    );
  }
  const { columns = {}, template: before, metrics, ...rest } = task;
  const { source, ...others } = columns;
  const kept = template === undefined && source !== undefined ? { source } : {};
  const now = {
    ...kept,
    ...others,
    ...(sourceColumn !== undefined && { source: sourceColumn }),
    ...(targetColumn !== undefined && { target: targetColumn }),
  };
  const text = template ?? (sourceColumn === undefined ? before : undefined);
  const scores = metric ?? metrics;
  // Checked again: a metric and labels may not go together that were said in two places.
  return parseOwnTask({
    ...rest,
    ...(Object.keys(now).length > 0 && { columns: now }),
    ...(text !== undefined && { template: text }),
    ...(labels !== undefined && { labels }),
    ...(scores !== undefined && { metrics: scores }),
  }, `the task ${task.name}`);
}

/** A task with its keys in one order, whoever said what. */
function inOrder({ name, data, columns, metrics, ...rest }: LocatedTask): LocatedTask {
  return {
    name,
    data,
    ...(columns && { columns }),
    ...Object.fromEntries(Object.entries(rest).sort(([a], [b]) => a < b ? -1 : 1)),
    metrics: metrics ?? defaultMetrics({ name, ...rest }),
  };
}

function namesOf(
  things: readonly { readonly name?: string; readonly task?: string }[],
): string[] | undefined {
  const names = things.flatMap(({ name, task }) => name ?? task ?? []);
  return names.length > 0 ? [...new Set(names)] : undefined;
}

function checkNames(names: readonly string[]): void {
  const taken = names.find((name) => reservedNames.includes(name));
  if (taken === undefined) return;
  throw new UserError(
    `${taken} is one of the tasks built in: give your own another name, as in --tasks my-${taken}`,
  );
}

/** Refuses what would have no effect. */
function checkUse(
  said: TaskRequest,
  written: readonly OwnTask[],
  tasks: readonly string[],
  own: readonly string[],
): void {
  const unused = written.find(({ name }) => !tasks.includes(name));
  if (unused) {
    throw new UserError(
      `${unused.name} of the task file is not among the tasks ${
        tasks.join(", ")
      }: name it with --tasks`,
    );
  }
  if (own.length > 0) return;
  for (const [key, flag] of Object.entries(ownFlags)) {
    if (said[key as keyof OwnFlags] === undefined) continue;
    throw new UserError(
      `${flag} says what a task of your own is, and there is none among the tasks` +
        `${tasks.length > 0 ? ` ${tasks.join(", ")}` : ""}: name one with --tasks, or leave it out`,
    );
  }
}

async function unknownTask(name: string, paths: readonly string[]): Promise<UserError> {
  for (const path of paths) {
    if (parseHubPlace(path) === undefined && !await exists(path)) {
      return new UserError(`there is no file or folder ${path}`);
    }
  }
  const known = `there is no task "${name}"${suggestion(name, taskNames)}`;
  return new UserError(
    paths.length === 0
      ? `${known}; known tasks: ${
        taskNames.join(", ")
      }; for one of your own, say with --data where its ` +
        `rows are`
      : `${known}, and for one of your own there is no ${name}/train.jsonl, ${name}.csv or the like in ` +
        `${paths.join(" or ")}`,
  );
}
