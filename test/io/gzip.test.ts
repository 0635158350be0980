/** Gzip files as they are: of one member and of several, damaged, cut off. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { gzipSync } from "node:zlib";
import { gunzip, GzipError } from "../../src/io/gzip.ts";

const test = suite("gzip");

const text = (length: number, letter: string) => letter.repeat(length) + "é\n";
const packed = (...texts: string[]) => texts.flatMap((text) => [...gzipSync(text)]);

/** Unpacks bytes that come in pieces of a size. */
async function unpack(bytes: readonly number[], piece: number): Promise<string> {
  const pieces = Array.from(
    { length: Math.ceil(bytes.length / piece) },
    (_, i) => Uint8Array.from(bytes.slice(i * piece, (i + 1) * piece)),
  );
  const stream = ReadableStream.from(pieces) as ReadableStream<Uint8Array<ArrayBuffer>>;
  return await new Response(stream.pipeThrough(gunzip())).text();
}

const reason = (bytes: readonly number[], piece = 7) =>
  unpack(bytes, piece).then(() => "sound", (error) => {
    assert.instance(error, GzipError);
    return error.message;
  });

test("members follow one another, however the bytes are cut", async () => {
  const texts = [text(10, "a"), "", text(300_000, "b"), text(3, "c")];
  for (const piece of [1, 2, 17, 1000, 1 << 20]) {
    assert.is(await unpack(packed(...texts), piece), texts.join(""), `pieces of ${piece}`);
  }
});

test("zeros after a member are padding, before another as well", async () => {
  const padded = [...packed("one"), 0, 0, 0, ...packed("two"), 0];
  for (const piece of [1, 5, 1000]) assert.is(await unpack(padded, piece), "onetwo");
});

test("what is not whole is refused, with the reason", async () => {
  const whole = packed(text(1000, "a"), text(1000, "b"));
  assert.is(await reason([]), "it ends too early");
  for (const cut of [1, 5, 9, 30, 60]) {
    assert.is(await reason(whole.slice(0, -cut)), "it ends too early", `without ${cut} bytes`);
  }
  assert.is(await reason([...whole, 65, 66]), "other bytes follow the packed ones");
  assert.match(await reason([...new TextEncoder().encode('{"not": "packed"}')]), /damaged \(/);
  // A wrong bit in the content is found by the checksum.
  const wrong = packed(text(100, "a"));
  wrong[wrong.length - 6] ^= 1;
  assert.match(await reason(wrong), /^its bytes are damaged \(/);
});

test.run();
