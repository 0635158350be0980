import { suite } from "uvu";
import * as assert from "uvu/assert";
import { showLoading } from "../../../cli/frame/loading.ts";

const test = suite("frame/loading");

/** What is said while a model of 248 M parameters loads in `parts` parts of `seconds` each. */
async function linesOf(parts: number, seconds: number): Promise<string[]> {
  const lines: string[] = [];
  let time = 7000;
  const total = 247_577_856;
  const result = await showLoading((onProgress) => {
    for (let part = 1; part <= parts; part++) {
      time += seconds * 1000;
      onProgress({ done: total * part / parts, total, bytes: 4 * total });
    }
    return Promise.resolve("loaded");
  }, { print: (line) => lines.push(line), now: () => time });
  assert.is(result, "loaded");
  return lines;
}

test("the faster a model loads, the less is said", async () => {
  assert.equal(await linesOf(10, 0.05), []);
  assert.equal(await linesOf(10, 0.23), ["Loaded 248 M parameters (0.99 GB) in 2.3 s"]);
  assert.equal(await linesOf(10, 2.5), [
    "loading 50/248  M parameters",
    "loading 149/248  M parameters",
    "loading 248/248  M parameters",
    "Loaded 248 M parameters (0.99 GB) in 25.0 s",
  ]);
});

test("an error on the way is passed on, and nothing was loaded", async () => {
  const lines: string[] = [];
  const failing = showLoading(
    () => Promise.reject(new Error("the disk is gone")),
    { print: (line) => lines.push(line) },
  );
  assert.is((await failing.then(() => undefined, (error) => error)).message, "the disk is gone");
  assert.equal(lines, []);
});

test.run();
