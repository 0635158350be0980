import { suite } from "uvu";
import * as assert from "uvu/assert";
import { UserError } from "../../src/errors.ts";
import { Parameters } from "../../src/graph/parameters.ts";
import {
  createOptimizer,
  learningRates,
  optimizerDefaults,
  type OptimizerSettings,
} from "../../src/train/optimizer-settings.ts";
import { testDevice } from "../graph/device.ts";

const test = suite("optimiser settings");

const settings = (said: Partial<OptimizerSettings>): OptimizerSettings => ({
  ...optimizerDefaults,
  learningRate: 0.1,
  warmupSteps: 2,
  ...said,
});

test("each optimiser keeps the state that its settings need", async () => {
  const gpu = await testDevice();
  const shapes = { matrix: [3, 5], "a.bias": [7] };
  const parameters = new Parameters(
    gpu,
    Object.entries(shapes).map(([name, shape]) => ({ name, shape, trainable: true })),
  );
  const stateOf = (said: Partial<OptimizerSettings>) => {
    const optimizer = createOptimizer(parameters, settings(said));
    const { stateShapes } = optimizer;
    optimizer.destroy();
    return [...stateShapes.keys()].sort();
  };
  const moments = ["first_moment", "second_moment"];
  const adam = moments.flatMap((moment) => [`${moment}.a.bias`, `${moment}.matrix`]);
  assert.equal(stateOf({}), adam);
  assert.equal(stateOf({ optimizer: "adamw-torch" }), adam);
  const factored = ["column_moment.matrix", "row_moment.matrix", "second_moment.a.bias"];
  assert.equal(stateOf({ optimizer: "adafactor" }), factored);
  assert.equal(
    stateOf({ optimizer: "adafactor", adafactorBeta1: 0.9 }),
    ["column_moment.matrix", "first_moment.a.bias", "first_moment.matrix", ...factored.slice(1)],
  );
  parameters.destroy();
});

test("the learning rate is the schedule's, or Adafactor's own", () => {
  const rates = (said: Partial<OptimizerSettings>) =>
    [0, 1, 2, 4].map(learningRates(settings(said), 6));
  assert.equal(rates({ schedule: "constant" }), [0.1, 0.1, 0.1, 0.1]);
  assert.equal(rates({ schedule: "constant-with-warmup" }), [0, 0.05, 0.1, 0.1]);
  assert.ok(Math.abs(rates({ schedule: "polynomial", scheduleEnd: 0.05 })[3] - 0.075) < 1e-12);
  assert.equal(rates({ schedule: "cosine-with-restarts", scheduleCycles: 2 })[3], 0.1);
  const own = { optimizer: "adafactor", adafactorRelativeStep: true } as const;
  assert.equal(rates(own), [0.01, 0.01, 0.01, 0.01]);
  assert.equal(rates({ ...own, adafactorWarmupInit: true }), [1, 2, 3, 5].map((t) => 1e-6 * t));
});

test("settings that contradict each other are refused by the names of their flags", () => {
  const refused: [Partial<OptimizerSettings>, RegExp][] = [
    [{ schedule: "polynomial", scheduleEnd: 0.1 }, /--schedule-end is 0\.1, .* --learning-rate/],
    [
      { optimizer: "adafactor", adafactorWarmupInit: true },
      /--adafactor-warmup-init needs --adafactor-relative-step/,
    ],
  ];
  for (const [said, message] of refused) {
    assert.throws(
      () => learningRates(settings(said), 6),
      (error: Error) => error instanceof UserError && message.test(error.message),
    );
  }
});

test.run();
