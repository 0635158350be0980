/**
 * Data sets of the hub, as `--data` and task files name them: `hub`, each task's own; `hub:user/name`, one that
 * is named, with `@revision` or `/configuration` after it.
 */

import { chooseConfig, type HubSplits, readLayout } from "../../src/data/hub-layout.ts";
import { hubSource } from "../../src/data/hub-tasks.ts";
import { type OwnTask, type SplitPaths, SPLITS } from "../../src/data/own/definition.ts";
import type { DataFiles } from "../../src/data/own/files.ts";
import { requireSplits, SPLIT_NAMES } from "../../src/data/own/locate.ts";
import type { TextSource } from "../../src/data/source.ts";
import { UserError } from "../../src/errors.ts";
import { diskFiles } from "../../src/platform/files.ts";
import {
  CONVERTED,
  type HubDataset,
  hubPath,
  isHubPath,
  listDataset,
} from "../../src/platform/hub-datasets.ts";
import { fetchData } from "./fetching.ts";

/** What is named of the hub. */
export interface HubPlace {
  /** Organisation and name, or the name alone; each task's own unless told. */
  readonly repository?: string;
  readonly revision?: string;
  readonly configuration?: string;
}

/** Reads `hub` or `hub:…`; undefined for what is no such thing. */
export function parseHubPlace(text: string): HubPlace | undefined {
  if (text === "hub" || text === "hub:") return {};
  const word = "\\w[\\w.-]*";
  const [, repository, revision, configuration] =
    new RegExp(`^hub:(${word}(?:/${word})?)(?:@(${word}))?(?:/(${word}))?$`).exec(text) ?? [];
  if (repository !== undefined) {
    return {
      repository,
      ...(revision !== undefined && { revision }),
      ...(configuration !== undefined && { configuration }),
    };
  }
  if (!text.startsWith("hub:") || isHubPath(text)) return undefined;
  throw new UserError(
    `${text} is no data set of the hub: name one as hub:nyu-mll/glue, with /sst2 for a configuration, ` +
      `or each task's own as hub`,
  );
}

/** Files of this machine, and those of the hub by the places that `locateData` gives. */
export const dataFiles: DataFiles = {
  stream: async (path) => await diskFiles.stream(await onDisk(path)),
  open: async (path) => await diskFiles.open(await onDisk(path)),
  list: async (path) => isHubPath(path) ? undefined : await diskFiles.list(path),
  exists: async (path) => isHubPath(path) || await diskFiles.exists(path),
};

async function onDisk(path: string): Promise<string> {
  return isHubPath(path) ? await fetchData(path) : path;
}

/**
 * The files of a task's splits.
 *
 * @param path a file, a folder, or a data set of the hub
 * @throws {UserError} as `requireSplits`, and what the hub answers
 */
export async function locateData(task: OwnTask, path: string): Promise<SplitPaths> {
  const hub = parseHubPlace(path);
  if (hub === undefined) return await requireSplits(dataFiles, task, path);
  const { repository, revision, configuration } = hub;
  if (!repository?.includes("/")) {
    throw new UserError(
      `${task.name} is a task of your own, for which the hub has no data set: name one with its ` +
        `organisation, as hub:user/name`,
    );
  }
  const found = await findOnHub(repository, revision, configuration);
  const splits = SPLITS.flatMap((split) => {
    const names = task.splits?.[split] ? [task.splits[split]] : SPLIT_NAMES[split];
    const name = names.find((name) => found.has(name));
    return name === undefined ? [] : [[split, found.get(name)!] as const];
  });
  if (splits.length > 0) return Object.fromEntries(splits);
  throw new UserError(
    `${path} has the splits ${[...found.keys()].join(", ")}: say in a task file which serves, as ` +
      `"splits": {"train": "${[...found.keys()][0]}"}`,
  );
}

/** The tasks that are built in, in their own data sets or in one that is named. */
export function tasksOnHub(root: string, { repository, revision }: HubPlace): TextSource {
  return hubSource(root, async (task) => {
    const nameOf = (repository: string) => repository.split("/").at(-1)!;
    const isMeant = repository === undefined || nameOf(repository) === nameOf(task.repository);
    if (!isMeant) return undefined;
    const name = repository?.includes("/") ? repository : task.repository;
    const splits = await findOnHub(name, revision, task.configuration);
    return { files: dataFiles, splits };
  });
}

/** A configuration's splits: as a data set's own branch has them, or else as the hub has made Parquet of it. */
async function findOnHub(
  name: string,
  revision: string | undefined,
  configuration: string | undefined,
): Promise<HubSplits> {
  const branches = revision === undefined ? ["main", CONVERTED] : [revision];
  let refusal: unknown;
  for (const branch of branches) {
    try {
      const dataset = await listDataset(name, branch);
      if (dataset === undefined) continue;
      const splits = chooseConfig(readLayout(dataset.paths), configuration, name);
      tell(dataset, branch, splits);
      return new Map(
        [...splits].map(([split, paths]) => [split, paths.map((path) => hubPath(dataset, path))]),
      );
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
      refusal = error; // The converted branch may know more, or be what was fetched.
    }
  }
  throw refusal;
}

/** Says which state of a data set is read, and where the hub has made Parquet of a part of it only. */
function tell({ name, commit }: HubDataset, branch: string, splits: HubSplits): void {
  console.error(`On the hub: ${name} at ${commit.slice(0, 8)} (${branch}).`);
  const partial = [...splits].filter(([, paths]) =>
    paths.some((path) => path.includes("/partial-"))
  );
  if (partial.length === 0) return;
  console.error(
    `Warning: of ${name} the hub has only the first rows in Parquet: ${
      partial.map(([split]) => split).join(", ")
    } are incomplete.`,
  );
}
