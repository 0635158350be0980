import { suite } from "uvu";
import * as assert from "uvu/assert";
import { fromFloat32, fromInt32, writeSafetensors } from "../../src/io/safetensors.ts";
import { layOutSafetensors, streamSafetensors } from "../../src/io/safetensors-writer.ts";
import type { StoredTensor } from "../../src/io/source.ts";

const test = suite("safetensors writer");

const tensors = new Map([
  ["b", fromFloat32(Float32Array.of(1, 2, 3), [3], "F16")],
  ["a", fromFloat32(Float32Array.of(4, 5), [2, 1], "BF16")],
  ["ids", fromInt32(Int32Array.of(7), [])],
  ["empty", fromFloat32(new Float32Array(), [0, 4])],
]);

/** The same tensors as if they were in a file, with a note of every reading. */
function stored(read: string[]): Map<string, StoredTensor> {
  return new Map(Array.from(tensors, ([name, { dtype, shape, data }]) => [name, {
    dtype,
    shape,
    read: () => {
      read.push(name);
      return Promise.resolve(data);
    },
  }]));
}

test("a stream is the bytes of the file that is written at once", async () => {
  const metadata = { format: "pt" };
  const parts = await Array.fromAsync(streamSafetensors(stored([]), metadata));
  const bytes = new Uint8Array(await new Blob(parts as BlobPart[]).arrayBuffer());
  assert.equal(bytes, writeSafetensors(tensors, metadata));
  const { header, dataBytes } = layOutSafetensors(tensors, metadata);
  assert.is(header.length + dataBytes, bytes.length);
});

test("a tensor is read when its turn has come, not before", async () => {
  const read: string[] = [];
  const stream = streamSafetensors(stored(read));
  await stream.next(); // the header
  assert.equal(read, []);
  await stream.next();
  assert.is(read.length, 1);
  await stream.return(undefined);
  assert.is(read.length, 1);
});

test("a tensor that gives other bytes than it promised is no part of a file", async () => {
  const lying = stored([]);
  lying.set("b", { dtype: "F16", shape: [4], read: () => Promise.resolve(new Uint8Array(6)) });
  const error = await Array.fromAsync(streamSafetensors(lying)).then(() => "", (error) => error);
  assert.match(error.message, /^tensor b: 6 bytes are not F16 of shape \[4\]/);
});

test.run();
