import { suite } from "uvu";
import * as assert from "uvu/assert";
import { compile } from "../../src/graph/compile.ts";
import { input } from "../../src/graph/leaves.ts";
import type { Parameters } from "../../src/graph/parameters.ts";
import { type Shape, size } from "../../src/graph/tensor.ts";
import { Adafactor } from "../../src/optim/adafactor.ts";
import { AdamW } from "../../src/optim/adamw.ts";
import type { Optimizer } from "../../src/optim/optimizer.ts";
import { testDevice } from "../graph/device.ts";
import { assertClose } from "../graph/ops/check.ts";
import { drawn, initialValues, updates, withBindings } from "./updates.ts";

/** What training relies on, whichever optimiser it has. */
const test = suite("optimisers");
const gpu = withBindings(await testDevice(), 1 << 12);

const shapes: Record<string, Shape> = {
  matrix: [5, 67],
  unused: [3, 4],
  bias: [700],
  stack: [2, 3, 100],
  "also unused": [9],
};
const skipped = ["unused", "also unused"];
const used = Object.fromEntries(
  Object.entries(shapes).filter(([name]) => !skipped.includes(name)),
);

const optimizers: Record<string, (parameters: Parameters) => Optimizer> = {
  AdamW: (parameters) => new AdamW(parameters, { weightDecay: 0.1, maxNorm: 1 }),
  "PyTorch's AdamW": (parameters) => new AdamW(parameters, { weightDecay: 0.1, form: "pytorch" }),
  Adafactor: (parameters) => new Adafactor(parameters, { weightDecay: 0.1, maxNorm: 1 }),
  "Adafactor with a first moment": (parameters) =>
    new Adafactor(parameters, { beta1: 0.9, scaleParameter: true }),
};

for (const [name, create] of Object.entries(optimizers)) {
  test(`${name} leaves a parameter without gradient and its state as they are`, async () => {
    const { parameters, optimizer, run, destroy } = await updates(gpu, shapes, create, { skipped });
    assert.ok(parameters.slabs.length > 1);
    await run(drawn(used, 2, 1));
    const values = await parameters.read();
    for (const [name, initial] of Object.entries(initialValues(shapes))) {
      const isSame = values.get(name)!.every((value, i) => value === initial[i]);
      assert.is(isSame, skipped.includes(name), name);
    }
    for (const [name, state] of await optimizer.readState()) {
      const isZero = state.every((value) => value === 0);
      assert.is(isZero, skipped.some((parameter) => name.endsWith(`.${parameter}`)), name);
    }
    destroy();
  });

  test(`${name} goes on from its saved state bit for bit`, async () => {
    const whole = await updates(gpu, shapes, create, { skipped });
    for (const seed of [2, 3, 4]) await whole.run(drawn(used, seed, 1));

    const first = await updates(gpu, shapes, create, { skipped });
    for (const seed of [2, 3]) await first.run(drawn(used, seed, 1));
    const [values, state] = [await first.parameters.read(), await first.optimizer.readState()];
    const lengths = new Map(Array.from(state, ([name, values]) => [name, values.length]));
    const shapesOfState = first.optimizer.stateShapes;
    assert.equal(lengths, new Map(Array.from(shapesOfState, ([name, s]) => [name, size(s)])));
    first.destroy();

    const second = await updates(gpu, shapes, create, { skipped, step: 2 });
    for (const [name, value] of values) second.parameters.write(name, value);
    second.optimizer.writeState(state);
    await second.run(drawn(used, 4, 1));
    assert.equal(await second.parameters.read(), await whole.parameters.read());
    assert.equal(await second.optimizer.readState(), await whole.optimizer.readState());
    second.destroy();
    whole.destroy();
  });

  test(`${name} updates with the sum of micro-batches`, async () => {
    const summed = await updates(gpu, shapes, create, { skipped });
    const { optimizer, parameters } = summed;
    const leaves = new Map(Object.entries(used).map(([name, shape]) => [name, input(name, shape)]));
    const accumulation = await compile(gpu, {
      outputs: {},
      effects: optimizer.accumulate(leaves, input("keep", [1])),
    });
    const hyper = input("hyper", [optimizer.hyperLength]);
    const update = await compile(gpu, {
      outputs: {},
      effects: optimizer.updateFromSum(hyper).effects,
    });
    const parts = [2, 3].map((seed) => drawn(used, seed, 1));
    for (const [i, part] of parts.entries()) {
      accumulation.submit({ keep: Float32Array.of(i), ...part });
    }
    await update.run({ hyper: optimizer.hyper({ learningRate: 0.01, step: 1 }) });

    const whole = await updates(gpu, shapes, create, { skipped });
    const total = Object.keys(used).map((name) => [
      name,
      parts[0][name].map((value, i) => value + parts[1][name][i]),
    ]);
    await whole.run(Object.fromEntries(total));
    const expected = await whole.parameters.read();
    for (const [name, values] of await parameters.read()) {
      assertClose(values, expected.get(name)!, { absolute: 1e-6, what: name });
    }
    for (const { destroy } of [summed, whole]) destroy();
    accumulation.destroy();
    update.destroy();
  });

  test(`${name} scales gradients before it clips them`, async () => {
    const results = [];
    for (const gradientScale of [1, 0.125]) {
      const { parameters, optimizer, destroy } = await updates(gpu, shapes, create, { skipped });
      const leaves = new Map(
        Object.entries(used).map(([name, shape]) => [name, input(name, shape)]),
      );
      const { effects } = optimizer.update(leaves, input("hyper", [optimizer.hyperLength]));
      const program = await compile(gpu, { outputs: {}, effects });
      const hyper = optimizer.hyper({ learningRate: 0.01, step: 1, gradientScale });
      await program.run({ hyper, ...drawn(used, 2, 1 / gradientScale) });
      results.push(await parameters.read());
      program.destroy();
      destroy();
    }
    // A power of two scales without rounding.
    assert.equal(results[0], results[1]);
  });
}

test.run();
