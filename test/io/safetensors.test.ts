import { suite } from "uvu";
import * as assert from "uvu/assert";
import { UserError } from "../../src/errors.ts";
import {
  fromFloat32,
  fromInt32,
  openSafetensors,
  readFloat32,
  readSafetensors,
  type SafeTensor,
  toFloat32,
  toInt32,
  writeSafetensors,
} from "../../src/io/safetensors.ts";
import { parseSafetensorsHeader } from "../../src/io/header.ts";
import { bytesSource } from "../../src/io/source.ts";

const test = suite("safetensors");

/** A file with exactly this header text and this many bytes of data. */
function fileOf(header: string, dataBytes = 0, claimedLength?: bigint): Uint8Array {
  const text = new TextEncoder().encode(header);
  const file = new Uint8Array(8 + text.length + dataBytes);
  new DataView(file.buffer).setBigUint64(0, claimedLength ?? BigInt(text.length), true);
  file.set(text, 8);
  return file;
}

const entry = (begin: number, end: number, shape = `[${(end - begin) / 4}]`, dtype = "F32") =>
  `{"dtype":"${dtype}","shape":${shape},"data_offsets":[${begin},${end}]}`;

/** Both readers refuse it, with one sentence. */
async function refuses(file: Uint8Array, pattern: RegExp): Promise<void> {
  const name = "weights.safetensors";
  const open = await openSafetensors(bytesSource(name, file)).then(() => {}, (error) => error);
  assert.throws(() => readSafetensors(file, name), (error: unknown) => {
    assert.instance(error, UserError);
    assert.match(
      (error as Error).message,
      /^weights\.safetensors is not a sound safetensors file: /,
    );
    assert.match((error as Error).message, pattern);
    assert.is((error as Error).message.includes("\n"), false);
    assert.is(open.message, (error as Error).message);
    return true;
  });
}

test("what is written is read back bit for bit, whatever the types and shapes", () => {
  const awkward = Float32Array.of(NaN, -0, Infinity, 1e-45, 3.4e38, 1 / 3);
  const tensors = new Map<string, SafeTensor>([
    ["scalar", fromFloat32(Float32Array.of(7), [])],
    ["empty", fromFloat32(new Float32Array(0), [3, 0, 2])],
    ["bytes", { dtype: "U8", shape: [3], data: Uint8Array.of(1, 2, 3) }],
    ["half", fromFloat32(awkward, [2, 3], "F16")],
    ["brain", fromFloat32(awkward, [3, 2], "BF16")],
    ["full", fromFloat32(awkward, [6])],
    ["ids", fromInt32(Int32Array.of(-1, 2 ** 31 - 1), [2])],
    ['quote " slash \\ ünïcode \u{1f600}', fromInt32(Int32Array.of(5), [1])],
    ["__proto__", fromInt32(Int32Array.of(6), [1])],
    ["10", fromInt32(Int32Array.of(10), [1])],
  ]);
  const metadata = { format: "pt", note: 'a "note"' };
  const file = writeSafetensors(tensors, metadata);
  const read = readSafetensors(file, "file");

  assert.is(read.size, tensors.size);
  for (const [name, { dtype, shape, data }] of tensors) {
    const back = read.get(name)!;
    assert.equal([back.dtype, back.shape, [...back.data]], [dtype, shape, [...data]], name);
  }
  assert.equal(parseSafetensorsHeader(file, file.length, "file").metadata, metadata);
  assert.equal(writeSafetensors(read, metadata), file);
  assert.equal(writeSafetensors(new Map([...tensors].reverse()), metadata), file);
});

test("data is laid out so that every tensor is aligned to its type", () => {
  const file = writeSafetensors(
    new Map([
      ["a", { dtype: "U8", shape: [1], data: Uint8Array.of(1) }],
      ["b", fromFloat32(Float32Array.of(1), [1], "F16")],
      ["c", fromFloat32(Float32Array.of(1), [1])],
    ]),
  );
  const { dataStart, tensors } = parseSafetensorsHeader(file, file.length, "file");
  assert.is(dataStart % 8, 0);
  assert.equal([...tensors].map(([name, { begin }]) => [name, begin]), [["c", 0], ["b", 4], [
    "a",
    6,
  ]]);
});

test("values are read from data at any alignment", () => {
  for (let shift = 0; shift < 8; shift++) {
    const header = `{"a":${entry(0, 8)},"b":${entry(8, 12, "[1]", "I32")},` +
      `"c":${entry(12, 14, "[1]", "F16")},"d":${entry(14, 16, "[1]", "BF16")}}` + " ".repeat(shift);
    const file = fileOf(header, 16);
    const data = new DataView(file.buffer, file.length - 16);
    data.setFloat32(0, 1.5, true);
    data.setFloat32(4, -2.25, true);
    data.setInt32(8, -7, true);
    data.setUint16(12, 0x3c00, true);
    data.setUint16(14, 0x4040, true);
    const tensors = readSafetensors(file, "file");
    assert.equal([...toFloat32(tensors.get("a")!, "a")], [1.5, -2.25]);
    assert.equal([...toInt32(tensors.get("b")!, "b")], [-7]);
    assert.equal([...toFloat32(tensors.get("c")!, "c")], [1]);
    assert.equal([...toFloat32(tensors.get("d")!, "d")], [3]);
  }
});

test("a file that Python's safetensors wrote is read, a tensor at a time", async () => {
  // save_file of safetensors 0.8.0 for NumPy, with bfloat16 of ml_dtypes.
  const path = new URL("../fixtures/io/mixed.safetensors", import.meta.url);
  const bytes = await Deno.readFile(path);
  const reads: [number, number][] = [];
  const tensors = await openSafetensors({
    ...bytesSource("mixed", bytes),
    read: (begin, end) => {
      reads.push([begin, end]);
      return Promise.resolve(bytes.slice(begin, end));
    },
  });
  const { dataStart } = parseSafetensorsHeader(bytes, bytes.length, "mixed");
  assert.ok(reads.every(([, end]) => end <= dataStart), "opening reads nothing but the header");

  const values = async (name: string) => [...await readFloat32(tensors.get(name)!, name)];
  const { full, half, brain, ids, mask, scalar, empty } = Object.fromEntries(tensors);
  assert.equal([full.dtype, full.shape], ["F32", [2, 3]]);
  assert.equal(await values("full"), [1.5, -2.25, 0, Math.fround(3.4e38), Math.fround(1e-45), -0]);
  assert.equal([half.dtype, await values("half")], ["F16", [1.5, -0, 65504, 2 ** -24]]);
  assert.equal([brain.dtype, brain.shape, await values("brain")], ["BF16", [2, 1], [1.5, -3]]);
  assert.equal([scalar.dtype, scalar.shape, [...await scalar.read()]], ["I32", [], [7, 0, 0, 0]]);
  assert.equal([empty.shape, await values("empty")], [[0, 3], []]);
  assert.equal([mask.dtype, [...await mask.read()]], ["BOOL", [1, 0, 1]]);
  assert.equal([ids.dtype, (await ids.read()).length], ["I64", 16]);
  const double = await values("double").then(() => undefined, (error) => error);
  assert.match(double.message, /^tensor double is F64 where F32, F16 or BF16 is needed/);
});

test("a tensor of another type is refused by name", () => {
  const ids = fromInt32(Int32Array.of(1), [1]);
  assert.throws(() => toFloat32(ids, "lm_head"), /tensor lm_head is I32 where F32, F16 or BF16/);
  assert.throws(() => toInt32(fromFloat32(Float32Array.of(1), [1]), "ids"), /tensor ids is F32/);
});

test("a file is refused whose length prefix lies", async () => {
  await refuses(new Uint8Array(0), /has 0 bytes/);
  await refuses(new Uint8Array(7), /has 7 bytes/);
  const pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n";
  await refuses(new TextEncoder().encode(pointer), /is a Git LFS pointer/);
  await refuses(fileOf("{}", 0, 3n), /claims 3 bytes but only 2 follow/);
  await refuses(
    fileOf("{}", 0, 2n ** 64n - 1n),
    /claims 18446744073709551615 bytes, more than the limit/,
  );
  await refuses(fileOf("{}", 0, 100_000_001n), /more than the limit of 100000000/);
  await refuses(fileOf(`{"a":${entry(0, 4)}}`, 4, 5n), /not valid JSON/);
});

test("a header is refused that is not a JSON object in UTF-8", async () => {
  for (const header of ["", "[]", "null", '"a"', " {}", "\ufeff{}"]) {
    await refuses(fileOf(header), /does not start with "\{"/);
  }
  await refuses(fileOf("{"), /not valid JSON/);
  await refuses(fileOf('{"a'), /not valid JSON/);
  await refuses(fileOf('{"a\\'), /not valid JSON/);
  await refuses(fileOf('{"\\x":{}}'), /not valid JSON/);
  await refuses(fileOf("{}}"), /not valid JSON/);
  const invalid = fileOf('{"a":1}');
  invalid[10] = 0xff;
  await refuses(invalid, /not valid JSON/);
});

test("a truncated file is refused, and one with bytes to spare", async () => {
  const file = writeSafetensors(new Map([["a", fromFloat32(new Float32Array(4), [4])]]));
  await refuses(file.subarray(0, -1), /tensor a ends at byte 16 of 15 bytes of data/);
  await refuses(Uint8Array.of(...file, 0), /last 1 bytes belong to no tensor/);
});

test("overlapping tensors are refused, and holes", async () => {
  await refuses(
    fileOf(`{"a":${entry(0, 8)},"b":${entry(4, 12)}}`, 12),
    /tensor b overlaps .* by 4 bytes/,
  );
  await refuses(fileOf(`{"a":${entry(0, 8)},"b":${entry(0, 8)}}`, 8), /tensor b overlaps/);
  await refuses(fileOf(`{"a":${entry(4, 8)}}`, 8), /4 bytes before tensor a belong to no tensor/);
  await refuses(fileOf(`{"a":${entry(0, 4)},"b":${entry(8, 12)}}`, 12), /before tensor b/);
  await refuses(fileOf("{}", 4), /last 4 bytes/);
});

test("repeated keys are refused, also when spelt differently", async () => {
  await refuses(fileOf(`{"a":${entry(0, 4)},"a":${entry(0, 4)}}`, 4), /has the key a twice/);
  await refuses(
    fileOf(`{"a":${entry(0, 4)},"\\u0061" : ${entry(0, 4)}}`, 4),
    /has the key a twice/,
  );
  const twice = '{"dtype":"F32","shape":[1],"shape":[2],"data_offsets":[0,4]}';
  await refuses(fileOf(`{"a":${twice}}`, 4), /has the key shape twice/);
});

test("sizes are refused that are not exact whole numbers, or do not match", async () => {
  for (const size of ["-1", "1.0", "1e0", "null", "true", "NaN"]) {
    await refuses(
      fileOf(`{"a":${entry(0, 4, `[${size}]`)}}`, 4),
      /other than text and whole numbers/,
    );
  }
  await refuses(fileOf(`{"a":${entry(0, 4, '["1"]')}}`, 4), /shape of tensor a is not a list/);
  await refuses(fileOf(`{"a":${entry(0, 4, "[9007199254740993]")}}`, 4), /shape of tensor a/);
  await refuses(fileOf(`{"a":${entry(0, 4, "[4294967296,4294967296]")}}`, 4), /too large/);
  await refuses(fileOf(`{"a":${entry(0, 4, "[01]")}}`, 4), /not valid JSON/);
  await refuses(
    fileOf(`{"a":${entry(0, 4, "[2]")}}`, 4),
    /tensor a has 4 bytes where F32 \[2\] needs 8/,
  );
  await refuses(fileOf(`{"a":${entry(4, 0, "[1]")}}`, 4), /tensor a has -4 bytes/);
  const far =
    '{"dtype":"F32","shape":[1],"data_offsets":[18446744073709551612,18446744073709551616]}';
  await refuses(fileOf(`{"a":${far}}`, 4), /data_offsets of tensor a are not two whole numbers/);
  const three = '{"dtype":"F32","shape":[1],"data_offsets":[0,2,4]}';
  await refuses(fileOf(`{"a":${three}}`, 4), /data_offsets of tensor a/);
});

test("a description is refused that is not one", async () => {
  await refuses(fileOf('{"a":[]}'), /tensor a has no description/);
  await refuses(fileOf('{"a":{}}'), /tensor a has the unsupported dtype undefined/);
  await refuses(
    fileOf(`{"a":${entry(0, 4, "[1]", "toString")}}`, 4),
    /unsupported dtype "toString"/,
  );
  const extra = '{"dtype":"F32","shape":[1],"data_offsets":[0,4],"scale":"2"}';
  await refuses(fileOf(`{"a":${extra}}`, 4), /tensor a has the unknown field scale/);
  await refuses(fileOf('{"__metadata__":{"a":1}}'), /__metadata__ is not a table of strings/);
  await refuses(fileOf('{"__metadata__":[]}'), /__metadata__ is not a table of strings/);
});

test("a name from the file can neither break nor flood the message", () => {
  const name = "\\u001b[2J\\n" + "x".repeat(1000);
  assert.throws(() => readSafetensors(fileOf(`{"${name}":[]}`), "file"), (error: Error) => {
    assert.is(/\p{Cc}/u.test(error.message), false);
    assert.ok(error.message.length < 400);
    return true;
  });
});

test("deep nesting is refused without exhausting the stack", async () => {
  await refuses(fileOf('{"a":'.repeat(200_000)), /nested too deeply/);
  await refuses(fileOf('{"a":' + "[".repeat(1_000_000)), /nested too deeply/);
});

test("the writer does not write what the reader would refuse", () => {
  const short: SafeTensor = { dtype: "F32", shape: [2], data: new Uint8Array(4) };
  assert.throws(() => writeSafetensors(new Map([["a", short]])), /tensor a: 4 bytes are not F32/);
  const reserved = new Map([["__metadata__", fromInt32(Int32Array.of(1), [1])]]);
  assert.throws(() => writeSafetensors(reserved), /__metadata__/);
});

test.run();
