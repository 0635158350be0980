/**
 * Requests to the Hugging Face hub, or a mirror of it that `HF_ENDPOINT` names.
 *
 * Invariant: what comes from the hub and becomes part of a path (commits, names, checksums) has been
 * checked to be one part of a path. The token goes to the hub alone.
 */

import { homedir } from "node:os";
import { UserError } from "../errors.ts";
import { ATTEMPTS, PATIENCE, pause, type RemoteFile, Unanswered } from "./download.ts";
import { exists, readText } from "./files.ts";

/** A repository at a certain revision. */
export interface HubId {
  /** What is in it; a model unless told. */
  readonly type?: "model" | "dataset";
  /** `google/t5-v1_1-base` */
  readonly name: string;
  /** A branch, a tag or a commit. */
  readonly revision: string;
}

/** What a revision stands for at the moment. */
export interface Listing {
  readonly commit: string;
  /** The files at the top of a model's repository, or anywhere in a data set's, by path. */
  readonly files: ReadonlyMap<string, RemoteFile>;
}

/** The hub's side of a repository. */
export interface HubClient {
  /** @throws {Unanswered} when the hub cannot be reached, {UserError} when it refuses */
  list(): Promise<Listing>;
  /** Sends one request. @throws as `list` */
  request(url: string, init: { headers: Record<string, string> }): Promise<Response>;
}

/** A repository without the branch, tag or commit that was asked for. */
export class NoRevision extends UserError {}

/** A name that a whole commit has. */
export const COMMIT = /^[0-9a-f]{40}$/;
const CHECKSUM = /^([0-9a-f]{40}|[0-9a-f]{64})$/;
const PLAIN_NAME = /^\w[\w.-]*$/;

/** Opens a connection to the hub, with the token there is. */
export async function connect(id: HubId, signal?: AbortSignal): Promise<HubClient> {
  const endpoint = (Deno.env.get("HF_ENDPOINT") || "https://huggingface.co").replace(/\/+$/, "");
  if (!URL.canParse(endpoint)) {
    throw new UserError(
      `HF_ENDPOINT must be an address like https://huggingface.co, not ${endpoint}`,
    );
  }
  const token = await readToken();
  const { type = "model", name, revision } = id;
  const { datasetInfo, listFiles, modelInfo } = await import("@huggingface/hub");

  async function request(url: string | URL, init: RequestInit): Promise<Response> {
    const headers = new Headers(init.headers);
    if (token && new URL(url).origin === new URL(endpoint).origin) {
      headers.set("Authorization", `Bearer ${token}`);
    }
    const late = new AbortController();
    const timer = setTimeout(() => late.abort(), PATIENCE);
    let response: Response;
    try {
      const either = AbortSignal.any(signal ? [signal, late.signal] : [late.signal]);
      response = await fetch(url, { ...init, headers, signal: either });
    } catch (error) {
      signal?.throwIfAborted();
      const { cause = error } = error as Error;
      // Deno's message is a chain of reasons, of which the last tells most.
      const reason = (cause as Error).message.split(": ").at(-1);
      throw new Unanswered(`${new URL(url).origin} cannot be reached (${reason})`);
    } finally {
      clearTimeout(timer);
    }
    if (response.ok) return response;
    await response.body?.cancel();
    throw refusal(response, id, endpoint, token !== undefined);
  }

  async function list(): Promise<Listing> {
    const access = { hubUrl: endpoint, fetch: request as typeof fetch };
    const wanted = { ...access, name, revision, additionalFields: ["sha" as const] };
    const { sha: commit } = type === "model" ? await modelInfo(wanted) : await datasetInfo(wanted);
    if (!COMMIT.test(commit)) throw new Error(`${commit} is not a commit`);
    const files = new Map<string, RemoteFile>();
    const repository = { repo: { type, name }, revision: commit, recursive: type === "dataset" };
    for await (const file of listFiles({ ...access, ...repository })) {
      const { path, size } = file;
      const checksum = file.lfs?.oid ?? file.oid ?? "";
      const isPlain = path.split("/").every((part) => PLAIN_NAME.test(part));
      if (file.type !== "file" || !isPlain || !CHECKSUM.test(checksum)) continue;
      const folder = type === "model" ? name : `datasets/${name}`;
      const url = `${endpoint}/${folder}/resolve/${commit}/${path}`;
      files.set(path, { name: `${name}/${path}`, url, size, checksum });
    }
    return { commit, files };
  }

  return {
    request,
    async list() {
      for (let failures = 1;; failures++) {
        try {
          return await list();
        } catch (error) {
          if (signal?.aborted || error instanceof UserError) throw error;
          if (!(error instanceof Unanswered)) {
            const { message } = error as Error;
            throw new UserError(`${endpoint} does not answer like a Hugging Face hub: ${message}`);
          }
          // Without an answer there is probably no network, which waiting does not mend.
          if (error.retryAfter === undefined || failures === ATTEMPTS) throw error;
          await pause(error, failures, signal);
        }
      }
    },
  };
}

/** What a status other than success means for the user. */
function refusal(
  { status, headers }: Response,
  { type = "model", name, revision }: HubId,
  endpoint: string,
  hasToken: boolean,
): Error {
  const page = `${endpoint}/${type === "model" ? "" : "datasets/"}${name}`;
  const code = headers.get("X-Error-Code");
  const kind = type === "model" ? "model" : "data set";
  if (status === 429 || status >= 500) {
    const seconds = Number(headers.get("Retry-After") ?? NaN);
    const reason = status === 429
      ? "asks for fewer requests"
      : `is out of order (status ${status})`;
    return new Unanswered(`${endpoint} ${reason}`, Number.isFinite(seconds) ? seconds : 1);
  }
  if (code === "GatedRepo") {
    return new UserError(
      hasToken
        ? `${name} is gated, and the account of your token has no access: accept the licence at ${page}`
        : `${name} is gated: accept the licence at ${page} and set HF_TOKEN to a token of that account`,
    );
  }
  if (code === "RevisionNotFound") {
    return new NoRevision(`${name} has no branch, tag or commit ${revision}: see ${page}`);
  }
  if (headers.get("X-Error-Message")?.startsWith("Invalid credentials")) {
    return new UserError(`${endpoint} does not accept your token: renew it, or unset HF_TOKEN`);
  }
  // To those who may not see a private model, it does not exist either.
  if (code === "RepoNotFound" || status === 401 || status === 404) {
    const remedy = hasToken ? "or the rights of your token" : "or set HF_TOKEN if it is private";
    return new UserError(`there is no ${kind} ${name} at ${endpoint}: check the name, ${remedy}`);
  }
  const reason = headers.get("X-Error-Message") ?? `status ${status}`;
  return new UserError(`${endpoint} refuses access to ${name}: ${reason}`);
}

/** The user's token, from where the hub's Python library takes it. */
async function readToken(): Promise<string | undefined> {
  const given = Deno.env.get("HF_TOKEN") || Deno.env.get("HUGGING_FACE_HUB_TOKEN");
  if (given) return given.trim();
  const home = Deno.env.get("HF_HOME") ||
    `${Deno.env.get("XDG_CACHE_HOME") || `${homedir()}/.cache`}/huggingface`;
  const file = Deno.env.get("HF_TOKEN_PATH") || `${home}/token`;
  return await exists(file) ? (await readText(file)).trim() || undefined : undefined;
}
