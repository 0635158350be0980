import { suite } from "uvu";
import * as assert from "uvu/assert";
import {
  Uint8ArrayReader,
  Uint8ArrayWriter,
  ZipWriter,
  type ZipWriterAddDataOptions,
} from "@zip.js/zip.js";
import { UserError } from "../../src/errors.ts";
import { bytesSource } from "../../src/io/source.ts";
import { openZip } from "../../src/io/zip.ts";

const test = suite("zip");

const bytes = (text: string) => new TextEncoder().encode(text);

async function archive(
  files: [name: string, content: string][],
  options: ZipWriterAddDataOptions = {},
): Promise<Uint8Array> {
  const writer = new ZipWriter(new Uint8ArrayWriter());
  for (const [name, content] of files) {
    await writer.add(name, new Uint8ArrayReader(bytes(content)), { level: 0, ...options });
  }
  return await writer.close();
}

const refuse = (why: string): never => {
  throw new UserError(why);
};

async function refuses(file: Uint8Array, pattern: RegExp): Promise<void> {
  const outcome = await openZip(bytesSource("archive", file), refuse).catch((error) => error);
  assert.instance(outcome, UserError);
  assert.match((outcome as Error).message, pattern);
}

const files: [string, string][] = [["a/one", "first"], ["a/two", ""], ["a/three", "third file"]];

for (const zip64 of [false, true]) {
  for (const dataDescriptor of [false, true]) {
    const form = `${zip64 ? "zip64" : "plain"}${dataDescriptor ? ", sizes after the data" : ""}`;
    test(`stored files are found where they lie (${form})`, async () => {
      const file = await archive(files, { zip64, dataDescriptor });
      const found = await openZip(bytesSource("archive", file), refuse);
      const read = [...found].map(([name, { begin, end }]) =>
        [name, new TextDecoder().decode(file.subarray(begin, end))] as const
      );
      assert.equal(read, files);
    });
  }
}

test("compressed and encrypted files are refused by name", async () => {
  const compressed = await archive([["a/data", "x".repeat(1000)]], { level: 6 });
  await refuses(compressed, /^its file a\/data is compressed/);
  const encrypted = await archive([["a/data", "x"]], { password: "secret", zipCrypto: true });
  await refuses(encrypted, /^its file a\/data is encrypted/);
});

test("a file that is there twice is refused", async () => {
  const file = await archive([["a/one", "first"], ["a/two", "later"]]);
  const text = new TextDecoder("latin1").decode(file);
  for (let at = text.indexOf("a/two"); at >= 0; at = text.indexOf("a/two", at + 1)) {
    file.set(bytes("a/one"), at);
  }
  await refuses(file, /^it has the file a\/one twice/);
});

/** Where the n-th record with this signature begins. */
function record(file: Uint8Array, signature: string, n: number): number {
  const text = new TextDecoder("latin1").decode(file);
  let at = -1;
  for (let i = 0; i <= n; i++) at = text.indexOf(signature, at + 1);
  return at;
}

test("files that overlap or leave the archive are refused", async () => {
  const overlapping = await archive(files);
  const first = record(overlapping, "PK\x01\x02", 0);
  const second = record(overlapping, "PK\x01\x02", 1);
  // The second entry of the directory, but for its name, becomes a copy of the first.
  overlapping.copyWithin(second, first, first + 46);
  await refuses(overlapping, /Overlapping|[Aa]mbiguous/);

  const beyond = await archive(files);
  const entry = record(beyond, "PK\x01\x02", 2);
  new DataView(beyond.buffer).setUint32(entry + 20, 1_000_000, true);
  new DataView(beyond.buffer).setUint32(entry + 24, 1_000_000, true);
  await refuses(beyond, /zip archive/);

  const nowhere = await archive(files);
  new DataView(nowhere.buffer).setUint32(record(nowhere, "PK\x01\x02", 2) + 42, 60_000, true);
  await refuses(nowhere, /zip archive/);
});

test("a directory that claims to fill a large file is not read into memory", async () => {
  const file = await archive(files);
  const end = record(file, "PK\x05\x06", 0);
  const view = new DataView(file.buffer);
  view.setUint32(end + 12, 2 ** 31, true);
  let most = 0;
  const source = {
    name: "archive",
    size: 2 ** 32,
    read(begin: number, stop: number) {
      most = Math.max(most, stop - begin);
      const window = new Uint8Array(stop - begin);
      const start = 2 ** 32 - file.length;
      if (stop > start) {
        const from = Math.max(begin, start);
        window.set(file.subarray(from - start, stop - start), from - begin);
      }
      return Promise.resolve(window);
    },
  };
  const outcome = await openZip(source, refuse).catch((error) => error);
  assert.instance(outcome, UserError);
  assert.ok(most <= 2 ** 22, `read ${most} bytes at once`);
});

test("a failure to read is passed on as it is", async () => {
  const failure = new Error("connection lost");
  const source = { name: "archive", size: 1000, read: () => Promise.reject(failure) };
  assert.is(await openZip(source, refuse).catch((error) => error), failure);
});

test.run();
