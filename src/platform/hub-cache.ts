/**
 * The cache of the hub's Python library, file by file: `blobs` by their checksums, and in `snapshots` a name
 * for each file of a commit.
 *
 * Invariant: under a file's name is nothing, or the whole file.
 */

import { download, type RemoteFile, type SendRequest } from "./download.ts";
import { exists, explain, makeDirectory, parent, readText, remove, writeAtomic } from "./files.ts";
import { COMMIT } from "./hub-client.ts";

/** How far a download is. */
export interface DownloadProgress {
  /** The file in transfer. */
  readonly file: string;
  /** Bytes that are here of all such files, those of earlier attempts as well. */
  readonly received: number;
  /** Bytes of all files that were not here whole. */
  readonly total: number;
}

/** Who may want to see a download, or stop it. */
export interface DownloadWatcher {
  readonly onProgress?: ((progress: DownloadProgress) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Whether the user's environment forbids to ask the hub. */
export function isOffline(): boolean {
  const value = Deno.env.get("HF_HUB_OFFLINE") || Deno.env.get("TRANSFORMERS_OFFLINE") || "";
  return ["1", "ON", "YES", "TRUE"].includes(value.toUpperCase());
}

/** The directory of a repository in the cache. */
export async function cachedRepository(type: "model" | "dataset", name: string): Promise<string> {
  const { getHFHubCachePath, getRepoFolderName } = await import("@huggingface/hub");
  return `${getHFHubCachePath()}/${getRepoFolderName({ type, name })}`;
}

/** The commit that a revision is, as far as is known here. */
export async function storedCommit(root: string, revision: string): Promise<string | undefined> {
  if (COMMIT.test(revision)) return revision;
  const reference = `${root}/refs/${revision}`;
  return await exists(reference) ? (await readText(reference)).trim() : undefined;
}

/** Keeps which commit a branch or tag is. */
export async function storeCommit(root: string, revision: string, commit: string): Promise<void> {
  if (COMMIT.test(revision)) return;
  const reference = `${root}/refs/${revision}`;
  await makeDirectory(parent(reference));
  await writeAtomic(reference, commit);
}

/**
 * Fetches files into a snapshot, as far as they are not in it.
 *
 * @param root the repository's directory
 * @param files those that are wanted, by their paths in the repository
 */
export async function fetchFiles(
  root: string,
  commit: string,
  files: Iterable<readonly [path: string, remote: RemoteFile]>,
  request: SendRequest,
  { onProgress, signal }: DownloadWatcher = {},
): Promise<void> {
  const snapshot = `${root}/snapshots/${commit}`;
  const missing: (readonly [path: string, remote: RemoteFile])[] = [];
  for (const [path, remote] of files) {
    if (await sizeOf(`${snapshot}/${path}`) !== remote.size) missing.push([path, remote]);
  }
  const total = missing.reduce((sum, [, { size }]) => sum + size, 0);
  await makeDirectory(`${root}/blobs`);
  await makeDirectory(snapshot);
  let before = 0;
  for (const [path, remote] of missing) {
    const blob = `${root}/blobs/${remote.checksum}`;
    if (await sizeOf(blob) !== remote.size) {
      if (await exists(blob)) await remove(blob);
      await download(remote, blob, request, {
        onProgress: (received) => onProgress?.({ file: path, received: before + received, total }),
        ...(signal && { signal }),
      });
    }
    await place(blob, snapshot, path);
    before += remote.size;
  }
}

/** Gives a file of `blobs` its name in a snapshot. */
async function place(blob: string, snapshot: string, path: string): Promise<void> {
  const name = `${snapshot}/${path}`;
  const up = "../".repeat(path.split("/").length + 1);
  await makeDirectory(parent(name));
  await explain("write", name, async () => {
    await Deno.remove(name).catch(() => {});
    try {
      await Deno.symlink(`${up}blobs/${blob.slice(blob.lastIndexOf("/") + 1)}`, name);
    } catch (error) {
      // Windows allows links to few, and some network drives to nobody.
      await Deno.rename(blob, name).catch(() => Promise.reject(error));
    }
  });
}

async function sizeOf(path: string): Promise<number | undefined> {
  return await exists(path) ? (await Deno.stat(path)).size : undefined;
}
