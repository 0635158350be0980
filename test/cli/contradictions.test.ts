/** Arguments that contradict each other, or that there is no place for, are refused in one sentence. */

import type { Command } from "commander";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { benchCommand } from "../../cli/bench.ts";
import { evalCommand } from "../../cli/eval.ts";
import { exportCommand } from "../../cli/export.ts";
import { generateCommand } from "../../cli/generate.ts";
import { paramsCommand } from "../../cli/params.ts";
import { pretrainCommand } from "../../cli/pretrain.ts";
import { trainCommand } from "../../cli/train.ts";
import { verifyCommand } from "../../cli/verify.ts";
import { testDevice } from "../graph/device.ts";
import { adaptedConfig, adaptedTensors } from "../train/adapted-model.ts";
import { writeTinyModel } from "../train/tiny-model.ts";
import { refusal } from "./refusal.ts";

/** A scratch directory with a model that stands alone, and a run that was begun without --tune. */
const test = suite<{ directory: string }>("cli/contradictions");

test.before(async (context) => {
  context.directory = await Deno.makeTempDir();
  await Deno.mkdir(`${context.directory}/model`);
  const config = adaptedConfig("manual", "generated");
  await writeTinyModel(`${context.directory}/model`, config, adaptedTensors(config));
  const both = JSON.stringify({ steps: 5, epochs: 1 });
  await Deno.writeTextFile(`${context.directory}/both.json`, both);
});
test.after((context) => Deno.remove(context.directory, { recursive: true }));

const refused: readonly [command: () => Command, args: string, message: RegExp][] = [
  [trainCommand, "--continue", /^--continue goes on with the run in --out: say where that is$/],
  [trainCommand, "--profile --steps 0", /^--profile measures an update/],
  [trainCommand, "--steps 5 --epochs 1", /'--epochs <count>' cannot be used with .*'--steps/],
  [trainCommand, "--config @/both.json", /^@\/both\.json says both "steps" and "epochs"/],
  [trainCommand, "--resume a --out b", /^--resume a and --out b name two runs/],
  [evalCommand, "--checkpoint @/model --run a", /^--checkpoint names one checkpoint: leave out/],
  [
    evalCommand,
    "--checkpoint @/model --backbone @/model",
    /^@\/model is whole by itself: leave --b/,
  ],
  [generateCommand, "text --model @/model --which best", /^--model names one model: leave out/],
  [generateCommand, "text --model @/model --backbone @/model", /^@\/model is whole by itself/],
  [
    generateCommand,
    "text --model @/model --task rte",
    /do not depend on a task: leave --task out$/,
  ],
  [generateCommand, "text --model @/model --beams 2 --sample", /cannot be combined/],
  [generateCommand, "text --model @/model --seed 1", /belong to --sample/],
  [
    exportCommand,
    "--out @/x --checkpoint @/model --backbone @/model",
    /^@\/model is whole by itself/,
  ],
  [exportCommand, "--out @/x --checkpoint @/model --mean", /^--mean is about adapters: say/],
  [benchCommand, "train --checkpoint 50", /^--checkpoint is about the section load: add it/],
  [benchCommand, "load --peers", /^--peers compares kernels, attention, train and generate/],
];

test("flags that contradict each other", async ({ directory }) => {
  for (const [command, args, message] of refused) {
    assert.match(await refusal(command(), args, directory), message);
  }
});

test("a pretraining is not continued with other options", async ({ directory }) => {
  const options = "--model @/model --batch-size 2 --steps 1 --out @/pretrained";
  const { error } = console;
  console.error = () => {};
  try {
    const words = options.replaceAll("@", directory).split(" ");
    await pretrainCommand(testDevice).parseAsync(words, { from: "user" });
    assert.is(
      await refusal(pretrainCommand(testDevice), `${options} --seed 9`, directory),
      "seed is 9 here, but @/pretrained was begun with 1: say that again, or give another --out",
    );
  } finally {
    console.error = error;
  }
});

test("arguments that there is no place for", async ({ directory }) => {
  const commands = { trainCommand, evalCommand, exportCommand, paramsCommand, pretrainCommand };
  for (const [name, command] of Object.entries(commands)) {
    const out = name === "exportCommand" ? "--out @/x " : "";
    const message = await refusal(command(), `${out}extra`, directory);
    assert.match(message, /^error: too many arguments/, name);
  }
  assert.match(await refusal(generateCommand(), "one two", directory), /too many arguments/);
  assert.match(await refusal(benchCommand(), "load lode", directory), /'lode' is invalid/);
  assert.match(await refusal(verifyCommand(), "@/nowhere", directory), /nowhere/);
});

test.run();
