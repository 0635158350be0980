import { suite } from "uvu";
import * as assert from "uvu/assert";
import { UserError } from "../../src/errors.ts";
import { type DownloadProgress, isHubId, openHubModel } from "../../src/platform/hub.ts";
import { setEnvironment } from "../environment.ts";
import {
  breakOff,
  gitOid,
  type HubServer,
  refuse,
  sendBytes,
  serveHub,
  sha256,
} from "./hub-server.ts";

const test = suite("hub");

const VARIABLES = [
  "HF_ENDPOINT",
  "HF_HOME",
  "HF_HUB_CACHE",
  "HUGGINGFACE_HUB_CACHE",
  "HF_TOKEN",
  "HUGGING_FACE_HUB_TOKEN",
  "HF_TOKEN_PATH",
  "HF_HUB_OFFLINE",
  "TRANSFORMERS_OFFLINE",
];

const weights = new Uint8Array(300_000).map((_, i) => i * 31 >> 3);
const model = {
  "config.json": `{"model_type": "t5"}`,
  "README.md": "# Tiny",
  "tokenizer.json": "{}",
  "spiece.model": "in place of which there is tokenizer.json",
  "model.safetensors": weights,
  "pytorch_model.bin": weights.slice(1),
  "tf_model.h5": weights.slice(2),
};

let home: string;
let warnings: string[];
const printError = console.error;
let restore: () => void;

test.before.each(async () => {
  home = await Deno.makeTempDir();
  restore = setEnvironment({
    ...Object.fromEntries(VARIABLES.map((name) => [name, undefined])),
    HF_HOME: home,
  });
  warnings = [];
  console.error = (line: string) => warnings.push(line);
});

test.after.each(async () => {
  console.error = printError;
  restore();
  await Deno.remove(home, { recursive: true });
});

function serve(files: Record<string, Uint8Array | string> = model): HubServer {
  const hub = serveHub(files);
  Deno.env.set("HF_ENDPOINT", hub.endpoint);
  return hub;
}

const repository = () => `${home}/hub/models--org--tiny`;
const names = (directory: string) =>
  [...Deno.readDirSync(directory)].map(({ name }) => name).sort();
const partial = (content: Uint8Array) => `${repository()}/blobs/${sha256(content)}.incomplete`;

/** The sentence that a user gets, and nothing else. */
async function refusal(work: Promise<unknown>): Promise<string> {
  try {
    await work;
  } catch (error) {
    if (error instanceof UserError) return error.message;
    throw error;
  }
  throw new Error("accepted");
}

test("fetches the files of a model and no others, into the layout of the hub's own cache", async () => {
  await using hub = serve();
  const directory = await openHubModel("org/tiny");
  assert.is(directory, `${repository()}/snapshots/${hub.commit}`);
  assert.equal(names(directory), ["config.json", "model.safetensors", "tokenizer.json"]);
  assert.equal(await Deno.readFile(`${directory}/model.safetensors`), weights);
  assert.is(await Deno.readTextFile(`${repository()}/refs/main`), hub.commit);
  assert.ok(names(`${repository()}/blobs`).includes(sha256(weights)));
  assert.ok(
    names(`${repository()}/blobs`).includes(gitOid(new TextEncoder().encode(model["config.json"]))),
  );
});

test("a tokenizer comes with all its files, and without weights where nobody needs them", async () => {
  const extras = {
    "tokenizer_config.json": "{}",
    "special_tokens_map.json": "{}",
    "added_tokens.json": "{}",
  };
  await using hub = serve({ ...model, ...extras });
  const tokenizer = ["config.json", "tokenizer.json", ...Object.keys(extras)];
  const directory = await openHubModel("org/tiny", { tokenizerOnly: true });
  assert.equal(names(directory), tokenizer.toSorted());
  await openHubModel("org/tiny");
  assert.equal(names(directory), [...tokenizer, "model.safetensors"].toSorted());

  // What was fetched is there offline: the tokenizer without weights, weights without a tokenizer.
  Deno.env.set("HF_HUB_OFFLINE", "1");
  await Deno.remove(`${directory}/model.safetensors`);
  assert.is(await openHubModel("org/tiny", { tokenizerOnly: true }), directory);
  assert.match(await refusal(openHubModel("org/tiny")), /^org\/tiny is not in /);
  await Deno.writeFile(`${directory}/model.safetensors`, weights);
  await Deno.remove(`${directory}/tokenizer.json`);
  assert.is(await openHubModel("org/tiny"), directory);
  assert.is(hub.seen.filter(({ path }) => path.includes("safetensors")).length > 0, true);
});

test("fetches nothing twice, and asks nothing at all about a commit", async () => {
  await using hub = serve();
  const directory = await openHubModel("org/tiny");
  hub.seen.length = 0;
  assert.is(await openHubModel("org/tiny"), directory);
  assert.equal(hub.seen.map(({ path }) => path.split("/")[1]), ["api", "api"]);
  hub.seen.length = 0;
  assert.is(await openHubModel(`org/tiny@${hub.commit}`), directory);
  assert.equal(hub.seen, []);
  await Deno.remove(`${directory}/tokenizer.json`); // as if another program had fetched the rest
  await openHubModel(`org/tiny@${hub.commit}`);
  assert.ok(names(directory).includes("tokenizer.json"));
});

test("takes over what has not changed when the model has", async () => {
  await using hub = serve();
  const old = await openHubModel("org/tiny");
  hub.commit = "beef".padEnd(40, "0");
  hub.files.set("config.json", new TextEncoder().encode(`{"model_type": "t5", "new": 1}`));
  hub.seen.length = 0;
  const directory = await openHubModel("org/tiny");
  assert.is.not(directory, old);
  assert.match(await Deno.readTextFile(`${directory}/config.json`), /new/);
  assert.equal(await Deno.readFile(`${directory}/model.safetensors`), weights);
  assert.equal(hub.seen.filter(({ path }) => path.includes("/resolve/")).length, 1);
});

test("fetches PyTorch's weights and the SentencePiece model where there is nothing else", async () => {
  await using _hub = serve({
    "config.json": "{}",
    "spiece.model": "pieces",
    "pytorch_model.bin": weights,
  });
  const directory = await openHubModel("org/tiny");
  assert.equal(names(directory), ["config.json", "pytorch_model.bin", "spiece.model"]);
});

test("fetches the files that an index of weights names", async () => {
  const index = {
    weight_map: { a: "model-1.safetensors", b: "model-2.safetensors", c: "model-1.safetensors" },
  };
  const files = {
    "config.json": "{}",
    "model.safetensors.index.json": JSON.stringify(index),
    "model-1.safetensors": weights,
    "model-2.safetensors": weights.slice(7),
    "model-3.safetensors": weights.slice(8),
  };
  await using hub = serve(files);
  const progress: DownloadProgress[] = [];
  const directory = await openHubModel("org/tiny", { onProgress: (p) => progress.push(p) });
  assert.equal(names(directory), [
    "config.json",
    "model-1.safetensors",
    "model-2.safetensors",
    "model.safetensors.index.json",
  ]);
  const total = 2 * weights.length - 7;
  assert.equal(progress[0], { file: "model-1.safetensors", received: 0, total });
  assert.equal(progress.at(-1), { file: "model-2.safetensors", received: total, total });
  assert.ok(progress.every(({ received }, i) => i === 0 || received >= progress[i - 1].received));

  hub.files.set(
    "model.safetensors.index.json",
    new TextEncoder().encode(`{"weight_map": {"a": "../x"}}`),
  );
  hub.commit = "beef".padEnd(40, "0");
  assert.match(await refusal(openHubModel("org/tiny")), /lacks \.\.\/x/);
});

test("goes on at once where a connection broke off", async () => {
  await using hub = serve();
  let breaks = 2;
  hub.intercept = (request, path) =>
    path === `/${sha256(weights)}` && breaks-- > 0
      ? breakOff(request, weights, 100_000)
      : undefined;
  const directory = await openHubModel("org/tiny");
  assert.equal(await Deno.readFile(`${directory}/model.safetensors`), weights);
  const ranges = hub.seen.filter(({ path }) => path === `/${sha256(weights)}`)
    .map(({ range }) => range);
  assert.equal(ranges, [null, "bytes=100000-", "bytes=200000-"]);
});

test("goes on from what an earlier process has left", async () => {
  await using hub = serve();
  await Deno.mkdir(`${repository()}/blobs`, { recursive: true });
  await Deno.writeFile(partial(weights), weights.subarray(0, 200_000));
  const progress: DownloadProgress[] = [];
  const directory = await openHubModel("org/tiny", { onProgress: (p) => progress.push(p) });
  assert.equal(await Deno.readFile(`${directory}/model.safetensors`), weights);
  assert.is(progress[0].received, 200_000);
  assert.is(hub.seen.at(-1)!.range, "bytes=200000-");
  assert.not.ok(names(`${repository()}/blobs`).some((name) => name.endsWith(".incomplete")));
});

test("begins again where a server sends no ranges", async () => {
  await using hub = serve();
  hub.intercept = (_, path) =>
    path === `/${sha256(weights)}` ? new Response(new Uint8Array(weights)) : undefined;
  await Deno.mkdir(`${repository()}/blobs`, { recursive: true });
  await Deno.writeFile(partial(weights), weights.subarray(0, 200_000));
  const directory = await openHubModel("org/tiny");
  assert.equal(await Deno.readFile(`${directory}/model.safetensors`), weights);
});

test("throws away what has a wrong checksum, large or small, and fetches it anew the next time", async () => {
  await using hub = serve();
  for (
    const [file, content] of [
      ["config.json", hub.files.get("config.json")!],
      ["model.safetensors", weights],
    ] as const
  ) {
    const damaged = content.slice();
    damaged[content.length >> 1] ^= 1;
    hub.intercept = (request, path) =>
      path.endsWith(`/${file}`) ? sendBytes(request, damaged) : undefined;
    const message = await refusal(openHubModel("org/tiny"));
    assert.match(message, new RegExp(`org/tiny/${file} arrived damaged and was thrown away`));
    const left = names(`${repository()}/blobs`);
    assert.not.ok(left.some((name) => name.endsWith(".incomplete")), left.join());
    assert.throws(
      () => Deno.statSync(`${repository()}/refs/main`),
      "nothing refers to a half model",
    );
  }
  hub.intercept = () => undefined;
  const directory = await openHubModel("org/tiny");
  assert.equal(await Deno.readFile(`${directory}/model.safetensors`), weights);
});

test("throws away more than was announced", async () => {
  await using hub = serve();
  let sent = 0;
  hub.intercept = (_, path) => {
    if (path !== `/${sha256(weights)}` || sent++ > 0) return undefined;
    return new Response(new Uint8Array([...weights, 1, 2, 3]));
  };
  const directory = await openHubModel("org/tiny");
  assert.equal(await Deno.readFile(`${directory}/model.safetensors`), weights);
});

test("asks again when the hub is busy, as long as it says, and gives up in the end", async () => {
  await using hub = serve();
  const busy = (status: number) => new Response(null, { status, headers: { "Retry-After": "0" } });
  let refusals = 3;
  hub.intercept = () => refusals-- > 0 ? busy(refusals === 1 ? 429 : 503) : undefined;
  const directory = await openHubModel("org/tiny");

  hub.commit = "beef".padEnd(40, "0");
  hub.intercept = () => busy(502);
  assert.is(await openHubModel("org/tiny"), directory, "what was fetched before");
  assert.match(warnings.join(), /out of order \(status 502\); using org\/tiny as it was/);

  hub.files.set("model.safetensors", weights.slice(9));
  hub.intercept = (_, path) => path.includes("/resolve/") ? busy(500) : undefined;
  assert.match(await refusal(openHubModel("org/tiny")), /broke off after 0 of 299991 bytes .*500/);
});

test("without a network uses what was fetched before and says so", async () => {
  let directory: string;
  {
    await using _hub = serve();
    directory = await openHubModel("org/tiny");
  }
  assert.is(await openHubModel("org/tiny"), directory);
  assert.match(
    warnings.join(),
    /cannot be reached .*; using org\/tiny as it was when last fetched/,
  );
  assert.match(
    await refusal(openHubModel("org/other")),
    /org\/other is not in .* cannot be reached .* check the network/,
  );
});

test("offline asks nobody, and takes a model only if it is whole", async () => {
  await using hub = serve();
  const directory = await openHubModel("org/tiny");
  hub.seen.length = 0;
  for (const variable of ["HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"]) {
    Deno.env.set(variable, "1");
    assert.is(await openHubModel("org/tiny"), directory);
    assert.match(await refusal(openHubModel("org/other")), /not in .*offline.*forbids/i);
    assert.match(await refusal(openHubModel("org/tiny@v2")), /not in/);
    Deno.env.delete(variable);
  }
  Deno.env.set("HF_HUB_OFFLINE", "1");
  await Deno.remove(`${repository()}/blobs/${sha256(weights)}`);
  assert.match(await refusal(openHubModel("org/tiny")), /not in/);
  assert.equal(hub.seen, []);
});

test("sends the token to the hub alone", async () => {
  await using hub = serve();
  await Deno.writeTextFile(`${home}/token`, "from-file\n");
  await openHubModel("org/tiny");
  const tokens = () => new Set(hub.seen.map(({ authorization }) => authorization));
  assert.equal(tokens(), new Set(["Bearer from-file", null]));
  assert.is(hub.seen.find(({ path }) => path === `/${sha256(weights)}`)!.authorization, null);
  hub.seen.length = 0;
  Deno.env.set("HF_TOKEN", "from-environment");
  await openHubModel("org/tiny");
  assert.equal(tokens(), new Set(["Bearer from-environment"]));

  await using other = serveHub({});
  hub.intercept = (_, path) =>
    path.includes("/tree/")
      ? Response.json([], { headers: { Link: `<${other.endpoint}/more>; rel="next"` } })
      : undefined;
  await refusal(openHubModel("org/tiny"));
  assert.equal(other.seen.map(({ authorization }) => authorization), [null]);
});

test("says in one sentence what is wrong", async () => {
  await using hub = serve();
  assert.match(await refusal(openHubModel("org/none")), /no model org\/none at .* set HF_TOKEN/);
  assert.match(await refusal(openHubModel("org/tiny@v2")), /no branch, tag or commit v2/);

  const resolving = (response: () => Response) => (_: Request, path: string) =>
    path.includes("/resolve/") ? response() : undefined;
  hub.intercept = resolving(() => refuse(401, "GatedRepo"));
  assert.match(
    await refusal(openHubModel("org/tiny")),
    /gated: accept .*\/org\/tiny and set HF_TOKEN/,
  );
  Deno.env.set("HF_TOKEN", "hf_abc");
  hub.intercept = resolving(() => refuse(403, "GatedRepo"));
  assert.match(await refusal(openHubModel("org/tiny")), /account of your token has no access/);
  hub.intercept = () => refuse(401, undefined, "Invalid credentials in Authorization header");
  assert.match(await refusal(openHubModel("org/tiny")), /does not accept your token/);
  hub.intercept = () => refuse(403, undefined, "Access to this resource is disabled.");
  assert.match(await refusal(openHubModel("org/tiny")), /refuses access .* disabled/);
  hub.intercept = () => refuse(404);
  assert.match(
    await refusal(openHubModel("org/tiny")),
    /no model org\/tiny .* rights of your token/,
  );
  hub.intercept = () => new Response("<html>Please log in to this network</html>");
  assert.match(await refusal(openHubModel("org/tiny")), /does not answer like a Hugging Face hub/);
  hub.intercept = () => undefined;

  hub.files.delete("model.safetensors");
  hub.files.delete("pytorch_model.bin");
  assert.match(await refusal(openHubModel("org/tiny")), /no model\.safetensors or .*tf_model\.h5/);
  Deno.env.set("HF_ENDPOINT", "nowhere");
  assert.match(await refusal(openHubModel("org/tiny")), /HF_ENDPOINT must be an address/);
});

test("writes nowhere but into the cache, whatever the hub answers", async () => {
  const escaped = "../../../../escaped";
  await using hub = serve({
    "config.json": "{}",
    "model.safetensors.index.json": JSON.stringify({ weight_map: { a: escaped } }),
    [escaped]: "x",
  });
  assert.match(await refusal(openHubModel("org/tiny")), /lacks .*escaped/);
  hub.commit = "../../out";
  assert.match(await refusal(openHubModel("org/tiny")), /does not answer like a Hugging Face hub/);
  assert.equal(names(home), ["hub"]);
  assert.equal(names(`${home}/hub`), ["models--org--tiny"]);
});

test("stops when it is told to, and keeps what has come", async () => {
  await using _hub = serve();
  const stop = new AbortController();
  const work = openHubModel("org/tiny", {
    signal: stop.signal,
    onProgress: ({ received }) => received > 0 && stop.abort(),
  });
  let name = "";
  await work.catch((error) => name = error.name);
  assert.is(name, "AbortError");
  assert.ok((await Deno.stat(partial(weights))).size > 0);
});

test("two at once fetch a model once", async () => {
  await using hub = serve();
  const directories = await Promise.all([openHubModel("org/tiny"), openHubModel("org/tiny")]);
  assert.is(directories[0], directories[1]);
  assert.equal(await Deno.readFile(`${directories[0]}/model.safetensors`), weights);
  assert.is(hub.seen.filter(({ path }) => path === `/${sha256(weights)}`).length, 1);
});

test("an id without an organisation is redirected, and kept under the name that was given", async () => {
  await using hub = serve();
  hub.intercept = (request, path) => {
    const { search } = new URL(request.url);
    const moved = path.replace(/^(\/api\/models)?\/tiny\//, "$1/org/tiny/");
    return moved === path ? undefined : new Response(null, {
      status: 307,
      headers: { Location: `${moved}${search}` },
    });
  };
  const directory = await openHubModel("tiny");
  assert.is(directory, `${home}/hub/models--tiny/snapshots/${hub.commit}`);
  assert.equal(await Deno.readFile(`${directory}/model.safetensors`), weights);
});

test("shows the small files before it fetches weights", async () => {
  await using hub = serve();
  const refused = openHubModel("org/tiny", {
    inspect: async (directory) => {
      assert.equal(names(directory), ["config.json", "tokenizer.json"]);
      await Promise.reject(new UserError("another family"));
    },
  });
  assert.is(await refusal(refused), "another family");
  assert.ok(hub.seen.every(({ path }) => !path.includes("model.safetensors")));
});

test("says of another library's adapters what they are", async () => {
  await using _ = serve({ "adapter_config.json": "{}", "adapter_model.safetensors": weights });
  assert.match(
    await refusal(openHubModel("org/tiny")),
    /^org\/tiny has adapters of another library \(adapter_config\.json\) and no model: merge/,
  );
});

test("tells hub ids from paths", () => {
  const ids = ["google/t5-v1_1-base", "org/a.b@v1.0", "org/a@refs/pr/1", "t5-small", "t5-small@v1"];
  for (const id of ids) {
    assert.ok(isHubId(id), id);
  }
  for (
    const path of [
      "miniature",
      "./org/tiny",
      "/org/tiny",
      "../org/tiny",
      "a/b/c",
      "./t5-small",
      "t5-small/",
      "..",
      "a/..",
      "a--b/c",
      "a/b/",
      "a/@v",
    ]
  ) {
    assert.not.ok(isHubId(path), path);
  }
});

test.run();
