/**
 * What somebody sees who types nothing but `deno task train`: the embedded model learns the embedded
 * tasks. The same command with fewer steps and tests, so that it takes less than a minute on a software adapter.
 */

import { suite } from "uvu";
import * as assert from "uvu/assert";

const test = suite("the default run");

const script = new URL("../../cli/train.ts", import.meta.url).pathname;

type Scores = Record<string, Record<string, number>>;

test("the embedded model beats the majority on 50 tests of each task by 10 points on average", async () => {
  const directory = await Deno.makeTempDir();
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "-A",
      script,
      "--json",
      "--steps",
      "60",
      "--eval-every",
      "0",
      "--test-limit",
      "50",
    ],
    cwd: directory,
  }).output();
  assert.ok(success, new TextDecoder().decode(stderr));
  const lines = new TextDecoder().decode(stdout).trim().split("\n").map((line) => JSON.parse(line));
  await Deno.remove(directory, { recursive: true });

  const losses = lines.filter((line) => "loss" in line).map(({ loss }) => loss as number);
  const mean = (values: number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
  assert.is(losses.length, 60);
  assert.ok(mean(losses.slice(-20)) < 0.6 * mean(losses.slice(0, 20)), `losses ${losses}`);

  const { test: scores, majority } = lines.at(-1) as { test: Scores; majority: Scores };
  assert.is(Object.keys(scores).length, 6);
  const average = (of: Scores) => mean(Object.values(of).map((task) => mean(Object.values(task))));
  const gain = average(scores) - average(majority);
  assert.ok(gain >= 10, `gain ${gain}: ${JSON.stringify(scores)}`);
});

test.run();
