/**
 * The published attacks on the safetensors format: those of the reference implementation's own tests
 * (`safetensors/src/tensor.rs`), its `attacks/` directory, and the ways in which the audit of 2023 made
 * files that are two formats at once. Each is refused before any tensor is read.
 */

import { suite } from "uvu";
import * as assert from "uvu/assert";
import { UserError } from "../../src/errors.ts";
import { openSafetensors } from "../../src/io/safetensors.ts";
import { bytesSource } from "../../src/io/source.ts";

const test = suite("safetensors attacks");

const bytesOf = (text: string): Uint8Array => Uint8Array.from(text, (c) => c.charCodeAt(0));

/** A length prefix of this one byte, or these bytes. */
const prefix = (text: string): string => text.padEnd(8, "\0");

/** A file with this header, its length told truly. */
function fileOf(header: string, data = ""): Uint8Array {
  const file = bytesOf(`${prefix("")}${header}${data}`);
  new DataView(file.buffer).setBigUint64(0, BigInt(header.length), true);
  return file;
}

async function refuses(file: Uint8Array, pattern: RegExp, size = file.length): Promise<void> {
  const source = {
    ...bytesSource("model.safetensors", file),
    size,
    read: (begin: number, end: number) => {
      assert.ok(end <= file.length, `reads to byte ${end} of ${file.length}`);
      return Promise.resolve(file.subarray(begin, end));
    },
  };
  const error = await openSafetensors(source).then(() => undefined, (error) => error);
  assert.instance(error, UserError);
  assert.match(error.message, pattern);
}

const square = '{"test":{"dtype":"I32","shape":[2,2],"data_offsets":[0,16]}}';
const sixteen = "\0".repeat(16);

test("bytes after the data, as another format would have them", async () => {
  const hidden = [
    "extra_bogus_data_for_polyglot_file",
    "PK\x05\x06" + "\0".repeat(18), // an empty ZIP, which is found from its end: Keras, PyTorch
    "%PDF-1.7\n",
  ];
  for (const text of hidden) {
    await refuses(bytesOf(prefix("<") + square + sixteen + text), /last \d+ bytes belong to no/);
  }
});

test("bytes before or between tensors, as another format would have them", async () => {
  const two = '{"a":{"dtype":"U8","shape":[4],"data_offsets":[8,12]},' +
    '"b":{"dtype":"U8","shape":[4],"data_offsets":[12,16]}}';
  await refuses(fileOf(two, sixteen), /8 bytes before tensor a belong to no tensor/);
  const hole = two.replace("[8,12]", "[0,4]");
  await refuses(fileOf(hole, sixteen), /8 bytes before tensor b belong to no tensor/);
});

test("bytes before the header's brace", async () => {
  for (const lead of [" ", "\t\n", "%PDF-1.7 ", "\xef\xbb\xbf", "#!/bin/sh\n"]) {
    await refuses(fileOf(`${lead}{}`), /does not start with "\{"/);
  }
});

test("data that is cut short", async () => {
  await refuses(bytesOf(prefix("<") + square + "\0".repeat(14)), /is it truncated\?/);
});

test("a header that claims to be longer than the file, or than any header", async () => {
  await refuses(bytesOf(""), /has 0 bytes/);
  await refuses(bytesOf(prefix("<")), /claims 60 bytes but only 0 follow/);
  await refuses(bytesOf(prefix("<\0\0\0\0\xff\xff\xff") + square + sixteen), /more than the limit/);
  await refuses(bytesOf(prefix("\xe8\x03") + square + sixteen), /claims 1000 bytes but only 76/);
  // A TFRecord file begins with a length too; so may a file that has grown beyond all headers.
  await refuses(bytesOf(prefix("\x01\xe1\xf5\x05")), /more than the limit/, 2 ** 40);
});

test("a header that is no text, or no JSON", async () => {
  await refuses(bytesOf(prefix("\x01") + "\xff"), /not valid JSON/);
  await refuses(bytesOf(prefix("\x01") + "{"), /not valid JSON/);
  await refuses(fileOf("\x1f\x8b\b\0{}"), /not valid JSON/); // gzip
});

test("a shape that does not fit its bytes", async () => {
  const lying = '{"test":{"dtype":"I32","shape":[2,2],"data_offsets":[0, 4]}}';
  await refuses(fileOf(lying), /tensor test has 4 bytes where I32 \[2,2\] needs 16/);
});

test("shapes whose product overflows 64 bits, also where a zero would hide it", async () => {
  const shaped = (shape: string, end = 16) =>
    fileOf(`{"test":{"dtype":"I32","shape":[${shape}],"data_offsets":[0,${end}]}}`, sixteen);
  await refuses(shaped("2,18446744073709551614"), /shape of tensor test is not a list of whole/);
  await refuses(shaped("2,9223372036854775807"), /shape of tensor test is not a list of whole/);
  await refuses(shaped("4294967296,4294967296"), /too large/);
  await refuses(shaped("4611686018427387904,4"), /shape of tensor test/);
  await refuses(shaped("2147483648,2147483648,0", 0), /too large/);
  await refuses(shaped(Array(400).fill("9007199254740991").join(",")), /too large/);
});

test("offsets that are negative, backwards, fractional, or beyond the file", async () => {
  const placed = (offsets: string) =>
    fileOf(`{"test":{"dtype":"U8","shape":[4],"data_offsets":[${offsets}]}}`, sixteen);
  await refuses(placed("-4,0"), /other than text and whole numbers/);
  await refuses(placed("0.0,4.0"), /other than text and whole numbers/);
  await refuses(placed("0,4e0"), /other than text and whole numbers/);
  await refuses(placed("4,0"), /has -4 bytes/);
  await refuses(placed("16,20"), /ends at byte 20 of 16 bytes of data/);
  await refuses(placed("9007199254740987,9007199254740991"), /ends at byte 9007199254740991/);
  await refuses(placed("18446744073709551612,18446744073709551616"), /not two whole numbers/);
  await refuses(placed("0,4,8"), /not two whole numbers/);
});

test("many tensors on the same bytes, which would fill the memory from a small file", async () => {
  const shape = "[200,200]", bytes = 160_000, count = 100_000;
  const entry = `{"dtype":"F32","shape":${shape},"data_offsets":[0,${bytes}]}`;
  const header = Array.from({ length: count }, (_, i) => `"weight_${i}":${entry}`).join(",");
  const file = fileOf(`{${header}}`, "\0".repeat(bytes));
  await refuses(file, /tensor weight_1 overlaps the tensor before it by 160000 bytes/);
});

test("a name twice, of which readers may take either", async () => {
  const other = square.replace("[2,2]", "[4]").slice(1, -1);
  await refuses(fileOf(`${square.slice(0, -1)},${other}}`, sixteen), /has the key test twice/);
  const metadata = '{"__metadata__":{"a":"1","a":"2"}}';
  await refuses(fileOf(metadata), /has the key a twice/);
  await refuses(fileOf('{"__metadata__":{},"__metadata__":{}}'), /key __metadata__ twice/);
});

test("metadata that holds anything but text", async () => {
  await refuses(fileOf('{"__metadata__":{"a":{"b":"c"}}}'), /not a table of strings/);
  await refuses(fileOf('{"__metadata__":{"a":1}}'), /not a table of strings/);
});

test("element types of less than a byte, which this reader does not know", async () => {
  const narrow = '{"test":{"dtype":"F4","shape":[3],"data_offsets":[0,1]}}';
  await refuses(fileOf(narrow, "\0"), /tensor test has the unsupported dtype "F4"/);
});

test("what is odd but sound is not taken for an attack", async () => {
  const sound: Record<string, string> = {
    "a scalar": '{"test":{"dtype":"I32","shape":[],"data_offsets":[0,4]}}',
    "no elements": '{"test":{"dtype":"I32","shape":[2,0],"data_offsets":[0, 0]}}',
    "blanks after the header": "{}\r \t\n",
    "no tensors": "{}",
    "only metadata": '{"__metadata__":{"format":"pt"}}',
  };
  for (const [what, header] of Object.entries(sound)) {
    const data = what === "a scalar" ? "\0\0\0\0" : "";
    const tensors = await openSafetensors(bytesSource(what, fileOf(header, data)));
    assert.is(tensors.size, header.includes("test") ? 1 : 0, what);
  }
});

test.run();
