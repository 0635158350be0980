import { suite } from "uvu";
import * as assert from "uvu/assert";
import { parseConfig } from "../../models/config.ts";
import { isAdapterParameter, parameterInventory } from "../../models/inventory.ts";
import { type Batch, collate } from "../../src/data/batch.ts";
import { Parameters } from "../../src/graph/parameters.ts";
import { drawParameter } from "../../src/train/initialise.ts";
import { createOptimizer, optimizerDefaults } from "../../src/train/optimizer-settings.ts";
import { TrainingStep } from "../../src/train/training-step.ts";
import { testDevice } from "../graph/device.ts";
import { tinyConfig } from "./tiny-model.ts";

const test = suite("training-step");

const config = parseConfig({
  ...tinyConfig,
  encoder_adapter: "manual",
  decoder_adapter: "generated",
  encoder_adapter_dim: 4,
  decoder_adapter_dim: 4,
  hypernetwork_bottleneck: 8,
}, "config.json");

/** An encoded example with a target of so many ids; its texts depend on the seed alone. */
function row(targetLength: number, seed: number) {
  const ids = (
    length: number,
  ) => [...Array.from({ length: length - 1 }, (_, i) => 10 + (i * 37 + seed * 101) % 1900), 1];
  return { task: "x", source: ids(8), target: ids(targetLength), truncated: 0 };
}

const [short, long] = [row(3, 1), row(16, 2)];
const [together, apart] = [[collate([short, long])], [collate([short]), collate([long])]];

type Losses = Pick<TrainingStep["settings"], "lossReduction" | "accumulateMean">;

/** Parameters and the norm of the gradients after one update with AdamW or Adafactor. */
async function updated(
  batches: readonly Batch[],
  losses: Losses,
  optimizer: "adamw" | "adafactor" = "adamw",
  parts = 1,
) {
  const inventory = parameterInventory(config);
  const parameters = new Parameters(
    await testDevice(),
    inventory.map((each) => ({ ...each, trainable: isAdapterParameter(each.name) })),
  );
  for (const each of inventory) parameters.write(each.name, drawParameter(each, 3));
  const settings = { ...optimizerDefaults, learningRate: 0.01, warmupSteps: 0, maxGradNorm: 0 };
  const step = new TrainingStep(
    config,
    parameters,
    createOptimizer(parameters, { ...settings, optimizer }),
    { labelSmoothing: 0, dropoutRate: 0, accumulate: batches.length, seed: 0, ...losses },
  );
  if (parts > 1) {
    const [shape] = batches;
    assert.is(step.fit(shape, step.bytesFor(shape, { parts, recompute: true })).parts, parts);
  }
  await step.run(batches, 0, { learningRate: 0.01 });
  const [{ gradNorm, targetTokens }] = await step.readLog(0, 1);
  const values = await parameters.read(parameters.trainable);
  await step.destroy();
  assert.is(targetTokens, 19);
  return { gradNorm, values };
}

function near(actual: number, expected: number): void {
  assert.ok(Math.abs(actual / expected - 1) < 1e-5, `${actual}, not ${expected}`);
}

test("a mean loss is that of all target tokens, however they are spread over batches", async () => {
  const mean: Losses = { lossReduction: "mean" };
  for (const optimizer of ["adamw", "adafactor"] as const) {
    const whole = await updated(together, mean, optimizer);
    for (
      const other of [
        await updated(apart, mean, optimizer),
        await updated(together, mean, optimizer, 2),
      ]
    ) {
      near(other.gradNorm, whole.gradNorm);
      for (const [name, values] of whole.values) {
        const worst = other.values.get(name)!
          .reduce((most, value, i) => Math.max(most, Math.abs(value - values[i])), 0);
        assert.ok(worst < 1e-4, `${optimizer} ${name}: ${worst}`);
      }
    }
  }
});

test("the mean of batches' means counts tokens of short targets more, as it always did", async () => {
  const norms = async (batches: readonly Batch[]) => {
    const of = async (losses: Losses) => (await updated(batches, losses)).gradNorm;
    return {
      sum: await of({ lossReduction: "sum" }),
      tokens: await of({ lossReduction: "mean", accumulateMean: "tokens" }),
      batches: await of({ lossReduction: "mean", accumulateMean: "batches" }),
    };
  };
  const [one, two] = [await norms(together), await norms(apart)];
  assert.is(one.batches, one.tokens);
  near(two.sum, one.sum / 2);
  near(two.tokens, one.sum / 19);
  assert.ok(two.batches > 1.2 * two.tokens, `${two.batches}, ${two.tokens}`);
});

test.run();
