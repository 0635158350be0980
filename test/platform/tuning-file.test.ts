import { suite } from "uvu";
import * as assert from "uvu/assert";
import { UserError } from "../../src/errors.ts";
import { compile } from "../../src/graph/compile.ts";
import { input } from "../../src/graph/leaves.ts";
import { matmul } from "../../src/graph/ops/matmul.ts";
import { tuningOf, useTuning } from "../../src/graph/tuning.ts";
import {
  runTuningFile,
  tuneLikeRun,
  tuneMachine,
  tuningFile,
} from "../../src/platform/tuning-file.ts";
import { testDevice } from "../graph/device.ts";

const test = suite("platform/tuning-file");
const gpu = await testDevice();
const cache = Deno.env.get("XDG_CACHE_HOME");
let directory = "";

test.before.each(async () => {
  directory = await Deno.makeTempDir();
  Deno.env.set("XDG_CACHE_HOME", directory);
});

test.after.each(async () => {
  useTuning(gpu, undefined);
  if (cache === undefined) Deno.env.delete("XDG_CACHE_HOME");
  else Deno.env.set("XDG_CACHE_HOME", cache);
  await Deno.remove(directory, { recursive: true });
});

async function compileProduct(rows: number): Promise<void> {
  const y = matmul(input("a", [rows, 40]), input("b", [40, 20]));
  (await compile(gpu, { outputs: { y } })).destroy();
}

test("what one process measured, the next finds", async () => {
  await tuneMachine(gpu);
  await compileProduct(24);
  const { choices } = tuningOf(gpu)!;
  assert.is(Object.keys(choices).length, 1);
  await tuneMachine(gpu);
  assert.equal(tuningOf(gpu)!.choices, choices);
});

test("a run goes on with the choices that it was begun with, not with the machine's", async () => {
  const run = `${directory}/run`;
  await tuneMachine(gpu);
  await tuningOf(gpu)!.keepIn(runTuningFile(gpu, run));
  await compileProduct(24);
  const begun = tuningOf(gpu)!.choices;

  await tuneMachine(gpu);
  await compileProduct(100);
  assert.is(Object.keys(tuningOf(gpu)!.choices).length, 2);

  await tuneLikeRun(gpu, run);
  assert.equal(tuningOf(gpu)!.choices, begun);
  await compileProduct(200);
  const grown = tuningOf(gpu)!.choices;
  await tuneLikeRun(gpu, run);
  assert.equal(tuningOf(gpu)!.choices, grown);
});

test("a run that was begun without choices goes on without any", async () => {
  await tuneMachine(gpu);
  await tuneLikeRun(gpu, directory);
  assert.is(tuningOf(gpu), undefined);
});

test("a file that is no table of choices is named", async () => {
  const path = `${directory}/tuning.json`;
  for (const text of ["", "[1", "{}", '{"choices": {"a": 1}}']) {
    await Deno.writeTextFile(path, text);
    try {
      await tuningFile(path, gpu).read();
      assert.unreachable(text);
    } catch (error) {
      assert.instance(error, UserError);
      assert.ok((error as Error).message.includes(`${path} is no table of kernel choices`));
    }
  }
});

test.run();
