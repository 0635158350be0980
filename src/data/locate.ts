/**
 * Finds a task's file among the places where people have it.
 *
 * The rule, where several are there: the first of the list is read, in which a release's own file stands
 * before others, a plain one before a gzipped one, and the whole before a sample. The others are named.
 */

import { UserError } from "../errors.ts";
import type { TextSource } from "./source.ts";

/** A file that is read, and those that could have been read instead. */
export interface Found {
  /** The folder that has it. */
  readonly source: TextSource;
  readonly path: string;
  readonly others: readonly string[];
}

/** The first of `paths` that `source` has, if it has one. */
export async function findFirst(
  source: TextSource,
  paths: readonly string[],
): Promise<Found | undefined> {
  const { parts = [source] } = source;
  const found: { source: TextSource; path: string }[] = [];
  for (const path of new Set(paths)) {
    for (const part of parts) if (await part.exists(path)) found.push({ source: part, path });
  }
  const [first, ...rest] = found;
  if (first === undefined) return undefined;
  const others = rest.map(({ source: { root }, path }) =>
    root === first.source.root ? path : `${root}/${path}`
  );
  return { ...first, others };
}

/**
 * The first of `paths` that `source` has.
 *
 * @param task its name, for the error
 * @throws {UserError} naming all of them when there is none
 */
export async function locate(
  task: string,
  source: TextSource,
  paths: readonly string[],
): Promise<Found> {
  const found = await findFirst(source, paths);
  if (found !== undefined) return found;
  const [first, ...others] = paths;
  const alternatives = others.length > 0 ? ` (or ${others.join(", ")})` : "";
  throw new UserError(
    `Task ${task} needs ${source.root}/${first}${alternatives}, which is not there; ` +
      `--data takes the folder that holds ${first.split("/")[0]}.`,
  );
}
