/** Finds a task's file among the places where people have it. */

import { UserError } from "../errors.ts";
import type { TextSource } from "./source.ts";

/** The first of `paths` that `source` has, if it has one. */
export async function findFirst(
  source: TextSource,
  paths: readonly string[],
): Promise<string | undefined> {
  for (const path of paths) if (await source.exists(path)) return path;
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
): Promise<string> {
  const found = await findFirst(source, paths);
  if (found !== undefined) return found;
  const [first, ...others] = paths;
  const alternatives = others.length > 0 ? ` (or ${others.join(", ")})` : "";
  throw new UserError(
    `Task ${task} needs ${source.root}/${first}${alternatives}, which is not there; ` +
      `--data takes the folder that holds ${first.split("/")[0]}.`,
  );
}
