import { suite } from "uvu";
import * as assert from "uvu/assert";
import { compile } from "../../src/graph/compile.ts";
import { input } from "../../src/graph/leaves.ts";
import { Parameters } from "../../src/graph/parameters.ts";
import type { Tensor } from "../../src/graph/tensor.ts";
import { AdamW } from "../../src/optim/adamw.ts";
import { testDevice } from "../graph/device.ts";

const test = suite("AdamW over slabs");

const initial = Float32Array.of(1, -2, 3);

/** Updates once with a gradient for some of the parameters, all of which start from `initial`. */
async function updateOnce(names: string[], withGradient: string[]) {
  const gpu = await testDevice();
  const parameters = new Parameters(
    gpu,
    names.map((name) => ({ name, shape: [initial.length], trainable: true })),
  );
  for (const name of names) parameters.write(name, initial);
  const optimizer = new AdamW(parameters, { weightDecay: 0.5 });
  const gradients = new Map<string, Tensor>(
    withGradient.map((name) => [name, input(`gradient of ${name}`, [initial.length])]),
  );
  const { effects } = optimizer.update(gradients, input("hyper", [optimizer.hyperLength]));
  const program = await compile(gpu, { outputs: {}, effects });
  const given = withGradient.map((name) => [`gradient of ${name}`, Float32Array.of(1, 1, -1)]);
  const hyper = optimizer.hyper({ learningRate: 0.1, step: 1 });
  await program.run({ hyper, ...Object.fromEntries(given) });
  const values = await parameters.read();
  program.destroy();
  optimizer.destroy();
  parameters.destroy();
  return values;
}

test("updates and then decays what has a gradient", async () => {
  const { weight } = Object.fromEntries(await updateOnce(["weight"], ["weight"]));
  // The first step of Adam is the learning rate in the gradient's direction; then 1 − 0.1 · 0.5.
  for (const [i, expected] of [0.9 * 0.95, -2.1 * 0.95, 3.1 * 0.95].entries()) {
    assert.ok(Math.abs(weight[i] - expected) < 1e-5, `${weight[i]} instead of ${expected}`);
  }
});

test("leaves biases undecayed", async () => {
  const { bias } = Object.fromEntries(await updateOnce(["bias"], ["bias"]));
  assert.ok(Math.abs(bias[0] - 0.9) < 1e-5, `${bias[0]}`);
});

test("leaves a parameter without gradient as it is, in spite of weight decay", async () => {
  const values = await updateOnce(["used", "unused"], ["used"]);
  assert.equal(values.get("unused"), initial);
  assert.not.equal(values.get("used"), initial);
});

test.run();
