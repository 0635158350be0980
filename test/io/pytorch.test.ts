import { suite } from "uvu";
import * as assert from "uvu/assert";
import { Uint8ArrayReader, Uint8ArrayWriter, ZipWriter } from "@zip.js/zip.js";
import { UserError } from "../../src/errors.ts";
import { dtypeBytes, elementCount } from "../../src/io/header.ts";
import { openPytorch } from "../../src/io/pytorch.ts";
import { type ByteSource, bytesSource } from "../../src/io/source.ts";
import {
  assemble,
  dictionary,
  global,
  little,
  type Part,
  sequence,
  storage,
  tensor,
  text,
  tuple,
} from "./pickles.ts";

const test = suite("pytorch");

const fixture = (name: string): Uint8Array =>
  Deno.readFileSync(new URL(`../fixtures/pytorch/${name}`, import.meta.url));

const open = (file: Uint8Array) => openPytorch(bytesSource("pytorch_model.bin", file));

async function refuses(file: Uint8Array, pattern: RegExp): Promise<void> {
  const outcome = await open(file).catch((error) => error);
  assert.instance(outcome, UserError);
  assert.match((outcome as Error).message, /^pytorch_model\.bin /);
  assert.match((outcome as Error).message, pattern);
  assert.not.match((outcome as Error).message, /\p{C}/u);
}

async function zipped(files: Record<string, Uint8Array>): Promise<Uint8Array> {
  const writer = new ZipWriter(new Uint8ArrayWriter());
  for (const [name, bytes] of Object.entries(files)) {
    await writer.add(name, new Uint8ArrayReader(bytes), { level: 0 });
  }
  return await writer.close();
}

/** A checkpoint in the zip form: a pickle and its storages. */
const archive = (pickle: Uint8Array, storages: Record<string, Uint8Array> = {}) =>
  zipped(Object.fromEntries([
    ["archive/data.pkl", pickle],
    ...Object.entries(storages).map(([key, bytes]) => [`archive/data/${key}`, bytes]),
  ]));

type Expected = [name: string, dtype: string, shape: number[], hex: string];

for (const name of ["zip-2", "zip-5", "legacy-1", "legacy-2", "legacy-4"]) {
  test(`every tensor that PyTorch wrote is read as PyTorch reads it (${name})`, async () => {
    const expected: Expected[] = JSON.parse(new TextDecoder().decode(fixture("expected.json")));
    const tensors = await open(fixture(`${name}.bin`));
    assert.equal([...tensors.keys()], expected.map(([name]) => name));
    for (const [name, dtype, shape, hex] of expected) {
      const stored = tensors.get(name)!;
      assert.is(stored.dtype, dtype, name);
      assert.equal(stored.shape, shape, name);
      assert.is((await stored.read()).toHex(), hex, name);
    }
  });
}

test("opening reads no tensor, and reading one reads its bytes alone", async () => {
  const file = fixture("zip-2.bin");
  const reads: [begin: number, end: number][] = [];
  const source: ByteSource = {
    ...bytesSource("pytorch_model.bin", file),
    read(begin, end) {
      reads.push([begin, end]);
      return Promise.resolve(file.slice(begin, end));
    },
  };
  const tensors = await openPytorch(source);
  const opening = reads.splice(0);
  const row = await tensors.get("row")!.read(); // the second row of a storage of 24 elements
  assert.is(reads.length, 1);
  const [[begin, end]] = reads;
  assert.is(end - begin, row.length);
  // The search for the end of a file this small reads all of it: leave that out.
  const directed = opening.filter(([from, to]) => to - from < 1000);
  assert.ok(directed.every(([from, to]) => to <= begin || from >= end));
});

test("the state_dict of a training checkpoint is found", async () => {
  assert.equal([...(await open(fixture("training.bin"))).keys()], ["weight"]);
});

test("what is not a table of plain tensors is refused by its name", async () => {
  await refuses(fixture("sparse.bin"), /asks to run torch\._utils\._rebuild_sparse_tensor: /);
  await refuses(fixture("quantised.bin"), /asks to run torch\._utils\._rebuild_qtensor: /);
  await refuses(fixture("expanded.bin"), /shape \[1000\] is a view of 1 elements/);
});

const one = storage("0", 1);
const scalar = tensor(one, 0, [1], [1]);
const ones = { "0": [1] };

test("a checkpoint with several tables, none, or other entries says which entries it has", async () => {
  const table = dictionary("weight", scalar);
  const both = assemble("}", text("model"), table, "s", text("state_dict"), table, "s");
  await refuses(sequence(both, ones), /no tensors, but the entries model, state_dict: .*save only/);
  const other = assemble("}", text("optimizer"), table, "s", text("epoch"), "K", 3, "s");
  await refuses(sequence(other, ones), /no tensors, but the entries optimizer, epoch: /);
  const mixed = assemble(dictionary("weight", scalar), text("optimizer"), "}s");
  await refuses(sequence(mixed, ones), /has optimizer, which is not a tensor: .*save only/);
  const numbered = assemble("}K", 7, scalar, "s");
  await refuses(sequence(numbered, ones), /the entries 7: /);
  await refuses(sequence("]"), /something other than a table of tensors/);
  await refuses(sequence(scalar, ones), /something other than a table of tensors/);
});

test("a table without tensors is empty, and one with the versions of its modules is sound", async () => {
  assert.is((await open(sequence("}"))).size, 0);
  const versioned = assemble(dictionary("weight", scalar), text("_metadata"), "}s");
  assert.equal([...(await open(sequence(versioned, ones))).keys()], ["weight"]);
});

test("numbers of numpy and other values beside the weights are read over", async () => {
  for (const name of ["numpy-2", "numpy-4"]) {
    assert.equal([...(await open(fixture(`${name}.bin`))).keys()], ["weight"], name);
  }
  const numbered = assemble(dictionary("weight", scalar), text("epoch"), "K", 3, "s");
  assert.equal([...(await open(sequence(numbered, ones))).keys()], ["weight"]);
  const path = assemble(global("pathlib", "PosixPath"), tuple(text("/etc")), "R");
  const beside = assemble(dictionary("weight", scalar), text("path"), path, "s");
  assert.equal([...(await open(sequence(beside, ones))).keys()], ["weight"]);
  await refuses(sequence(dictionary("weight", path)), /no tensors, but the entries weight/);
});

test("a state_dict may be in a table in a table", async () => {
  for (const names of [["model_state_dict"], ["module"], ["state_dict", "model"]]) {
    const nested = names.reduceRight(
      (inner, name) => dictionary(name, inner),
      dictionary("weight", scalar),
    );
    assert.equal([...(await open(sequence(nested, ones))).keys()], ["weight"], names.join());
  }
});

test("code is refused by its name, in every form of file and by every instruction", async () => {
  const names: [module: string, name: string][] = [
    ["os", "system"],
    ["posix", "system"],
    ["nt", "system"],
    ["builtins", "eval"],
    ["builtins", "exec"],
    ["builtins", "getattr"],
    ["__builtin__", "__import__"],
    ["subprocess", "Popen"],
    ["torch.hub", "load"],
    ["torch", "load"],
    ["torch.storage", "_load_from_bytes"],
    ["torch.storage", "UntypedStorage"],
    ["numpy", "load"],
    ["numpy.core.multiarray", "scalar.__class__"],
    ["builtins", "set.__class__"],
    ["collections", "OrderedDict.__class__"],
    ["torch", "FloatStorage.__init__"],
    ["", "__proto__"],
    ["constructor", ""],
  ];
  for (const [module, name] of names) {
    const argument = tuple(text("touch /tmp/owned"));
    const attacks: Part[][] = [
      [global(module, name), argument, "R"],
      [text(module), text(name), 0x93, argument, "R"],
      ["(", text("touch /tmp/owned"), `i${module}\n${name}\n`],
      ["(", global(module, name), text("touch /tmp/owned"), "o"],
      [global(module, name), argument, 0x81],
      [dictionary("weight", scalar), global(module, name), argument, "R0"],
    ];
    const named = new RegExp(`asks to run ${module}\\.${name}: nothing was run`);
    for (const parts of attacks) {
      const attack = assemble(...parts);
      await refuses(sequence(attack, ones), named);
      await refuses(assemble(attack, "."), named);
      await refuses(await archive(assemble(attack, ".")), named);
    }
  }
});

test("a hostile name cannot write to the terminal", async () => {
  const attack = assemble(global("os\x1b[2J", `system\u202e${"x".repeat(10_000)}`), ".");
  const { message } = await open(attack).catch((error) => error);
  assert.ok(message.length < 500);
  assert.not.match(message, /\p{C}/u);
});

test("what stands for a tensor but is none is refused", async () => {
  const rebuild = global("torch._utils", "_rebuild_tensor_v2");
  const cases: [RegExp, ...Part[]][] = [
    [/what is not a storage/, rebuild, tuple(), "R"],
    [/what is not a storage/, rebuild, tuple(text("storage"), "K", 0, "))"), "R"],
    [/calls what is not a function/, global("torch", "FloatStorage"), ")R"],
    [/calls what is not a function/, global("torch", "float32"), ")R"],
    [/what is not a tensor/, global("torch._utils", "_rebuild_parameter"), tuple("K", 1), "R"],
    [/written by Python 2/, global("collections", "OrderedDict"), tuple("]"), "R"],
    [/not a storage/, "NQ"],
    [/not a storage/, "Psome id\n"],
    [/not a storage/, tuple(text("module"), global("torch", "FloatStorage"), text("0")), "Q"],
    [/sets attributes/, scalar, "}b"],
    [/sets attributes/, one, "}b"],
    [/in two ways/, one, storage("0", 1, "IntStorage")],
    [/in two ways/, one, storage("0", 2)],
    [/malformed/, tensor(one, -1, [1], [1])],
    [/malformed/, tensor(one, 0, [-1], [1])],
    [/malformed/, tensor(one, 0, [1], [-1])],
    [/malformed/, tensor(one, 0, [1], [])],
    [/malformed/, tensor(one, 0, [1n << 60n], [1])],
    [/malformed/, tensor(one, 0, new Array(65).fill(1), new Array(65).fill(1))],
    [/leaves its storage/, tensor(one, 1, [1], [1])],
    [/conjugated/, rebuild, tuple(one, "K", 0, "))", 0x89, "}", dictionary("neg", 0x88)), "R"],
  ];
  for (const [pattern, ...parts] of cases) {
    await refuses(sequence(assemble(...parts), ones), pattern);
  }
});

test("storages that are missing, shorter than described, or of the other byte order are refused", async () => {
  const content = dictionary("weight", tensor(storage("k", 2), 0, [2], [1]));
  const pickle = assemble(0x80, 2, content, ".");
  const two = new Uint8Array(Float32Array.of(1, 2).buffer);
  const big = new TextEncoder().encode("big");

  const sound = await open(await archive(pickle, { k: two }));
  assert.equal(await sound.get("weight")!.read(), two);
  await refuses(await archive(pickle), /storage k is missing/);
  await refuses(await archive(pickle, { k: two.subarray(1) }), /7 bytes where 8 are/);
  const foreign = { "a/data.pkl": pickle, "a/data/k": two, "a/byteorder": big };
  await refuses(await zipped(foreign), /byte order is big/);

  await refuses(sequence(content), /storage k is missing/);
  await refuses(sequence(content, { k: [1] }), /needs 8 bytes but 4 are left/);
  await refuses(sequence(content, { k: [1, 2, 3] }), /3 elements where 2 are described/);
  await refuses(sequence(content, { k: [1, 2], l: [3] }), /lists a storage twice, or one that no/);
  await refuses(assemble(sequence(content, { k: [1, 2] }), 0), /last 1 bytes belong to no tensor/);
});

test("a storage may be as large as it likes if the file is, and no larger", async () => {
  const vast = dictionary("weight", tensor(storage("0", 2n ** 52n), 0, [1], [1]));
  await refuses(sequence(vast, ones), /needs .* bytes but 4 are left/);
  await refuses(await archive(assemble(vast, "."), { "0": new Uint8Array(4) }), /has 4 bytes/);
});

test("a structure with 2^1000 leaves is refused without a walk through it", async () => {
  const laughs = assemble("]", "p0\n0(g0\ng0\nl".repeat(1000));
  await refuses(sequence(laughs), /something other than a table/);
  await refuses(sequence(dictionary("weight", laughs)), /no tensors, but the entries weight/);
  const magic = assemble(0x80, 2, 0x8a, 10, little(0x1950a86a20f9469cfc6cn, 10), ".");
  await refuses(assemble(magic, laughs, "."), /version is not 1001/);
  const described = assemble(magic, "M", little(1001, 2), ".", "}.", "}.");
  await refuses(assemble(described, "](", laughs, "e."), /lists a storage twice, or one that no/);
  await refuses(assemble(laughs, "."), /neither a zip archive nor/);
});

test("other files are refused, with what to do where it is known", async () => {
  await refuses(new Uint8Array(0), /neither a zip archive nor/);
  await refuses(assemble("<!DOCTYPE html><html>"), /neither a zip archive nor/);
  await refuses(assemble(little(2, 8), "{}"), /neither a zip archive nor/);
  await refuses(assemble(0x80, 2, "}."), /neither a zip archive nor/);
  await refuses(assemble("version https://git-lfs.github.com/spec/v1\n"), /Git LFS pointer/);
  await refuses(assemble("storages", new Uint8Array(249), "ustar"), /tar form/);
  await refuses(assemble("PK\x03\x04"), /zip archive/);
  const empty = assemble("}.");
  await refuses(await zipped({ "a/data.pkl": empty, "b/data.pkl": empty }), /2 files data\.pkl/);
  await refuses(await zipped({ "word/document.xml": empty }), /0 files data\.pkl/);
  const later = sequence("}");
  later[later.indexOf(0x4d) + 1]++;
  await refuses(later, /version is not 1001/);
});

for (const name of ["training.bin", "compact.bin"]) {
  test(`a file that ends early is refused, wherever it ends (${name})`, async () => {
    const file = fixture(name);
    for (let length = 0; length < file.length; length++) {
      await refuses(file.subarray(0, length), /./);
    }
  });
}

/** A small generator of whole numbers below `limit`, with a fixed seed. */
function generator(seed: number): (limit: number) => number {
  let state = seed;
  return (limit) => {
    state = Math.imul(state, 1664525) + 1013904223 >>> 0;
    return Math.floor(state / 2 ** 32 * limit);
  };
}

for (const name of ["zip-2", "zip-5", "legacy-1", "legacy-4"]) {
  test(`a damaged file is refused, or read as a sound one is (${name})`, async () => {
    const original = fixture(`${name}.bin`);
    const draw = generator(7);
    let refused = 0;
    for (let round = 0; round < 500; round++) {
      const file = original.slice();
      for (let flips = 1 + draw(3); flips > 0; flips--) file[draw(file.length)] = draw(256);
      try {
        for (const stored of (await open(file)).values()) {
          const bytes = await stored.read();
          assert.is(bytes.length, elementCount(stored.shape) * dtypeBytes(stored.dtype));
        }
      } catch (error) {
        assert.instance(error, UserError);
        refused++;
      }
    }
    assert.ok(refused > 50);
  });
}

test.run();
