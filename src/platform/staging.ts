/**
 * Directories that appear whole or not at all.
 *
 * Files are written to a directory beside the one they are meant for, which takes its name when all are
 * on disk. What is interrupted, or fails, leaves nothing at the destination.
 */

import { UserError } from "../errors.ts";
import { exists, explain, listDirectory, makeDirectory, parent, syncDirectory } from "./files.ts";

/** What a file is made of: text, bytes, or parts that come one after another. */
export type Content = string | Uint8Array | AsyncIterable<Uint8Array>;

/** A directory in the making. */
export interface Staging {
  /** Writes a file; `path` is relative, its directories are made. Returns its size in bytes. */
  write(path: string, content: Content): Promise<number>;
}

/** How a directory is made. */
export interface StagingOptions {
  /** Files of a directory that is there already may be replaced; others in it stay. */
  readonly replace?: boolean;
  /** Stops the writing; `publish` then throws its reason. */
  readonly signal?: AbortSignal;
}

/** Checks that there is nothing at `path` that would be written over. @throws {UserError} if there is */
export async function checkVacant(path: string): Promise<void> {
  if (await isVacant(path)) return;
  throw new UserError(
    `${path} is there and not empty: give another directory, or --force to replace its files`,
  );
}

/**
 * Makes the directory `path` of what `fill` writes.
 *
 * @throws {UserError} if it is not empty and nothing may be replaced, or cannot be written
 */
export async function publish(
  path: string,
  { replace = false, signal }: StagingOptions,
  fill: (staging: Staging) => Promise<void>,
): Promise<void> {
  if (!replace) await checkVacant(path);
  const destination = path.replace(/(?<=.)[/\\]+$/, "");
  const temporary = `${destination}.${crypto.randomUUID()}.tmp`;
  try {
    await makeDirectory(temporary);
    const files: string[] = [];
    await fill({
      write: async (file, content) => {
        files.push(file);
        await makeDirectory(parent(`${temporary}/${file}`));
        return await writeParts(`${temporary}/${file}`, content, signal);
      },
    });
    signal?.throwIfAborted();
    if (await isVacant(destination)) await replaceDirectory(temporary, destination);
    else await replaceFiles(temporary, destination, files);
  } finally {
    await Deno.remove(temporary, { recursive: true }).catch(() => {}); // gone if all went well
  }
}

async function isVacant(path: string): Promise<boolean> {
  return !await exists(path) || (await listDirectory(path)).length === 0;
}

/** Gives a directory the name of one that is empty or not there. */
async function replaceDirectory(temporary: string, destination: string): Promise<void> {
  await explain("write", destination, async () => {
    if (await exists(destination)) await Deno.remove(destination);
    await Deno.rename(temporary, destination);
    await syncDirectory(parent(destination));
  });
}

/** Moves files into a directory, each in one step. */
async function replaceFiles(from: string, to: string, files: readonly string[]): Promise<void> {
  for (const file of files) {
    await makeDirectory(parent(`${to}/${file}`));
    await explain("write", `${to}/${file}`, () => Deno.rename(`${from}/${file}`, `${to}/${file}`));
    await syncDirectory(parent(`${to}/${file}`));
  }
}

/** Writes a new file part by part, through to the disk. */
async function writeParts(path: string, content: Content, signal?: AbortSignal): Promise<number> {
  let size = 0;
  using file = await explain(
    "write",
    path,
    () => Deno.open(path, { write: true, createNew: true }),
  );
  for await (const part of partsOf(content)) {
    signal?.throwIfAborted();
    await explain("write", path, async () => {
      for (let written = 0; written < part.length;) {
        written += await file.write(part.subarray(written));
      }
    });
    size += part.length;
  }
  await explain("write", path, () => file.sync());
  return size;
}

async function* partsOf(content: Content): AsyncGenerator<Uint8Array> {
  if (typeof content === "string") yield new TextEncoder().encode(content);
  else if (content instanceof Uint8Array) yield content;
  else yield* content;
}
