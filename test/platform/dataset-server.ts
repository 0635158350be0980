/** A server that speaks as much of the Hugging Face hub's protocol as reading data sets takes. */

import { gitOid, refuse, sendBytes, sha256 } from "./hub-server.ts";

/** Branches of a data set, each with its files. */
export type Branches = Readonly<Record<string, Readonly<Record<string, Uint8Array>>>>;

/** A hub of data sets. */
export interface DatasetServer extends AsyncDisposable {
  readonly endpoint: string;
  readonly datasets: Map<string, Branches>;
  /** Paths that were asked for. */
  readonly seen: string[];
}

/** The commit that a branch is at, which is another when a file is. */
export function commitOf(name: string, branch: string, files: object): string {
  const content = JSON.stringify(
    Object.entries(files).map(([path, bytes]) => [path, sha256(bytes)]),
  );
  return sha256(new TextEncoder().encode(`${name} ${branch} ${content}`)).slice(0, 40);
}

/** Starts a hub on a free port of this machine. */
export function serveDatasets(datasets: Record<string, Branches>): DatasetServer {
  const hub = { datasets: new Map(Object.entries(datasets)), seen: [] as string[] };

  function answer(request: Request): Response {
    const { pathname } = new URL(request.url);
    hub.seen.push(pathname);
    const [, name, action, wanted, file = ""] =
      /^(?:\/api)?\/datasets\/([^/]+\/[^/]+)\/(revision|tree|resolve)\/([^/]+)(?:\/(.+))?$/.exec(
        pathname,
      ) ?? [];
    const branches = hub.datasets.get(name);
    if (!branches) return refuse(401, "RepoNotFound", "Repository not found");
    const revision = decodeURIComponent(wanted);
    const [branch, files] =
      Object.entries(branches).find(([branch, files]) =>
        branch === revision || commitOf(name, branch, files) === revision
      ) ?? [];
    if (branch === undefined || files === undefined) return refuse(404, "RevisionNotFound");
    const commit = commitOf(name, branch, files);
    if (action === "revision") {
      const facts = { private: false, gated: false, downloads: 0, likes: 0 };
      const lastModified = "2024-01-01T00:00:00Z";
      return Response.json({ ...facts, _id: "1", id: name, sha: commit, lastModified });
    }
    if (action === "tree") {
      return Response.json(
        Object.entries(files).map(([path, bytes]) => ({
          type: "file",
          path,
          size: bytes.length,
          oid: gitOid(bytes),
          lfs: { oid: sha256(bytes), size: bytes.length, pointerSize: 130 },
        })),
      );
    }
    return files[file] ? sendBytes(request, files[file]) : refuse(404, "EntryNotFound");
  }

  const server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen() {} }, answer);
  return Object.assign(hub, {
    endpoint: `http://127.0.0.1:${server.addr.port}`,
    [Symbol.asyncDispose]: () => server.shutdown(),
  });
}
