/**
 * Models of the Hugging Face hub, by their ids.
 *
 * They lie where the hub's Python library keeps them as well (`HF_HUB_CACHE`, or `hub` in `HF_HOME`), in
 * its layout: what one has fetched, the other uses. A name in `refs` is moved to a snapshot only when all
 * files of the model are in it, so that it always leads to a model that can be used without a network.
 *
 * `@huggingface/hub` lists the files and knows the layout; its own downloads can neither go on after an
 * interruption, nor be checked, nor tell how far they are.
 */

import { UserError } from "../errors.ts";
import { isJsonObject, parseJsonObject } from "../io/json.ts";
import { Unanswered } from "./download.ts";
import { exists, parent, readBytes } from "./files.ts";
import {
  cachedRepository,
  type DownloadProgress,
  type DownloadWatcher,
  fetchFiles,
  isOffline,
  storeCommit,
  storedCommit,
} from "./hub-cache.ts";
import { COMMIT, connect, type HubClient, type HubId, type Listing } from "./hub-client.ts";

export type { DownloadProgress };

/** What a caller may want, to see or to stop. */
export interface HubOptions extends DownloadWatcher {
  /** Looks at the small files in the directory before weights are fetched; may throw. */
  readonly inspect?: (directory: string) => Promise<void>;
  /** Leaves the weights where they are. */
  readonly tokenizerOnly?: boolean;
}

/** The files that are a tokenizer, of which the first counts, and those that say more of it. */
const TOKENIZERS = ["tokenizer.json", "spiece.model"];
const TOKENIZER_EXTRAS = ["tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"];

/** The files of weights, as far as one format has them. Of several formats the first counts. */
const WEIGHTS = ["model.safetensors", "pytorch_model.bin"];

/**
 * Whether `name` is made like a hub id: `organisation/model`, with or without `@revision`. The first models
 * of the hub have no organisation (`t5-small`); it redirects them.
 */
export function isHubId(name: string): boolean {
  return parseId(name) !== undefined;
}

/**
 * The local directory with the files of a model, fetched from the hub as far as they are not here yet.
 *
 * Honours the variables that the hub's Python library does: `HF_ENDPOINT`, `HF_TOKEN`, `HF_HUB_OFFLINE`,
 * and those that place the cache. If the hub cannot be reached, what was fetched before is used, and
 * stderr says so.
 *
 * @param id `organisation/model`, `organisation/model@revision`, or either without the organisation
 * @throws {UserError} when there is no such model or no access to it, or it cannot be fetched
 */
export async function openHubModel(id: string, options: HubOptions = {}): Promise<string> {
  const parsed = parseId(id);
  if (!parsed) throw new UserError(`${id} is not a hub id such as google/t5-v1_1-base`);
  const { name, revision } = parsed;
  const root = await cachedRepository("model", name);
  const cache = parent(root);
  const cached = await cachedSnapshot(root, revision, options);
  if (cached && (isOffline() || COMMIT.test(revision))) return cached;
  if (isOffline()) {
    throw new UserError(
      `${id} is not in ${cache}, and HF_HUB_OFFLINE or TRANSFORMERS_OFFLINE forbids to fetch it: ` +
        `unset it, or give a directory`,
    );
  }
  const client = await connect(parsed, options.signal);
  let listing: Listing;
  try {
    listing = await client.list();
  } catch (error) {
    if (!(error instanceof Unanswered)) throw error;
    if (!cached) {
      throw new UserError(
        `${id} is not in ${cache}, and ${error.message}: check the network, or give a directory`,
      );
    }
    console.error(`Warning: ${error.message}; using ${id} as it was when last fetched.`);
    return cached;
  }
  const snapshot = await fetchSnapshot(parsed, listing, root, client, options);
  const isWhole = !options.tokenizerOnly || !await storedCommit(root, revision);
  if (isWhole) await storeCommit(root, revision, listing.commit);
  return snapshot;
}

/**
 * Organisation and model may not contain `--`, which separates them in the cache, nor `..`; and `miniature`
 * is the embedded model.
 */
function parseId(id: string): HubId | undefined {
  const part = "[A-Za-z0-9](?:[\\w.-]*\\w)?";
  const match = new RegExp(`^((?:${part}/)?${part})(?:@(${part}(?:/${part})*))?$`).exec(id);
  if (!match || /--|\.\./.test(id) || match[1] === "miniature") return undefined;
  return { name: match[1], revision: match[2] ?? "main" };
}

/** The directory of a revision's snapshot if a whole model is in it. */
async function cachedSnapshot(
  root: string,
  revision: string,
  { tokenizerOnly }: HubOptions,
): Promise<string | undefined> {
  const commit = await storedCommit(root, revision);
  if (!commit) return undefined;
  const snapshot = `${root}/snapshots/${commit}`;
  const has = (file: string) => exists(`${snapshot}/${file}`);
  const hasTokenizer = (await Promise.all(TOKENIZERS.map(has))).some(Boolean);
  if (tokenizerOnly) return hasTokenizer ? snapshot : undefined;
  // Offline, a model without a tokenizer may still be given one that lies elsewhere.
  if (!await has("config.json") || !(hasTokenizer || isOffline())) return undefined;
  for (const weights of WEIGHTS) {
    if (await has(weights)) return snapshot;
    if (!await has(`${weights}.index.json`)) continue;
    const shards = await readShards(`${snapshot}/${weights}.index.json`);
    if ((await Promise.all(shards.map(has))).every(Boolean)) return snapshot;
  }
}

/** Fetches what a model needs of the listed files. @returns the directory they are in */
async function fetchSnapshot(
  { name }: HubId,
  { commit, files }: Listing,
  root: string,
  { request }: HubClient,
  { onProgress, signal, inspect, tokenizerOnly }: HubOptions,
): Promise<string> {
  async function fetchAll(wanted: string[], watcher: DownloadWatcher): Promise<void> {
    const listed = wanted.map((file) => {
      const remote = files.get(file);
      if (!remote) throw new UserError(`${name} lacks ${file}, which its index of weights names`);
      return [file, remote] as const;
    });
    await fetchFiles(root, commit, listed, request, watcher);
  }

  const snapshot = `${root}/snapshots/${commit}`;
  if (!tokenizerOnly && !files.has("config.json") && files.has("adapter_config.json")) {
    throw new UserError(
      `${name} has adapters of another library (adapter_config.json) and no model: merge them into ` +
        `their model there (merge_and_unload of PEFT), save it, and give its directory`,
    );
  }
  const weights = tokenizerOnly
    ? undefined
    : WEIGHTS.find((file) => files.has(file) || files.has(`${file}.index.json`));
  if (!tokenizerOnly && (!files.has("config.json") || !weights)) {
    throw new UserError(
      `${name} has no ${
        weights ? "config.json" : WEIGHTS.join(" or ")
      }, hence is no model that can be ` +
        `read: it has ${[...files.keys()].join(", ") || "no files"}`,
    );
  }
  const tokenizer = [TOKENIZERS.find((file) => files.has(file)) ?? "", ...TOKENIZER_EXTRAS];
  const index = weights === undefined || files.has(weights) ? [] : [`${weights}.index.json`];
  const small = ["config.json", "generation_config.json", ...tokenizer, ...index];
  await fetchAll(small.filter((file) => files.has(file)), { signal });
  if (weights === undefined) return snapshot;
  await inspect?.(snapshot);
  const shards = index.length === 0 ? [weights] : await readShards(`${snapshot}/${index[0]}`);
  await fetchAll(shards, { onProgress, signal });
  return snapshot;
}

/** The files that an index of weights names. */
async function readShards(index: string): Promise<string[]> {
  const { weight_map: files } = parseJsonObject(await readBytes(index), index);
  if (!isJsonObject(files)) {
    throw new UserError(`${index} has no weight_map from the names of tensors to files`);
  }
  return [...new Set(Object.values(files).map(String))];
}
