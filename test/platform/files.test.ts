import { suite } from "uvu";
import * as assert from "uvu/assert";
import { UserError } from "../../src/errors.ts";
import {
  appendLine,
  directorySource,
  exists,
  listDirectory,
  makeDirectory,
  openFile,
  readBytes,
  readText,
  remove,
  writeAtomic,
} from "../../src/platform/files.ts";

const test = suite<{ directory: string }>("files");

test.before.each(async (context) => {
  context.directory = await Deno.makeTempDir();
});
test.after.each((context) => Deno.remove(context.directory, { recursive: true }));

async function refuses(work: Promise<unknown>, message: string): Promise<void> {
  const error = await work.then(() => undefined, (error) => error);
  assert.instance(error, UserError);
  assert.is(error.message, message);
}

test("what is written atomically is read back, replaces what was there and leaves nothing else", async ({ directory }) => {
  const path = `${directory}/file`;
  await writeAtomic(path, "long old content");
  await writeAtomic(path, "näw");
  assert.is(await readText(path), "näw");
  const bytes = crypto.getRandomValues(new Uint8Array(60_000));
  await writeAtomic(path, bytes.subarray(7));
  assert.equal(await readBytes(path), bytes.subarray(7));
  assert.equal(await listDirectory(directory), ["file"]);
});

test("a failed write leaves the old file and nothing else", async ({ directory }) => {
  await makeDirectory(`${directory}/occupied/by`);
  await refuses(
    writeAtomic(`${directory}/occupied`, "x"),
    `cannot write ${directory}/occupied: it is a directory`,
  );
  assert.equal(await listDirectory(directory), ["occupied"]);
});

test("writes to one path at the same time leave one of them whole", async ({ directory }) => {
  const contents = ["a", "b", "c", "d"].map((letter) => letter.repeat(100_000));
  await Promise.all(contents.map((content) => writeAtomic(`${directory}/file`, content)));
  assert.ok(contents.includes(await readText(`${directory}/file`)));
  assert.equal(await listDirectory(directory), ["file"]);
});

test("lines are appended", async ({ directory }) => {
  await appendLine(`${directory}/log`, "one");
  await appendLine(`${directory}/log`, "two");
  assert.is(await readText(`${directory}/log`), "one\ntwo\n");
});

test("directories are made with those above them, and removed with what they hold", async ({ directory }) => {
  await makeDirectory(`${directory}/a/b`);
  await makeDirectory(`${directory}/a/b`);
  await writeAtomic(`${directory}/a/b/file`, "x");
  await remove(`${directory}/a`);
  assert.is(await exists(`${directory}/a`), false);
  assert.is(await exists(directory), true);
});

test("failures of the file system name the path and the reason", async ({ directory }) => {
  const missing = `${directory}/missing`;
  await refuses(readText(missing), `cannot read ${missing}: no such file or directory`);
  await refuses(readBytes(directory), `cannot read ${directory}: it is a directory`);
  await refuses(
    appendLine(`${missing}/log`, ""),
    `cannot write ${missing}/log: no such file or directory`,
  );
  await writeAtomic(`${directory}/file`, "");
  assert.is(await exists(`${directory}/file/below`), false);
  await refuses(
    makeDirectory(`${directory}/file/below`),
    `cannot make directory ${directory}/file/below: part of the path is not a directory`,
  );
});

test("any part of an open file can be read, at once with others", async ({ directory }) => {
  const path = `${directory}/file`;
  const bytes = crypto.getRandomValues(new Uint8Array(60_000));
  await writeAtomic(path, bytes);
  const file = await openFile(path);
  assert.equal([file.name, file.size], [path, 60_000]);
  const parts: [number, number][] = [[0, 60_000], [59_999, 60_000], [7, 7], [123, 45_678]];
  const read = await Promise.all(parts.map(([begin, end]) => file.read(begin, end)));
  assert.equal(read, parts.map(([begin, end]) => bytes.slice(begin, end)));
});

test("an open file that has changed is not read any more", async ({ directory }) => {
  const path = `${directory}/file`;
  const changed = `${path} was changed while it was being read: begin again`;
  await writeAtomic(path, "four");
  const file = await openFile(path);
  await Deno.utime(path, 1, 1);
  await refuses(file.read(0, 2), changed);
  const touched = await openFile(path);
  await Deno.truncate(path, 3);
  await refuses(touched.read(0, 2), changed);
  const truncated = await openFile(path);
  await refuses(truncated.read(0, 4), changed);
  await remove(path);
  await refuses(truncated.read(0, 1), `cannot read ${path}: no such file or directory`);
  await refuses(openFile(path), `cannot read ${path}: no such file or directory`);
});

test("a source reads by path relative to its directory", async ({ directory }) => {
  await makeDirectory(`${directory}/RTE`);
  await writeAtomic(`${directory}/RTE/train.tsv`, "index\n");
  const source = directorySource(directory);
  assert.is(await new Response(await source.stream("RTE/train.tsv")).text(), "index\n");
  assert.is(await source.exists("RTE/dev.tsv"), false);
});

test.run();
