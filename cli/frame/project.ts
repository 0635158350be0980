/**
 * Where the files are that come with the project.
 *
 * Found by going up from this module: the commands also run bundled into one file each, in another directory of
 * the project, where no path relative to a module holds.
 */

import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** The path of a file or directory of the project, by its path from the top as "models/miniature". */
export function projectPath(path: string): string {
  const start = dirname(fileURLToPath(import.meta.url));
  for (let directory = start; directory !== dirname(directory); directory = dirname(directory)) {
    if (existsSync(join(directory, "deno.json"))) return join(directory, path);
  }
  throw new Error(`The project was not found: no directory above ${start} has a deno.json.`);
}
