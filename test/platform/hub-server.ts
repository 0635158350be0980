/** A server that speaks as much of the Hugging Face hub's protocol as fetching a model takes. */

import { createHash } from "node:crypto";

/** A request to the hub or to its content network. */
export interface Seen {
  readonly path: string;
  readonly range: string | null;
  readonly authorization: string | null;
}

/** A hub with one model, `org/tiny`, whose branch `main` is at `commit`. */
export interface HubServer extends AsyncDisposable {
  readonly endpoint: string;
  commit: string;
  readonly files: Map<string, Uint8Array>;
  /** All requests so far. */
  readonly seen: Seen[];
  /** Answers in place of the hub, if it returns something. */
  intercept: (request: Request, path: string) => Response | undefined;
}

/** Files above this size are in the content network, which is another origin. */
const SMALL = 1000;

/** Starts a hub on a free port of this machine. */
export function serveHub(files: Record<string, Uint8Array | string>): HubServer {
  const encode = (content: Uint8Array | string) =>
    typeof content === "string" ? new TextEncoder().encode(content) : content;
  const hub = {
    commit: "c0ffee".padEnd(40, "0"),
    files: new Map(Object.entries(files).map(([name, content]) => [name, encode(content)])),
    seen: [] as Seen[],
    intercept: (_request: Request, _path: string): Response | undefined => undefined,
  };

  function serve(respond: (request: Request, path: string) => Response) {
    return Deno.serve({ port: 0, hostname: "127.0.0.1", onListen() {} }, (request) => {
      const path = new URL(request.url).pathname;
      const { headers } = request;
      hub.seen.push({
        path,
        range: headers.get("range"),
        authorization: headers.get("authorization"),
      });
      return hub.intercept(request, path) ?? respond(request, path);
    });
  }

  const network = serve((request, path) => {
    const content = [...hub.files.values()].find((bytes) => `/${sha256(bytes)}` === path);
    return content ? sendBytes(request, content) : refuse(404);
  });
  const main = serve((request, path) => {
    const [, name, action, revision, file] =
      /^(?:\/api\/models)?\/([^/]+\/[^/]+)\/(revision|tree|resolve)\/([^/]+)(?:\/(.+))?$/.exec(
        path,
      ) ??
        [];
    if (name !== "org/tiny") return refuse(401, "RepoNotFound", "Repository not found");
    if (revision !== "main" && revision !== hub.commit) return refuse(404, "RevisionNotFound");
    if (action === "revision") {
      const facts = { private: false, gated: false, downloads: 0, likes: 0 };
      return Response.json({
        ...facts,
        _id: "1",
        id: name,
        sha: hub.commit,
        lastModified: "2024-01-01T00:00:00Z",
      });
    }
    if (action === "tree") {
      return Response.json([...hub.files].map(([path, bytes]) => ({
        type: "file",
        path,
        size: bytes.length,
        oid: gitOid(bytes),
        ...(bytes.length > SMALL && {
          lfs: { oid: sha256(bytes), size: bytes.length, pointerSize: 130 },
        }),
      })));
    }
    const content = hub.files.get(file ?? "");
    if (!content) return refuse(404, "EntryNotFound");
    const headers = { "X-Repo-Commit": hub.commit, ETag: `"${gitOid(content)}"` };
    if (content.length <= SMALL) return sendBytes(request, content, headers);
    return new Response(null, {
      status: 302,
      headers: {
        ...headers,
        "X-Linked-Size": String(content.length),
        "X-Linked-ETag": `"${sha256(content)}"`,
        Location: `http://127.0.0.1:${network.addr.port}/${sha256(content)}`,
      },
    });
  });
  return Object.assign(hub, {
    endpoint: `http://127.0.0.1:${main.addr.port}`,
    async [Symbol.asyncDispose]() {
      await Promise.all([main.shutdown(), network.shutdown()]);
    },
  });
}

/** What the hub answers to requests it does not serve. */
export function refuse(status: number, code?: string, message?: string): Response {
  return new Response(null, {
    status,
    headers: {
      ...(code && { "X-Error-Code": code }),
      ...(message && { "X-Error-Message": message }),
    },
  });
}

/** The bytes of a file, or the range of it that was asked for. */
export function sendBytes(request: Request, bytes: Uint8Array, headers = {}): Response {
  const all = { ...headers, "Accept-Ranges": "bytes" };
  const body = (part: Uint8Array) => request.method === "HEAD" ? null : new Uint8Array(part);
  const [, begin, end] = /^bytes=(\d+)-(\d*)$/.exec(request.headers.get("range") ?? "") ?? [];
  if (begin === undefined) {
    return new Response(body(bytes), {
      headers: { ...all, "Content-Length": String(bytes.length) },
    });
  }
  const part = bytes.subarray(Number(begin), end ? Number(end) + 1 : undefined);
  return new Response(body(part), {
    status: 206,
    headers: {
      ...all,
      "Content-Length": String(part.length),
      "Content-Range": `bytes ${begin}-${Number(begin) + part.length - 1}/${bytes.length}`,
    },
  });
}

/** As `sendBytes`, but the connection breaks after `count` bytes. */
export function breakOff(request: Request, bytes: Uint8Array, count: number): Response {
  const { status, headers, body } = sendBytes(request, bytes);
  let left = count;
  const cut = new TransformStream<Uint8Array, Uint8Array>({
    transform(chunk, controller) {
      controller.enqueue(chunk.subarray(0, left));
      left -= chunk.length;
      if (left <= 0) controller.terminate(); // too soon for the Content-Length
    },
  });
  return new Response(body!.pipeThrough(cut), { status, headers });
}

/** In hexadecimal. */
export function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

/** The id git gives to a file. */
export function gitOid(bytes: Uint8Array): string {
  return createHash("sha1").update(`blob ${bytes.length}\0`).update(bytes).digest("hex");
}
