/** The trained model that a command is to use: that of a run, or a directory of its own. */

import { UserError } from "../../src/errors.ts";
import { directoryStore } from "../../src/platform/files.ts";
import { hasCheckpoint, loadCheckpoint, type Which } from "../../src/train/checkpoint.ts";
import { modelFile, type ModelFiles } from "../../src/train/model-files.ts";
import { newestRunPath, readOn, requireRun } from "./places.ts";
import { readSettings } from "./settings.ts";
import { tokenizerChoice, type TokenizerFlags } from "./tokenizers.ts";

/** How a command's flags name a checkpoint of a run. */
export interface RunChoice extends TokenizerFlags {
  /** The run's path; the newest unless told. */
  readonly run?: string;
  /** The best checkpoint, or the latest where there was no evaluation, unless told. */
  readonly which?: Which;
  /** Where the backbone is now, if not where it was in training. */
  readonly backbone?: string;
}

/** The path of the run that was chosen. @throws {UserError} if there is none */
export async function chosenRun({ run }: RunChoice): Promise<string> {
  const path = run ?? await newestRunPath();
  if (path === undefined) {
    throw new UserError(
      "there is no trained model in runs/: make one with deno task train, or name one with --run",
    );
  }
  await requireRun(path);
  return path;
}

/** Reads a checkpoint of the run at `path`. @throws {UserError} if it is missing or damaged */
export async function readRun(
  path: string,
  { which, backbone, ...flags }: RunChoice,
): Promise<ModelFiles> {
  const store = directoryStore(`${path}/checkpoints`);
  const chosen = which ?? (await hasCheckpoint(store, "best") ? "best" : "latest");
  const { step, files } = await loadCheckpoint(store, chosen);
  console.error(`Model: ${path}, the ${chosen} checkpoint (step ${step})`);
  const source = {
    location: `${path} (${chosen} checkpoint)`,
    read: (file: string) => files[file].read(0, files[file].size),
    open: (file: string) => Promise.resolve(files[file]),
    exists: (file: string) => Promise.resolve(file in files),
  };
  // A checkpoint that stands alone has the run's tokenizer; others have their backbone's, unless told.
  const standsAlone = !(modelFile.backbone in files);
  const { tokenizer, tokenizerRule } = standsAlone ? {} : await readSettings(path);
  const choice = await tokenizerChoice({
    tokenizer: flags.tokenizer ?? tokenizer,
    tokenizerRule: flags.tokenizerRule ?? tokenizerRule,
  });
  return await readOn(source, choice, backbone);
}
