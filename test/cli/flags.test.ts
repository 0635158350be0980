/**
 * Every flag of every command does something: what is seen with it is not what is seen without.
 *
 * The tables are in `flags/`, one for each command. A flag that has no place in its command's table fails
 * the first of these tests.
 */

import { suite } from "uvu";
import * as assert from "uvu/assert";
import { tune } from "../../cli/frame/tuning.ts";
import { tuningOf } from "../../src/graph/tuning.ts";
import { countedDevice, type Observation, observe } from "./flags/observe.ts";
import { writePlaces } from "./flags/places.ts";
import { bench, params, pretrain, verify } from "./flags/others.ts";
import { evaluation, exporting, generation } from "./flags/scoring.ts";
import { train } from "./flags/train.ts";
import { checkNames, checkTable, checkTrial, type Trials } from "./flags/trial.ts";

const test = suite<{ directory: string }>("every flag");

const commands: Readonly<Record<string, Trials>> = {
  train,
  eval: evaluation,
  generate: generation,
  export: exporting,
  params,
  pretrain,
  verify,
  bench,
};

const here = Deno.cwd();

test.before(async (context) => {
  context.directory = await Deno.makeTempDir();
  await writePlaces(context.directory);
  Deno.chdir(context.directory); // where there is no run
  const begin = `--config @/base.json --out @/run --steps 2 --eval-every 1`;
  const { refusal } = await observe(train.command(), begin, context.directory);
  assert.is(refusal, undefined);
});
test.after(async (context) => {
  Deno.chdir(here);
  await Deno.remove(context.directory, { recursive: true });
});

for (const [name, trials] of Object.entries(commands)) {
  test(`every flag of deno task ${name} has a trial, and a value under its own name`, () => {
    checkTable(name, trials);
    checkNames(name, trials);
  });
}

test("--no-tune leaves kernels unmeasured on a GPU, where else they are measured", async () => {
  const gpu = await countedDevice();
  await tune({ ...gpu, isCpu: false }, { tune: false });
  assert.is(tuningOf(gpu), undefined);
});

for (const [name, trials] of Object.entries(commands)) {
  const known = new Map<string, Observation>();
  for (const [flag, trial] of Object.entries(trials.trials)) {
    test(`deno task ${name} ${flag}`, async ({ directory }) => {
      await checkTrial(trials, flag, trial, directory, known);
    });
  }
}

test.run();
