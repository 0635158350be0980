import { suite } from "uvu";
import * as assert from "uvu/assert";
import { UserError } from "../../src/errors.ts";
import { publish, type Staging } from "../../src/platform/staging.ts";

/** A scratch directory. */
const test = suite<{ directory: string }>("staged directories");

test.before.each(async (context) => {
  context.directory = await Deno.makeTempDir();
});
test.after.each((context) => Deno.remove(context.directory, { recursive: true }));

const encode = (text: string) => new TextEncoder().encode(text);

async function* parts(...texts: string[]) {
  for (const text of texts) yield await Promise.resolve(encode(text));
}

/** All files below a directory with their texts. */
async function contents(root: string, prefix = ""): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  for await (const { name, isDirectory } of Deno.readDir(`${root}/${prefix}`)) {
    if (isDirectory) Object.assign(found, await contents(root, `${prefix}${name}/`));
    else found[prefix + name] = await Deno.readTextFile(`${root}/${prefix}${name}`);
  }
  return found;
}

async function fill({ write }: Staging): Promise<void> {
  assert.is(await write("a.json", "{}"), 2);
  assert.is(await write("deep/b.bin", parts("one ", "two")), 7);
  await write("c.bin", encode("three"));
}

const whole = { "a.json": "{}", "deep/b.bin": "one two", "c.bin": "three" };

test("a directory appears with all its files, in a new place or an empty one", async ({ directory }) => {
  await publish(`${directory}/new/deeper/`, {}, fill);
  assert.equal(await contents(`${directory}/new/deeper`), whole);
  await Deno.mkdir(`${directory}/empty`);
  await publish(`${directory}/empty`, {}, fill);
  assert.equal(await contents(directory), {
    ...prefixed("new/deeper/", whole),
    ...prefixed("empty/", whole),
  });
});

test("nothing is there before all of it is", async ({ directory }) => {
  await publish(`${directory}/out`, {}, async (staging) => {
    await fill(staging);
    const visible = await Array.fromAsync(Deno.readDir(directory), ({ name }) => name);
    assert.not(visible.includes("out"));
  });
});

test("what is stopped or fails leaves nothing", async ({ directory }) => {
  const controller = new AbortController();
  const { signal } = controller;
  const stopped = publish(`${directory}/out`, { signal }, async ({ write }) => {
    await write("first", "whole");
    await write(
      "second",
      (async function* () {
        yield await Promise.resolve(encode("begun"));
        controller.abort(new Error("stopped"));
        yield encode("never");
      })(),
    );
  });
  assert.is((await stopped.then(() => undefined, (error) => error)).message, "stopped");
  const broken = publish(`${directory}/out`, {}, async ({ write }) => {
    await write("first", "whole");
    throw new Error("broken");
  });
  assert.is((await broken.then(() => undefined, (error) => error)).message, "broken");
  assert.equal(await contents(directory), {});
  assert.equal(await Array.fromAsync(Deno.readDir(directory)), []);
});

test("a directory that is not empty is refused, or keeps what is not replaced", async ({ directory }) => {
  await Deno.writeTextFile(`${directory}/mine`, "keep");
  await Deno.writeTextFile(`${directory}/a.json`, "old");
  const error = await publish(directory, {}, fill).then(() => undefined, (error) => error);
  assert.instance(error, UserError);
  assert.match(error.message, /is there and not empty: give another directory, or --force/);
  assert.equal(await contents(directory), { mine: "keep", "a.json": "old" });
  await publish(directory, { replace: true }, fill);
  assert.equal(await contents(directory), { mine: "keep", ...whole });
});

function prefixed(prefix: string, files: Record<string, string>): Record<string, string> {
  return Object.fromEntries(Object.entries(files).map(([file, text]) => [prefix + file, text]));
}

test.run();
