/** Which of the places that `--data` names each of the user's own tasks is read from. */

import { hubTasks } from "../../src/data/hub-tasks.ts";
import type { OwnTask, SplitPaths } from "../../src/data/own/definition.ts";
import type { LocatedTask } from "../../src/data/own/load.ts";
import { findSplits, findTask } from "../../src/data/own/locate.ts";
import type { Split } from "../../src/data/types.ts";
import { UserError } from "../../src/errors.ts";
import { diskFiles } from "../../src/platform/files.ts";
import type { DataPlace } from "./data-places.ts";
import { type HubPlace, locateData } from "./hub-data.ts";

/** What decides it besides the places. */
export interface Claims {
  /** The names of the user's own tasks. */
  readonly own: readonly string[];
  /** What task files say now. */
  readonly written: readonly OwnTask[];
  /** The tasks of a run. */
  readonly known: ReadonlyMap<string, LocatedTask>;
  /** The split that a single table is to be; the training split unless told. */
  readonly scored?: Split;
}

/** See the module's header. */
export class DataFinder {
  readonly #used = new Set<DataPlace>();
  /** Whether a place that names no task can only be meant for this one. */
  readonly #only: string | undefined;
  /** The tasks that nothing but such a place can give data. */
  readonly #needy: readonly string[];

  constructor(readonly places: readonly DataPlace[], readonly claims: Claims) {
    this.#needy = claims.own.filter((name) =>
      !places.some(({ task }) => task === name) &&
      !claims.written.some((task) => task.name === name && task.data !== undefined)
    );
    this.#only = this.#needy.length === 1 ? this.#needy[0] : undefined;
  }

  /**
   * The files of a task; undefined where nothing says where they are.
   *
   * @throws {UserError} for files that are named and not there
   */
  async find(task: OwnTask): Promise<SplitPaths | undefined> {
    const { name, data } = task;
    const named = this.places.filter((place) => place.task === name);
    if (named.length > 1) throw new UserError(`--data names ${named.length} places for ${name}`);
    if (named.length === 1) {
      this.#used.add(named[0]);
      return this.#asScored(task, await locateData(task, named[0].path));
    }
    const isWritten = this.claims.written.some((task) =>
      task.name === name && task.data !== undefined
    );
    if (isWritten) return await this.#written(task);
    for (const place of this.places) {
      if (place.task !== undefined) continue;
      const found = await this.#findIn(place, task);
      if (found === undefined) continue;
      this.#used.add(place);
      return this.#asScored(task, found);
    }
    return typeof data === "object" ? data : undefined;
  }

  /**
   * Refuses places that no task reads.
   *
   * @param builtIn the tasks that are read from folders
   */
  checkUse(builtIn: readonly string[]): void {
    const { own } = this.claims;
    for (const place of this.places) {
      const { path, task, isTable } = place;
      if (this.#used.has(place) || (!isTable && task === undefined && builtIn.length > 0)) continue;
      if (own.length === 0 && !isTable && task === undefined) continue; // said when the tasks are loaded
      const remedy = task === undefined && own.length > 0
        ? `: say whose it is, as --data ${own[0]}=${path}`
        : builtIn.length > 0
        ? `: what is built in (${
          builtIn.join(", ")
        }) is read from folders, and a task of your own needs a ` +
          `name of its own`
        : `: name its task with --tasks`;
      throw new UserError(`no task reads ${path}${remedy}`);
    }
  }

  async #written(task: OwnTask): Promise<SplitPaths> {
    const { data } = task;
    return typeof data === "object" ? data : await locateData(task, data!);
  }

  async #findIn({ path, isTable, hub }: DataPlace, task: OwnTask): Promise<SplitPaths | undefined> {
    const isOnly = task.name === this.#only;
    if (hub && !this.#isFree(hub)) return undefined;
    if (isTable || hub) {
      if (isOnly) return await locateData(task, path);
      if (this.#only !== undefined) return undefined;
      throw new UserError(
        `${path} is the data of one task, and ${
          this.#needy.join(" and ")
        } each need some: say whose it ` +
          `is, as --data ${task.name}=${path}`,
      );
    }
    return await findTask(diskFiles, path, task.name, task.splits) ??
      (isOnly ? await findSplits(diskFiles, path, task.splits) : undefined);
  }

  /** Whether a data set of the hub may be a task's of the user's own: beside others, not one of those built in. */
  #isFree({ repository, configuration }: HubPlace): boolean {
    if (!repository?.includes("/")) return false;
    const isBuiltIn = Object.values(hubTasks).some((task) => task.repository === repository);
    return !isBuiltIn || configuration !== undefined || this.places.length === 1;
  }

  /** A single table is scored whole, unless it is the one that the run divides itself. */
  #asScored({ name }: OwnTask, found: SplitPaths): SplitPaths {
    const { scored, known } = this.claims;
    const before = known.get(name)?.data;
    const isSame = JSON.stringify(found.train) === JSON.stringify(before?.train);
    if (before && isSame && Object.keys(found).length === 1) return before;
    const isSingle = Object.keys(found).join() === "train";
    return scored && isSingle ? { [scored]: found.train! } : found;
  }
}
