/**
 * Kernel choices in files: one for each adapter and version of this project in the cache, and one in the
 * directory of each run that was trained with them.
 */

import manifest from "../../deno.json" with { type: "json" };
import { UserError } from "../errors.ts";
import type { Gpu } from "../gpu/device.ts";
import {
  type Choices,
  Tuning,
  type TuningListener,
  type TuningStore,
  useTuning,
} from "../graph/tuning.ts";
import { cacheRoot } from "./cache.ts";
import { exists, makeDirectory, parent, readText, writeAtomic } from "./files.ts";

/** The file in a run's directory. */
const RUN_FILE = "tuning.json";

/**
 * Choices in a file, which need not be there yet.
 *
 * @throws {UserError} at a reading, where the file is not what this project writes
 */
export function tuningFile(path: string, { adapterName }: Gpu): TuningStore {
  return {
    async read() {
      return await exists(path) ? parse(await readText(path), path) : {};
    },
    async write(choices) {
      await makeDirectory(parent(path));
      const content = { adapter: adapterName, version: manifest.version, choices };
      await writeAtomic(path, `${JSON.stringify(content, null, 2)}\n`);
    },
  };
}

/**
 * Lets a device use what was measured on this machine, and measure what was not.
 *
 * @param tell is called with each new choice
 */
export async function tuneMachine(gpu: Gpu, tell?: TuningListener): Promise<void> {
  // The name has the driver's version in it where the driver tells.
  const adapter = gpu.adapterName.replace(/[^\w.]+/g, "-");
  const path = `${cacheRoot()}/tuning/${adapter}-${manifest.version}.json`;
  useTuning(gpu, await Tuning.open(tuningFile(path, gpu), tell));
}

/** Whether a run was begun with kernels that were measured. */
export async function isTuned(directory: string): Promise<boolean> {
  return await exists(`${directory}/${RUN_FILE}`);
}

/** Lets a device compute as a run was begun: with its choices or, if it has none, without any. */
export async function tuneLikeRun(gpu: Gpu, directory: string): Promise<void> {
  const path = `${directory}/${RUN_FILE}`;
  useTuning(
    gpu,
    await exists(path) ? await Tuning.open(tuningFile(path, gpu)) : undefined,
  );
}

/** Where a run keeps its choices. */
export function runTuningFile(gpu: Gpu, directory: string): TuningStore {
  return tuningFile(`${directory}/${RUN_FILE}`, gpu);
}

function parse(text: string, path: string): Choices {
  let choices: unknown;
  try {
    choices = JSON.parse(text).choices;
  } catch {
    // Told below: a file cut short is no better than one of something else.
  }
  const isTable = typeof choices === "object" && choices !== null &&
    Object.values(choices).every((name) => typeof name === "string");
  if (isTable) return choices as Choices;
  throw new UserError(
    `${path} is no table of kernel choices: delete it to have them measured anew`,
  );
}
