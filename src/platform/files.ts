/**
 * Files and directories on disk: the only place that touches the file system.
 *
 * A failure of the file system is somebody's to mend (a wrong path, a full disk), so every function
 * throws it as a `UserError` that names the path. A file written with {@linkcode writeAtomic} is, after
 * a crash at any moment, either the old one or the whole new one.
 */

import { UserError } from "../errors.ts";
import type { ByteSource } from "../io/source.ts";

/** The text of a UTF-8 file. */
export function readText(path: string): Promise<string> {
  return explain("read", path, () => Deno.readTextFile(path));
}

/** The bytes of a file. */
export function readBytes(path: string): Promise<Uint8Array<ArrayBuffer>> {
  return explain("read", path, () => Deno.readFile(path));
}

/** The bytes of a file, as they are read. */
export function streamFile(path: string): Promise<ReadableStream<Uint8Array<ArrayBuffer>>> {
  return explain("read", path, async () => (await Deno.open(path)).readable);
}

/**
 * Random access to a file. It is opened anew for every read, so nothing is left to be closed; a file that
 * has changed since this call is not read any more, since what it said of itself need not hold.
 */
export async function openFile(path: string): Promise<ByteSource> {
  const { size, mtime } = await explain("read", path, () => Deno.stat(path));
  const changed = () => new UserError(`${path} was changed while it was being read: begin again`);
  const read = async (begin: number, end: number) => {
    using file = await Deno.open(path);
    const now = await file.stat();
    if (now.size !== size || now.mtime?.getTime() !== mtime?.getTime()) throw changed();
    await file.seek(begin, Deno.SeekMode.Start);
    const bytes = new Uint8Array(end - begin);
    for (let filled = 0; filled < bytes.length;) {
      const count = await file.read(bytes.subarray(filled));
      if (count === null) throw changed();
      filled += count;
    }
    return bytes;
  };
  return { name: path, size, read: (begin, end) => explain("read", path, () => read(begin, end)) };
}

/** Whether there is a file or directory at `path`. */
export function exists(path: string): Promise<boolean> {
  return explain("look at", path, async () => {
    try {
      await Deno.stat(path);
      return true;
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return false;
      if (error instanceof Deno.errors.NotADirectory) return false;
      throw error;
    }
  });
}

/**
 * Replaces the file at `path` in one step. Its directory must exist. A crash may leave a temporary file
 * beside it, whose name starts with the file's and ends with `.tmp`.
 */
export function writeAtomic(path: string, content: Uint8Array | string): Promise<void> {
  const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
  const temporary = `${path}.${crypto.randomUUID()}.tmp`;
  return explain("write", path, async () => {
    try {
      await writeThrough(temporary, bytes);
      await Deno.rename(temporary, path);
    } catch (error) {
      await Deno.remove(temporary).catch(() => {});
      throw error;
    }
    await syncDirectory(parent(path));
  });
}

/** Adds a line to a text file, made if need be. `line` has no line break. */
export function appendLine(path: string, line: string): Promise<void> {
  return explain("write", path, () => Deno.writeTextFile(path, `${line}\n`, { append: true }));
}

/** Makes a directory and those above it; one that exists is left as it is. */
export function makeDirectory(path: string): Promise<void> {
  return explain("make directory", path, async () => {
    await Deno.mkdir(path, { recursive: true });
    await syncDirectory(parent(path));
  });
}

/** Names of the entries of a directory, sorted. */
export function listDirectory(path: string): Promise<string[]> {
  return explain("read directory", path, async () => {
    const names = await Array.fromAsync(Deno.readDir(path), ({ name }) => name);
    return names.sort();
  });
}

/** Removes a file, or a directory with all it holds. */
export function remove(path: string): Promise<void> {
  return explain("remove", path, () => Deno.remove(path, { recursive: true }));
}

/** The text files under `root`, as the data readers ask for them: by path relative to it. */
export function directorySource(root: string): {
  stream(path: string): Promise<ReadableStream<Uint8Array<ArrayBuffer>>>;
  exists(path: string): Promise<boolean>;
} {
  return {
    stream: (path) => streamFile(`${root}/${path}`),
    exists: (path) => exists(`${root}/${path}`),
  };
}

/** Files of this machine by their paths, for readers that list folders and read at any place as well. */
export const diskFiles = {
  stream: streamFile,
  open: openFile,
  exists,
  list: async (path: string): Promise<string[] | undefined> =>
    await isDirectory(path) ? await listDirectory(path) : undefined,
};

async function isDirectory(path: string): Promise<boolean> {
  return await exists(path) && (await explain("look at", path, () => Deno.stat(path))).isDirectory;
}

/** A directory that keeps checkpoints; made, with those above it, at the first write. */
export function directoryStore(root: string): {
  readonly location: string;
  read(path: string): Promise<Uint8Array>;
  open(path: string): Promise<ByteSource>;
  writeAtomic(path: string, bytes: Uint8Array): Promise<void>;
  list(): Promise<string[]>;
  remove(name: string): Promise<void>;
} {
  return {
    location: root,
    read: (path) => readBytes(`${root}/${path}`),
    open: (path) => openFile(`${root}/${path}`),
    writeAtomic: async (path, bytes) => {
      await makeDirectory(parent(`${root}/${path}`));
      await writeAtomic(`${root}/${path}`, bytes);
    },
    list: async () => await exists(root) ? await listDirectory(root) : [],
    remove: (name) => remove(`${root}/${name}`),
  };
}

/** The directory that a path is in. */
export function parent(path: string): string {
  const end = Math.max(path.lastIndexOf("/"), path.lastIndexOf("\\"));
  return end < 0 ? "." : path.slice(0, end) || "/";
}

/** Returns once the bytes are on disk, so that a name given to them afterwards never points to less. */
async function writeThrough(path: string, bytes: Uint8Array): Promise<void> {
  using file = await Deno.open(path, { write: true, createNew: true });
  for (let written = 0; written < bytes.length;) {
    written += await file.write(bytes.subarray(written));
  }
  await file.sync();
}

/** Makes a rename or a new entry in a directory outlive a power failure. */
export async function syncDirectory(path: string): Promise<void> {
  if (Deno.build.os === "windows") return; // cannot open directories, and journals renames itself
  using directory = await Deno.open(path);
  await directory.sync();
}

const reasons: Record<string, string> = {
  ENOENT: "no such file or directory",
  EACCES: "permission was denied",
  EPERM: "permission was denied",
  EISDIR: "it is a directory",
  ENOTDIR: "part of the path is not a directory",
  EEXIST: "something else is already there",
  ENOSPC: "the disk is full",
  EDQUOT: "the disk quota is used up",
  EROFS: "the file system is read-only",
};

/** Does `work` on a file; what the operating system refuses becomes a `UserError` that names the path. */
export async function explain<T>(action: string, path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const { code, message } = error as Error & { code?: string };
    if (code === undefined) throw error; // not from the operating system: a defect
    throw new UserError(`cannot ${action} ${path}: ${reasons[code] ?? message}`, { cause: error });
  }
}
