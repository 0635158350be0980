/**
 * Checkpoints that are whole or absent.
 *
 * Each is a directory of files named after its step; `manifest.json`, written last and in one step,
 * commits them all: it names the latest and the best checkpoint with the size and checksum of every file.
 * Directories that it does not name do not count: they are what an interrupted save left, or were
 * superseded, and the next save sweeps them up. A process killed at any moment can therefore be resumed
 * from the last commit, and a truncated or altered file is found before anything is made of it.
 */

import { UserError } from "../errors.ts";
import { checksum } from "../io/digest.ts";
import { type ByteSource, bytesSource } from "../io/source.ts";

/** Where checkpoints are kept: a directory on disk, or anything else with names and bytes. */
export interface CheckpointStore {
  /** Its path or name, for error messages. */
  readonly location: string;
  /** The bytes at `path`, which is `name` or `directory/name`. */
  read(path: string): Promise<Uint8Array>;
  /** Access to the file at `path`, which may be larger than memory. */
  open(path: string): Promise<ByteSource>;
  /** Replaces what is at `path` in one step, on return for good; makes its directory if need be. */
  writeAtomic(path: string, bytes: Uint8Array): Promise<void>;
  /** Names of the files and directories at the top. Empty if nothing was ever written. */
  list(): Promise<string[]>;
  /** Removes a file or directory at the top, with all it holds. */
  remove(name: string): Promise<void>;
}

/** All that training needs to go on: its files' contents when it is saved, the files when it is loaded. */
export interface Checkpoint<File> {
  /** Optimiser steps done. */
  readonly step: number;
  /** By file name. */
  readonly files: Readonly<Record<string, File>>;
  /** What does not belong in tensors (random state, data position, scores), as plain JSON. */
  readonly state: unknown;
}

/** Which of the kept checkpoints: that of the last save, or the last that was saved as the best. */
export type Which = "latest" | "best";

/** A committed checkpoint, as the manifest describes it; `sha256` is a {@linkcode checksum}. */
interface Entry {
  readonly step: number;
  readonly directory: string;
  readonly files: Readonly<Record<string, { readonly bytes: number; readonly sha256: string }>>;
  readonly state: unknown;
}

interface Manifest {
  readonly format: 1;
  readonly latest: Entry;
  readonly best?: Entry;
}

const manifestName = "manifest.json";
const directoryPattern = /^step-\d{6,}(-\d+)?$/;
const filePattern = /^\w[\w.-]*$/;

/**
 * Saves a checkpoint as the latest, and with `best` as the best too. What was latest, and not best, is
 * then removed. Until it returns, the previous checkpoints are those that count.
 *
 * @throws UserError if the store cannot be written, or holds a manifest that cannot be read
 */
export async function saveCheckpoint(
  store: CheckpointStore,
  { step, files, state }: Checkpoint<Uint8Array>,
  { best = false } = {},
): Promise<void> {
  const previous = await readManifest(store);
  await sweep(store, previous);

  const directory = freshDirectory(step, previous);
  const described: [string, Entry["files"][string]][] = [];
  for (const [name, bytes] of Object.entries(files)) {
    if (!filePattern.test(name)) throw new Error(`not a name for a checkpoint's file: ${name}`);
    const sha256 = await checksum(bytesSource(name, bytes));
    described.push([name, { bytes: bytes.length, sha256 }]);
    await store.writeAtomic(`${directory}/${name}`, bytes);
  }

  const latest: Entry = { step, directory, state, files: Object.fromEntries(described) };
  const bestEntry = best ? latest : previous?.best;
  const manifest: Manifest = { format: 1, latest, ...(bestEntry && { best: bestEntry }) };
  const text = JSON.stringify(manifest, refuseNonFinite, 1);
  await store.writeAtomic(manifestName, new TextEncoder().encode(text));
  await sweep(store, manifest);
}

/**
 * Opens the files of a checkpoint, having checked every byte of them.
 *
 * @throws UserError naming the file if there is no such checkpoint, or it is truncated or altered
 */
export async function loadCheckpoint(
  store: CheckpointStore,
  which: Which = "latest",
): Promise<Checkpoint<ByteSource>> {
  const manifest = await readManifest(store);
  if (manifest === undefined) throw new UserError(`${store.location} holds no checkpoint`);
  const entry = manifest[which];
  if (entry === undefined) {
    throw new UserError(`${store.location} holds no ${which} checkpoint yet`);
  }

  const files: Record<string, ByteSource> = {};
  for (const [name, expected] of Object.entries(entry.files)) {
    const path = `${entry.directory}/${name}`;
    const file = await store.open(path);
    const broken = file.size !== expected.bytes
      ? `has ${file.size} bytes where ${expected.bytes} were saved`
      : await checksum(file) !== expected.sha256
      ? "is not what was saved: its checksum differs"
      : undefined;
    if (broken !== undefined) {
      throw new UserError(`the checkpoint is damaged: ${store.location}/${path} ${broken}`);
    }
    files[name] = file;
  }
  return { step: entry.step, files, state: entry.state };
}

/** Whether there is a checkpoint to load. */
export async function hasCheckpoint(
  store: CheckpointStore,
  which: Which = "latest",
): Promise<boolean> {
  return (await readManifest(store))?.[which] !== undefined;
}

async function readManifest(store: CheckpointStore): Promise<Manifest | undefined> {
  if (!(await store.list()).includes(manifestName)) return undefined;
  const text = new TextDecoder().decode(await store.read(manifestName));
  let manifest: unknown;
  try {
    manifest = JSON.parse(text);
  } catch {
    // Reported below: what is not JSON is not a manifest.
  }
  if (!isManifest(manifest)) {
    throw new UserError(
      `${store.location}/${manifestName} is damaged or of another version: restore it, or use another directory`,
    );
  }
  return manifest;
}

/** Removes what the manifest does not name. Only what a save could have made: never a user's file. */
async function sweep(store: CheckpointStore, manifest: Manifest | undefined): Promise<void> {
  const named = [manifest?.latest.directory, manifest?.best?.directory];
  for (const name of await store.list()) {
    const superseded = directoryPattern.test(name) && !named.includes(name);
    const unfinished = name.startsWith(`${manifestName}.`) && name.endsWith(".tmp");
    if (superseded || unfinished) await store.remove(name);
  }
}

/** A directory that no committed checkpoint uses: a step may be saved twice, as at Ctrl-C. */
function freshDirectory(step: number, manifest: Manifest | undefined): string {
  const base = `step-${String(step).padStart(6, "0")}`;
  const used = [manifest?.latest.directory, manifest?.best?.directory];
  let name = base;
  for (let attempt = 2; used.includes(name); attempt++) name = `${base}-${attempt}`;
  return name;
}

/** JSON would turn these into null, to be found only at the resume. */
function refuseNonFinite(key: string, value: unknown): unknown {
  if (typeof value === "number" && !Number.isFinite(value)) {
    throw new Error(`the checkpoint's state cannot hold ${value} (in "${key}")`);
  }
  return value;
}

function isManifest(value: unknown): value is Manifest {
  if (!isRecord(value) || value.format !== 1) return false;
  return isEntry(value.latest) && (value.best === undefined || isEntry(value.best));
}

function isEntry(value: unknown): value is Entry {
  return isRecord(value) && Number.isSafeInteger(value.step) &&
    typeof value.directory === "string" && directoryPattern.test(value.directory) &&
    isRecord(value.files) &&
    Object.entries(value.files).every(([name, file]) =>
      filePattern.test(name) && isRecord(file) && Number.isSafeInteger(file.bytes) &&
      typeof file.sha256 === "string"
    );
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null;
