import { suite } from "uvu";
import * as assert from "uvu/assert";
import { checksum, sha256 } from "../../src/io/digest.ts";
import { bytesSource } from "../../src/io/source.ts";

const test = suite("digest");

const PIECE = 16 * 1024 * 1024;

test("SHA-256 is that of the standard", async () => {
  assert.is(
    await sha256(new TextEncoder().encode("abc")),
    "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
  );
});

test("the checksum of what fits in a piece is its SHA-256", async () => {
  for (const bytes of [new Uint8Array(0), Uint8Array.of(1, 2, 3), new Uint8Array(PIECE).fill(7)]) {
    assert.is(await checksum(bytesSource("file", bytes)), await sha256(bytes));
  }
});

test("a larger file is read piece by piece, and any bit of it counts", async () => {
  const bytes = new Uint8Array(2 * PIECE + 5);
  let largest = 0;
  const source = {
    ...bytesSource("file", bytes),
    read: (begin: number, end: number) => {
      largest = Math.max(largest, end - begin);
      return Promise.resolve(bytes.subarray(begin, end));
    },
  };
  const before = await checksum(source);
  assert.is(largest, PIECE);
  for (const at of [0, PIECE - 1, PIECE, 2 * PIECE, bytes.length - 1]) {
    bytes[at] = 1;
    assert.not(await checksum(source) === before, `byte ${at}`);
    bytes[at] = 0;
  }
  assert.is(await checksum(source), before);
  // By definition: the SHA-256 of the pieces' SHA-256s.
  const pieces = [0, 1, 2].map((i) => bytes.subarray(i * PIECE, (i + 1) * PIECE));
  const hashes = await Promise.all(
    pieces.map(async (piece) => Uint8Array.fromHex(await sha256(piece))),
  );
  assert.is(before, await sha256(Uint8Array.from(hashes.flatMap((hash) => [...hash]))));
});

test.run();
