import { suite } from "uvu";
import * as assert from "uvu/assert";
import { UserError } from "../../src/errors.ts";
import { fromFloat32, openSafetensors, writeSafetensors } from "../../src/io/safetensors.ts";
import { openSharded } from "../../src/io/sharded.ts";
import { bytesSource } from "../../src/io/source.ts";

const test = suite("sharded");

const shard = (...names: string[]): Uint8Array =>
  writeSafetensors(new Map(names.map((name, i) => [name, fromFloat32(Float32Array.of(i), [1])])));

/** A directory of two shards, with `a`, `b` and `c` in them. */
const shards: Record<string, Uint8Array> = { "one.st": shard("a", "b"), "two.st": shard("c") };
const places = { a: "one.st", b: "one.st", c: "two.st" };

function openWith(index: unknown, files = shards) {
  const text = typeof index === "string" ? index : JSON.stringify(index);
  return openSharded(
    bytesSource("model/index.json", new TextEncoder().encode(text)),
    async (file) => files[file] && await openSafetensors(bytesSource(`model/${file}`, files[file])),
  );
}

async function refuses(index: unknown, message: string | RegExp, files = shards): Promise<void> {
  const error = await openWith(index, files).then(() => undefined, (error) => error);
  assert.instance(error, UserError);
  if (typeof message === "string") assert.is(error.message, message);
  else assert.match(error.message, message);
}

test("the tensors of all files are there, each in its own", async () => {
  const { tensors, absent } = await openWith({ metadata: { total_size: 12 }, weight_map: places });
  assert.equal([...tensors.keys()].sort(), ["a", "b", "c"]);
  assert.equal(absent.size, 0);
  assert.equal([...await tensors.get("b")!.read()], [0, 0, 0x80, 0x3f]);
});

test("a tensor that its file lacks is told, with the file", async () => {
  const { tensors, absent } = await openWith({ weight_map: { ...places, d: "two.st" } });
  assert.is(tensors.size, 3);
  assert.equal([...absent], [["d", "two.st"]]);
});

test("a missing file is named", async () => {
  await refuses(
    { weight_map: places },
    "model/index.json: the file two.st, with 1 of its tensors, is missing: fetch it as well",
    { "one.st": shards["one.st"] },
  );
});

test("a file that the index does not describe is of another checkpoint", async () => {
  await refuses(
    { weight_map: { a: "one.st", c: "two.st" } },
    "model/index.json: one.st holds the tensor b, which the index has nowhere: " +
      "are they of one checkpoint?",
  );
  await refuses(
    { weight_map: { ...places, b: "two.st" } },
    /one\.st holds the tensor b, which the index has in two\.st/,
  );
  const files = { ...shards, "two.st": shard("c", "constructor") };
  await refuses({ weight_map: places }, /holds the tensor constructor, which .* nowhere/, files);
});

test("a file elsewhere is never opened", async () => {
  const elsewhere = [
    "../one.st",
    "/etc/passwd",
    "sub/one.st",
    "..",
    ".",
    "",
    "..\\one.st",
    "C:one.st",
    "one.st\0",
    7,
    null,
    ["one.st"],
  ];
  for (const file of elsewhere) {
    await refuses(
      { weight_map: { ...places, c: file } },
      `model/index.json places the tensor c in ${JSON.stringify(file)}, ` +
        "which is not the name of a file beside it",
    );
  }
});

test("a damaged file is refused though the others are sound", async () => {
  const files = { ...shards, "two.st": shards["two.st"].subarray(0, -1) };
  await refuses({ weight_map: places }, /^model\/two\.st is not a sound safetensors file/, files);
});

test("an index that is none", async () => {
  await refuses("{", /^model\/index\.json is not valid JSON: /);
  await refuses("[]", "model/index.json must hold a JSON object");
  for (const index of [{}, { weight_map: [] }, { weight_map: {} }, { weight_map: "one.st" }]) {
    await refuses(
      index,
      /^model\/index\.json has no weight_map from the names of tensors to files/,
    );
  }
});

test.run();
