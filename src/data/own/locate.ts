/**
 * Where the rows of a task's splits are: in one file, or in the files of a folder that are called after the
 * splits.
 */

import { UserError } from "../../errors.ts";
import type { Split } from "../types.ts";
import { type OwnTask, type SplitPaths, SPLITS } from "./definition.ts";
import type { DataFiles } from "./files.ts";
import { isTable, TABLE_ENDINGS } from "./table.ts";

/** What splits are called elsewhere. */
export const SPLIT_NAMES: Readonly<Record<Split, readonly string[]>> = {
  train: ["train"],
  validation: ["validation", "valid", "val", "dev", "eval"],
  test: ["test"],
};

/** Splits by other names than ours. */
type SplitNames = NonNullable<OwnTask["splits"]>;

/**
 * The files that a path means: a table, which is the training split, or a folder of tables.
 *
 * @returns undefined where there is neither
 * @throws {UserError} for two files of one split
 */
export async function findSplits(
  files: DataFiles,
  path: string,
  splits: SplitNames = {},
): Promise<SplitPaths | undefined> {
  if (isTable(path) && await files.exists(path) && await files.list(path) === undefined) {
    return { train: path };
  }
  // Data sets of the hub often have their files in a folder of this name.
  for (const folder of [path, `${path}/data`]) {
    const names = await files.list(folder);
    const found = names && SPLITS.flatMap((split) => {
      const paths = filesOf(
        names,
        splits[split] ? [splits[split]] : SPLIT_NAMES[split],
        folder,
        split,
      );
      return paths.length > 0 ? [[split, paths.length === 1 ? paths[0] : paths] as const] : [];
    });
    if (found && found.length > 0) return Object.fromEntries(found);
  }
}

/** As `findSplits`, of the file or folder of a task in a folder of several tasks. */
export async function findTask(
  files: DataFiles,
  folder: string,
  name: string,
  splits?: SplitNames,
): Promise<SplitPaths | undefined> {
  const names = await files.list(folder) ?? [];
  const own = TABLE_ENDINGS.map((ending) => `${name}${ending}`).filter((file) =>
    names.includes(file)
  );
  const candidates = [...names.includes(name) ? [name] : [], ...own];
  const found: SplitPaths[] = [];
  for (const candidate of candidates) {
    const paths = await findSplits(files, `${folder}/${candidate}`, splits);
    if (paths) found.push(paths);
  }
  if (found.length > 1) {
    throw new UserError(
      `${folder} has several data sets of the task ${name} (${
        candidates.join(", ")
      }): name one, as ` +
        `--data ${name}=${folder}/${candidates[0]}`,
    );
  }
  return found[0];
}

/**
 * As `findSplits`, of what a task must have.
 *
 * @throws {UserError} saying what was looked for
 */
export async function requireSplits(
  files: DataFiles,
  { name, splits }: OwnTask,
  path: string,
): Promise<SplitPaths> {
  const found = await findSplits(files, path, splits);
  if (found) return found;
  if (!await files.exists(path)) {
    throw new UserError(`there is no file or folder ${path} for the task ${name}`);
  }
  const names = await files.list(path);
  if (names === undefined) {
    throw new UserError(
      `${path} is of no kind that can be read, by its name: that must end with ${
        TABLE_ENDINGS.join(", ")
      }`,
    );
  }
  throw new UserError(
    `${path} has no file of a split, such as train.jsonl, validation.csv or test.parquet, for the task ` +
      `${name}; it has ${names.slice(0, 10).join(", ") || "nothing"}`,
  );
}

/** The files of one split: one, or all parts of one (`train-00000-of-00002.parquet`). */
function filesOf(
  names: readonly string[],
  stems: readonly string[],
  folder: string,
  split: Split,
): string[] {
  const found = names.flatMap((name) => {
    const [, stem, count, ending] = /^([^.]*?)(?:-\d{5}-of-(\d{5}))?(\.[a-z.]+)$/i.exec(name) ?? [];
    const isOne = stem !== undefined && stems.includes(stem.toLowerCase()) && isTable(name);
    return isOne
      ? [{ name, set: `${stem}${count ?? ""}${ending}`, count: Number(count ?? 1) }]
      : [];
  });
  const sets = new Set(found.map(({ set }) => set));
  if (sets.size > 1) {
    throw new UserError(
      `${folder} has several files of its ${split} split (${
        found.map(({ name }) => name).join(", ")
      }): leave one, or say in a task file which it is, as "data": {"${split}": "${
        found[0].name
      }"}`,
    );
  }
  if (found.length > 0 && found.length !== found[0].count) {
    throw new UserError(
      `${folder} has ${found.length} of the ${
        found[0].count
      } parts of its ${split} split: fetch all`,
    );
  }
  return found.map(({ name }) => `${folder}/${name}`).sort();
}
