/** Where models and runs are, as the commands name them. */

import { basename, resolve } from "node:path";
import { suggestion, UserError } from "../../src/errors.ts";
import {
  appendLine,
  directorySource,
  directoryStore,
  exists,
  listDirectory,
  openFile,
  readBytes,
} from "../../src/platform/files.ts";
import { isHubId, openHubModel } from "../../src/platform/hub.ts";
import { checkConfig, type ModelFiles, readModel } from "../../src/train/model-files.ts";
import type { TokenizerChoice } from "../../src/train/tokenizer-source.ts";
import type { ModelSource } from "../../src/train/weight-files.ts";
import { RunDirectory } from "../../src/train/run-directory.ts";
import { fetchModel } from "./fetching.ts";
import { projectPath } from "./project.ts";

/** Where runs go that are not told otherwise. */
export const RUNS = "runs";

const embedded = projectPath("models/miniature");

/** A model's name as it means the same from anywhere: an absolute path, a hub id, or `miniature`. */
export async function modelName(name: string): Promise<string> {
  return name === "miniature" || await isOnHub(name) ? name : resolve(name);
}

/**
 * Reads the model of that name, with its backbone.
 *
 * @param choice which tokenizer it is to have, if not its own
 * @param backbone where its backbone is, if not where it says
 * @throws {UserError} as `readOn` does
 */
export async function openModel(
  name: string,
  choice?: TokenizerChoice,
  backbone?: string,
): Promise<ModelFiles> {
  const meant = suggestion(basename(name), ["miniature"]);
  const isMisspelt = meant !== "" && !name.includes("/");
  if (name !== "miniature" && !await exists(name) && (isMisspelt || !isHubId(name))) {
    throw new UserError(
      `there is no model at ${name}${meant}: ` +
        `give a directory with config.json, weights and a tokenizer, or a hub id as ` +
        `google/t5-v1_1-base`,
    );
  }
  return await readOn(await findModel(name), choice, backbone);
}

/**
 * Reads a model with the backbone that it names, or another in its place.
 *
 * @throws {UserError} as `readModel` does, or if a backbone is told and the model stands alone
 */
export async function readOn(
  source: ModelSource,
  choice: TokenizerChoice | undefined,
  backbone: string | undefined,
): Promise<ModelFiles> {
  let needsBackbone = false;
  const model = await readModel(source, (name) => {
    needsBackbone = true;
    return findModel(backbone ?? name);
  }, choice);
  if (backbone === undefined || needsBackbone) return model;
  throw new UserError(`${source.location} is whole by itself: leave --backbone out`);
}

/** Finds a model by its name. What is on the hub is fetched, as far as it is not here yet. */
export async function findModel(name: string): Promise<ModelSource> {
  if (!await isOnHub(name)) return modelSource(name);
  let isThere = false;
  const inspect = (root: string) => {
    isThere = true;
    return checkConfig({ ...modelSource(root), location: name });
  };
  try {
    return { ...modelSource(await fetchModel(name, inspect)), location: name };
  } catch (error) {
    // Whoever mistyped a path must not be sent to the hub for it.
    if (!(error instanceof UserError) || isThere) throw error;
    throw new UserError(`there is no directory ${name}, and ${error.message}`, { cause: error });
  }
}

/** Finds a tokenizer by the name of what it belongs to. Of the hub's models no weights are fetched. */
export async function findTokenizer(name: string): Promise<ModelSource> {
  if (await isOnHub(name)) {
    return { ...modelSource(await openHubModel(name, { tokenizerOnly: true })), location: name };
  }
  if (name !== "miniature" && !await exists(name)) {
    throw new UserError(
      `there is no tokenizer at ${name}: give a directory with tokenizer.json or spiece.model, ` +
        `or the hub id of a model that has one, with --tokenizer`,
    );
  }
  return modelSource(name);
}

/** Whether a name is a hub id, and not that of a directory here. */
async function isOnHub(name: string): Promise<boolean> {
  return isHubId(name) && !await exists(name);
}

/** A directory here by its path, or that of `miniature`. */
export function modelSource(name: string): ModelSource {
  const root = name === "miniature" ? embedded : name;
  return {
    location: name,
    read: (file) => readBytes(`${root}/${file}`),
    open: (file) => openFile(`${root}/${file}`),
    exists: (file) => exists(`${root}/${file}`),
  };
}

/** A folder of data files by its path. */
export function dataSource(root: string) {
  return { root, ...directorySource(root) };
}

/** The run at a path, whether or not there is one yet. */
export function runDirectory(root: string): RunDirectory {
  return new RunDirectory({
    ...directoryStore(root),
    exists: (file) => exists(`${root}/${file}`),
    append: (file, line) => appendLine(`${root}/${file}`, line),
    checkpoints: directoryStore(`${root}/checkpoints`),
  });
}

/** A path for a new run, named after this moment: `runs/2026-01-31-17-05-59`. */
export function newRunPath(): string {
  return `${RUNS}/${new Date().toISOString().slice(0, 19).replace(/[T:]/g, "-")}`;
}

/** The path of the newest run that was named by `newRunPath`, if there is one. */
export async function newestRunPath(): Promise<string | undefined> {
  if (!await exists(RUNS)) return undefined;
  const names = await listDirectory(RUNS);
  const newest = names.findLast((name) => /^\d{4}(-\d\d){5}$/.test(name));
  return newest && `${RUNS}/${newest}`;
}

/** Checks that there is a run at a path. */
export async function requireRun(root: string): Promise<void> {
  if (await exists(`${root}/config.json`)) return;
  throw new UserError(
    `there is no run at ${root}: give the directory that deno task train wrote (${RUNS}/…)`,
  );
}
