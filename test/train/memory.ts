/** Runs and models that are kept in memory, as a page might: nothing in src/train needs a disk. */

import { formatConfig, parseConfig } from "../../models/config.ts";
import { writeSafetensors } from "../../src/io/safetensors.ts";
import { type ByteSource, bytesSource } from "../../src/io/source.ts";
import type { CheckpointStore } from "../../src/train/checkpoint.ts";
import type { ModelSource } from "../../src/train/weight-files.ts";
import { RunDirectory, type RunStore } from "../../src/train/run-directory.ts";
import { tinyConfig, tinyTensors } from "./tiny-model.ts";

const encode = (text: string) => new TextEncoder().encode(text);

/** A model's directory of these files. */
export function memorySource(files: Readonly<Record<string, Uint8Array>>): ModelSource {
  return {
    location: "memory",
    read: (file) => Promise.resolve(files[file]),
    open: (file) => Promise.resolve(bytesSource(`memory/${file}`, files[file])),
    exists: (file) => Promise.resolve(file in files),
  };
}

/** The files of a checkpoint as a model's directory. */
export function checkpointSource(files: Readonly<Record<string, ByteSource>>): ModelSource {
  return {
    location: "memory",
    read: (file) => files[file].read(0, files[file].size),
    open: (file) => Promise.resolve(files[file]),
    exists: (file) => Promise.resolve(file in files),
  };
}

/** The directory of a tiny model, with adapters but untrained. */
export async function tinySource(fields: Record<string, unknown> = {}): Promise<ModelSource> {
  const config = parseConfig({ ...tinyConfig, ...fields }, "config.json");
  const tokenizer = new URL("../../models/miniature/tokenizer.json", import.meta.url);
  return memorySource({
    "config.json": encode(JSON.stringify(formatConfig(config))),
    "model.safetensors": writeSafetensors(tinyTensors()),
    "tokenizer.json": await Deno.readFile(tokenizer),
  });
}

/** An empty run directory. */
export function memoryRun(): RunDirectory {
  const files = new Map<string, Uint8Array>();
  const store: RunStore = {
    location: "memory",
    read: (file) => Promise.resolve(files.get(file)!),
    exists: (file) => Promise.resolve(files.has(file)),
    writeAtomic: (file, bytes) => Promise.resolve(void files.set(file, bytes)),
    append: (file, line) => {
      const before = new TextDecoder().decode(files.get(file) ?? new Uint8Array());
      return Promise.resolve(void files.set(file, encode(`${before}${line}\n`)));
    },
    checkpoints: memoryCheckpoints(),
  };
  return new RunDirectory(store);
}

/** The lines of a run's metrics. */
export async function metricsOf({ store }: RunDirectory): Promise<Record<string, unknown>[]> {
  const text = new TextDecoder().decode(await store.read("metrics.jsonl"));
  return text.trimEnd().split("\n").map((line) => JSON.parse(line));
}

function memoryCheckpoints(): CheckpointStore {
  const files = new Map<string, Uint8Array>();
  const top = (path: string) => path.split("/")[0];
  return {
    location: "memory/checkpoints",
    read: (path) => Promise.resolve(files.get(path)!),
    open: (path) => Promise.resolve(bytesSource(`memory/checkpoints/${path}`, files.get(path)!)),
    writeAtomic: (path, bytes) => Promise.resolve(void files.set(path, bytes)),
    list: () => Promise.resolve([...new Set([...files.keys()].map(top))].sort()),
    remove: (name) => {
      for (const path of [...files.keys()]) if (top(path) === name) files.delete(path);
      return Promise.resolve();
    },
  };
}
