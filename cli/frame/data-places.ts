/** What `--data` names: files and folders, each for all tasks or, as `mine=pairs.csv`, for one. */

import { basename, resolve } from "node:path";
import { hubTasks } from "../../src/data/hub-tasks.ts";
import type { TextSource } from "../../src/data/source.ts";
import { findSplits } from "../../src/data/own/locate.ts";
import { isTable, TABLE_ENDINGS } from "../../src/data/own/table.ts";
import { UserError } from "../../src/errors.ts";
import { diskFiles, exists } from "../../src/platform/files.ts";
import { type HubPlace, parseHubPlace, tasksOnHub } from "./hub-data.ts";
import { dataSource } from "./places.ts";

/** A file, a folder, or what is on the hub. */
export interface DataPlace {
  /** The task that it belongs to, if it was named. */
  readonly task?: string;
  /** Absolute; on the hub, as it was said. */
  readonly path: string;
  readonly hub?: HubPlace;
  /** Whether it is a table of rows, by its name, and not a folder of the tasks' files. */
  readonly isTable: boolean;
}

/** Reads `--data`: paths separated by commas. What is there under the whole name is one path. */
export async function parsePlaces(data: string | undefined): Promise<DataPlace[]> {
  if (data === undefined) return [];
  const places: DataPlace[] = [];
  for (const text of await exists(data) ? [data] : data.split(",")) {
    const [, task, named] = /^([\p{L}\p{N}_][\p{L}\p{N}_.-]*)=(.+)$/u.exec(text) ?? [];
    const isNamed = named !== undefined && !await exists(text);
    const place = isNamed ? named : text;
    const hub = parseHubPlace(place);
    const path = hub ? place : resolve(place);
    if (!hub && !isTable(path)) await requireFolder(path);
    places.push({
      path,
      isTable: !hub && isTable(path),
      ...(isNamed && { task }),
      ...(hub && { hub }),
    });
  }
  return places;
}

/** @throws {UserError} for a file, which would be taken for a folder without what a task needs */
async function requireFolder(path: string): Promise<void> {
  if (!await exists(path) || await diskFiles.list(path) !== undefined) return;
  throw new UserError(
    `${path} is of no kind that can be read, by its name: that must end with ${
      TABLE_ENDINGS.join(", ")
    }`,
  );
}

/** Places that name no task, with the names of their files or folders: `pairs.csv` is the task `pairs`. */
export async function nameByPlaces(places: readonly DataPlace[]): Promise<DataPlace[]> {
  const named: DataPlace[] = [];
  for (const place of places) {
    const { task, path, isTable, hub } = place;
    const isOwn = hub
      ? hub.repository?.includes("/") && !isBuiltIn(hub)
      : isTable || await findSplits(diskFiles, path) !== undefined;
    const stem = hub?.repository
      ? basename(hub.repository)
      : isTable
      ? basename(path).replace(/\.[a-z]+(\.gz)?$/i, "")
      : basename(path);
    const name = stem.replace(/[^\p{L}\p{N}_.-]+/gu, "-").replace(/^[.-]+/, "");
    named.push(task === undefined && isOwn && name !== "" ? { ...place, task: name } : place);
  }
  return named;
}

const isBuiltIn = ({ repository }: HubPlace): boolean =>
  Object.values(hubTasks).some((task) => task.repository === repository);

/** The same as one text, which means the same from another working directory. */
export function formatPlaces(places: readonly DataPlace[]): string {
  return places.map(({ task, path }) => task === undefined ? path : `${task}=${path}`).join(",");
}

/** Where tasks that are built in are read from: folders, and the hub; undefined where neither is named. */
export async function builtInSource(data: string | undefined): Promise<TextSource | undefined> {
  const places = (await parsePlaces(data)).filter(({ task, isTable }) =>
    !isTable && task === undefined
  );
  const sources = places.map(({ path, hub }) => hub ? tasksOnHub(path, hub) : dataSource(path));
  if (sources.length < 2) return sources[0];
  const having = async (file: string) => {
    for (const source of sources) if (await source.exists(file)) return source;
    return sources[0];
  };
  return {
    root: sources.map(({ root }) => root).join(" or "),
    parts: sources,
    stream: async (file) => (await having(file)).stream(file),
    exists: async (file) => (await having(file)).exists(file),
  };
}
