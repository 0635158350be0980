/**
 * Data sets of the Hugging Face hub: which files they have, and the files themselves.
 *
 * A file's place names its commit, so that a run that is taken up again reads the same rows:
 * `hub:nyu-mll/glue@<commit>/sst2/train-00000-of-00001.parquet`. Files lie in the cache of the hub's Python
 * library; what a commit has is kept beside this project's other caches, for a day without a network.
 */

import { UserError } from "../errors.ts";
import { isJsonObject, parseJsonObject } from "../io/json.ts";
import { cacheRoot } from "./cache.ts";
import { type RemoteFile, Unanswered } from "./download.ts";
import { exists, listDirectory, makeDirectory, parent, readBytes, writeAtomic } from "./files.ts";
import {
  cachedRepository,
  type DownloadWatcher,
  fetchFiles,
  isOffline,
  storeCommit,
  storedCommit,
} from "./hub-cache.ts";
import { COMMIT, connect, type HubId, type Listing, NoRevision } from "./hub-client.ts";

/** The branch on which the hub keeps what it has made Parquet of. */
export const CONVERTED = "refs/convert/parquet";

/** The files of a data set at a commit. */
export interface HubDataset {
  readonly name: string;
  readonly commit: string;
  readonly paths: readonly string[];
}

/**
 * The files of a data set.
 *
 * @param revision a branch, a tag or a commit
 * @returns undefined where there is no such revision
 * @throws {UserError} when there is no such data set or no access to it, or the hub cannot be asked
 */
export async function listDataset(
  name: string,
  revision: string,
  signal?: AbortSignal,
): Promise<HubDataset | undefined> {
  const listing = await list(name, revision, signal);
  return listing && { name, commit: listing.commit, paths: [...listing.files.keys()] };
}

/** The place of a file of a data set. */
export function hubPath({ name, commit }: HubDataset, path: string): string {
  return `hub:${name}@${commit}/${path}`;
}

/** Whether a path is the place of a file on the hub. */
export function isHubPath(path: string): boolean {
  return parsePath(path) !== undefined;
}

/**
 * The path here of a file of the hub, which is fetched if it is not here.
 *
 * @throws {UserError} as `listDataset`, and when it cannot be fetched
 */
export async function fetchHubFile(place: string, watcher: DownloadWatcher = {}): Promise<string> {
  const { name, commit, path } = parsePath(place)!;
  const root = await cachedRepository("dataset", name);
  const local = `${root}/snapshots/${commit}/${path}`;
  if (await exists(local)) return local;
  refuseOffline(`${name}/${path}`, root);
  const listing = await list(name, commit, watcher.signal);
  const remote = listing?.files.get(path);
  if (!remote) throw new UserError(`${name} has no ${path} any more at commit ${commit}`);
  const { request } = await connect({ type: "dataset", name, revision: commit }, watcher.signal);
  await fetchFiles(root, commit, [[path, remote]], request, watcher);
  return local;
}

function parsePath(place: string) {
  const [, name, commit, path] =
    /^hub:([\w.-]+\/[\w.-]+)@([0-9a-f]{40})\/((?:\w[\w.-]*\/)*\w[\w.-]*)$/.exec(place) ?? [];
  return name === undefined ? undefined : { name, commit, path };
}

async function list(
  name: string,
  revision: string,
  signal?: AbortSignal,
): Promise<Listing | undefined> {
  const root = await cachedRepository("dataset", name);
  const commit = await storedCommit(root, revision);
  const known = commit === undefined ? undefined : await readListing(name, commit, root);
  if (known && (isOffline() || COMMIT.test(revision))) return known;
  if (isOffline() && revision === CONVERTED) return undefined;
  refuseOffline(name, root);
  const id: HubId = { type: "dataset", name, revision };
  try {
    const listing = await (await connect(id, signal)).list();
    await keepListing(name, listing);
    await storeCommit(root, revision, listing.commit);
    return listing;
  } catch (error) {
    if (error instanceof NoRevision && revision === CONVERTED) return undefined;
    if (!(error instanceof Unanswered)) throw error;
    if (!known) {
      throw new UserError(
        `${name} is not in ${
          parent(root)
        }, and ${error.message}: check the network, or give a folder`,
      );
    }
    console.error(`Warning: ${error.message}; using ${name} as it was when last fetched.`);
    return known;
  }
}

function refuseOffline(what: string, root: string): void {
  if (!isOffline()) return;
  throw new UserError(
    `${what} is not in ${
      parent(root)
    }, and HF_HUB_OFFLINE or TRANSFORMERS_OFFLINE forbids to fetch it: ` +
      `unset it, or give a folder`,
  );
}

const listingFile = (name: string, commit: string): string =>
  `${cacheRoot()}/hub-listings/${name.replace("/", "--")}/${commit}.json`;

async function keepListing(name: string, { commit, files }: Listing): Promise<void> {
  const file = listingFile(name, commit);
  await makeDirectory(parent(file));
  await writeAtomic(file, JSON.stringify(Object.fromEntries(files)));
}

/** What a commit has as far as it is known: what was listed, or else what another program has fetched. */
async function readListing(
  name: string,
  commit: string,
  root: string,
): Promise<Listing | undefined> {
  const file = listingFile(name, commit);
  const snapshot = `${root}/snapshots/${commit}`;
  if (await exists(file)) {
    const entries = Object.entries(parseJsonObject(await readBytes(file), file));
    const isSound = entries.every(([, remote]) => isJsonObject(remote) && "checksum" in remote);
    if (isSound) return { commit, files: new Map(entries as [string, RemoteFile][]) };
  }
  if (!isOffline() || !await exists(snapshot)) return undefined;
  const here = (path: string) => ({ name: path, url: "", size: 0, checksum: "" });
  const files = await Array.fromAsync(walk(snapshot, ""), (path) => [path, here(path)] as const);
  return { commit, files: new Map(files) };
}

async function* walk(root: string, folder: string): AsyncGenerator<string> {
  for (const name of await listDirectory(`${root}/${folder}`)) {
    const path = `${folder}${name}`;
    const isFolder = (await Deno.stat(`${root}/${path}`)).isDirectory;
    if (isFolder) yield* walk(root, `${path}/`);
    else yield path;
  }
}
