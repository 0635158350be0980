/**
 * Large files over HTTP, whose downloads outlive interruptions.
 *
 * Invariant: under a file's own name is nothing, or the whole file with the right checksum. What has
 * arrived of it is in `<name>.incomplete`, where the next attempt or the next process goes on.
 */

import { createHash, type Hash } from "node:crypto";
import { UserError } from "../errors.ts";
import { exists, explain } from "./files.ts";

/** A file on a server. */
export interface RemoteFile {
  /** What the user calls it, for errors. */
  readonly name: string;
  readonly url: string;
  /** In bytes. */
  readonly size: number;
  /** In hexadecimal: SHA-256, or the 40 digits of a git object id. */
  readonly checksum: string;
}

/** A request that a server has not answered, or only with an excuse: it may be made again. */
export class Unanswered extends Error {
  /** @param retryAfter seconds that the server asks to wait; `undefined` if there was no answer at all */
  constructor(message: string, readonly retryAfter?: number) {
    super(message);
  }
}

/** Sends a request; throws {@linkcode Unanswered} if it may be sent again. */
export type SendRequest = (
  url: string,
  init: { headers: Record<string, string> },
) => Promise<Response>;

/** How often in a row something may fail before that is said to the user. */
export const ATTEMPTS = 5;

/** Milliseconds after which a silent connection counts as broken. */
export const PATIENCE = 60_000;

/**
 * Downloads a file to `path`, whose directory must exist, or waits for another process that does.
 *
 * @param onProgress is called with the bytes of this file that are here
 * @throws {UserError} when it breaks off again and again, the checksum is wrong, or the disk is full
 */
export async function download(
  remote: RemoteFile,
  path: string,
  request: SendRequest,
  { onProgress, signal }: { onProgress?: (received: number) => void; signal?: AbortSignal } = {},
): Promise<void> {
  const partial = `${path}.incomplete`;
  using file = await explain(
    "write",
    partial,
    () => Deno.open(partial, { read: true, write: true, create: true }),
  );
  // Best effort: not every file system has locks, and what matters is the checksum.
  await file.lock(true).catch(() => {});
  if (await exists(path)) return await Deno.remove(partial).catch(() => {});

  const state = new PartialFile(file, partial, remote);
  await state.resume();
  onProgress?.(state.received);
  for (let failures = 0; state.received < remote.size;) {
    const before = state.received;
    try {
      for await (const chunk of bytesFrom(remote, state, request)) {
        signal?.throwIfAborted();
        await state.append(chunk);
        onProgress?.(state.received);
      }
    } catch (error) {
      if (signal?.aborted || error instanceof UserError) throw error;
      failures = state.received > before ? 1 : failures + 1;
      if (failures === ATTEMPTS) {
        throw new UserError(
          `the download of ${remote.name} broke off after ${state.received} of ${remote.size} bytes ` +
            `(${(error as Error).message}): run the command again to go on from there`,
        );
      }
      // A connection that has carried something is worth another at once.
      if (state.received === before) await pause(error, failures, signal);
    }
  }

  const found = state.checksum();
  if (found !== remote.checksum) {
    await Deno.remove(partial);
    throw new UserError(
      `${remote.name} arrived damaged and was thrown away: its checksum is ${found} where ` +
        `${remote.checksum} was announced; run the command again`,
    );
  }
  await explain("write", path, async () => {
    await file.sync();
    await Deno.rename(partial, path);
  });
}

/** Waits before attempt number `failures` + 1: as long as the server asked, or ever longer. */
export function pause(error: unknown, failures: number, signal?: AbortSignal): Promise<void> {
  const asked = error instanceof Unanswered ? error.retryAfter : undefined;
  const seconds = Math.min(asked ?? 2 ** (failures - 1), 60);
  return new Promise((resolve, reject) => {
    const stop = () => {
      clearTimeout(timer);
      reject(signal!.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", stop);
      resolve();
    }, seconds * 1000);
    signal?.addEventListener("abort", stop, { once: true });
  });
}

/** The bytes of a file that are here already, and their checksum. */
class PartialFile {
  received = 0;
  private hash: Hash;

  constructor(
    private readonly file: Deno.FsFile,
    private readonly path: string,
    private readonly remote: RemoteFile,
  ) {
    this.hash = createHasher(remote);
  }

  /** Takes over what an earlier attempt has left. */
  async resume(): Promise<void> {
    await explain("read", this.path, async () => {
      const buffer = new Uint8Array(2 ** 20);
      for (let count; (count = await this.file.read(buffer)) !== null;) {
        this.hash.update(buffer.subarray(0, count));
        this.received += count;
      }
    });
    if (this.received > this.remote.size) await this.restart();
  }

  async restart(): Promise<void> {
    await explain("write", this.path, async () => {
      await this.file.truncate(0);
      await this.file.seek(0, Deno.SeekMode.Start);
    });
    this.received = 0;
    this.hash = createHasher(this.remote);
  }

  async append(chunk: Uint8Array): Promise<void> {
    await explain("write", this.path, async () => {
      for (let written = 0; written < chunk.length;) {
        written += await this.file.write(chunk.subarray(written));
      }
    });
    this.received += chunk.length;
    this.hash.update(chunk);
  }

  checksum(): string {
    return this.hash.digest("hex");
  }
}

function createHasher({ checksum, size }: RemoteFile): Hash {
  return checksum.length === 40
    ? createHash("sha1").update(`blob ${size}\0`)
    : createHash("sha256");
}

/** Asks for what is missing. @throws {Error} when the connection breaks before all of it came */
async function* bytesFrom(
  { url, size }: RemoteFile,
  state: PartialFile,
  request: SendRequest,
): AsyncGenerator<Uint8Array> {
  const response = await request(url, {
    headers: {
      // A range counts the bytes of what is sent, which must therefore be the file as it is.
      "Accept-Encoding": "identity",
      ...(state.received > 0 && { Range: `bytes=${state.received}-` }),
    },
  });
  const begin = response.status === 206
    ? Number(/^bytes (\d+)-/.exec(response.headers.get("Content-Range") ?? "")?.[1])
    : 0;
  if (begin !== state.received) await state.restart();
  if (begin !== state.received || !response.body) {
    await response.body?.cancel();
    throw new Error("the server sent another part of the file than was asked for");
  }
  const reader = response.body.getReader();
  try {
    for (let next; !(next = await soon(reader.read())).done;) {
      if (state.received + next.value.length > size) {
        await state.restart();
        throw new Error("the server sent more than the file's size");
      }
      yield next.value;
    }
  } finally {
    await reader.cancel().catch(() => {});
  }
  if (state.received < size) throw new Error("the connection was closed");
}

async function soon<T>(promise: Promise<T>): Promise<T> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new Error("nothing arrived for a minute")), PATIENCE);
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
