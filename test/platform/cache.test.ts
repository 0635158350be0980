import { suite } from "uvu";
import * as assert from "uvu/assert";
import { cachedDirectory } from "../../src/platform/cache.ts";

const test = suite("cache");

let home: string;
let previous: string | undefined;

test.before.each(async () => {
  home = await Deno.makeTempDir();
  previous = Deno.env.get("XDG_CACHE_HOME");
  Deno.env.set("XDG_CACHE_HOME", home);
});

test.after.each(async () => {
  if (previous === undefined) Deno.env.delete("XDG_CACHE_HOME");
  else Deno.env.set("XDG_CACHE_HOME", previous);
  await Deno.remove(home, { recursive: true });
});

test("fills a directory once", async () => {
  let fills = 0;
  const fill = async (directory: string) => {
    fills++;
    await Deno.writeTextFile(`${directory}/driver`, "whole");
  };
  const first = await cachedDirectory("driver-1", fill);
  const second = await cachedDirectory("driver-1", fill);
  assert.is(first, second);
  assert.is(await Deno.readTextFile(`${first}/driver`), "whole");
  assert.is(fills, 1);
});

test("leaves nothing behind when filling fails, and can be tried again", async () => {
  const fail = () => Promise.reject(new Error("no network"));
  let message = "";
  await cachedDirectory("driver-1", fail).catch((error: Error) => message = error.message);
  assert.is(message, "no network");
  assert.equal([...Deno.readDirSync(`${home}/hyperdecoder`)], []);
  const directory = await cachedDirectory("driver-1", () => Promise.resolve());
  assert.ok((await Deno.stat(directory)).isDirectory);
});

test("of several that fill it at once one wins, and all get it whole", async () => {
  const fill = (directory: string) => Deno.writeTextFile(`${directory}/driver`, "whole");
  const all = await Promise.all([1, 2, 3].map(() => cachedDirectory("driver-1", fill)));
  assert.is(new Set(all).size, 1);
  assert.is(await Deno.readTextFile(`${all[0]}/driver`), "whole");
  assert.is([...Deno.readDirSync(`${home}/hyperdecoder`)].length, 1);
});

test.run();
