/**
 * Every task this project knows, under one set of names: the miniature mixture's, which are made here,
 * and GLUE's, which are read from files.
 */

import { suggestion, UserError } from "../errors.ts";
import { glueTaskNames, loadTask } from "./glue.ts";
import { miniatureDatasets, miniatureTaskNames } from "./miniature/mixture.ts";
import type { TextSource } from "./source.ts";
import type { Dataset, Split } from "./types.ts";

/** The names {@linkcode loadDatasets} knows. */
export const taskNames: readonly string[] = [...miniatureTaskNames, ...glueTaskNames];

/** Which tasks to load, and from where. */
export interface DatasetRequest {
  /** Names of tasks, each once; all of the miniature mixture unless told. */
  readonly tasks?: readonly string[];
  /** Where GLUE's folders are. */
  readonly data?: TextSource;
  /** Which splits to read from files; all of them unless told. */
  readonly splits?: readonly Split[];
}

/**
 * Loads tasks with their examples, in the order asked for.
 *
 * @throws {UserError} for an unknown or repeated name, a task whose files are missing or malformed, and
 * for files that no task of the request reads
 */
export async function loadDatasets({ tasks, data, splits }: DatasetRequest): Promise<Dataset[]> {
  const names = tasks ?? miniatureTaskNames;
  checkNames(names);
  if (data !== undefined && !names.some(isGlue)) {
    throw new UserError(
      `none of the tasks ${names.join(", ")} is read from ${data.root}: ` +
        `choose with --tasks among ${glueTaskNames.join(", ")}, or leave out --data`,
    );
  }
  const miniature = names.every(isGlue) ? [] : miniatureDatasets();
  const datasets: Dataset[] = [];
  for (const name of names) {
    const made = miniature.find(({ task }) => task.name === name);
    if (made === undefined && data === undefined) {
      throw new UserError(
        `task ${name} is read from files: say with --data DIR where GLUE's folders are`,
      );
    }
    datasets.push(made ?? await loadTask(name, data!, splits));
  }
  return datasets;
}

const isGlue = (name: string): boolean => glueTaskNames.includes(name);

function checkNames(names: readonly string[]): void {
  for (const [i, name] of names.entries()) {
    if (!taskNames.includes(name)) {
      throw new UserError(
        `there is no task "${name}"${suggestion(name, taskNames)}; ` +
          `known tasks: ${taskNames.join(", ")}`,
      );
    }
    if (names.indexOf(name) !== i) throw new UserError(`the task ${name} is named twice`);
  }
}
