import { suite } from "uvu";
import * as assert from "uvu/assert";
import { compile } from "../../../src/graph/compile.ts";
import { gradients } from "../../../src/graph/gradients.ts";
import { input } from "../../../src/graph/leaves.ts";
import { addBias } from "../../../src/graph/ops/add-bias.ts";
import { add } from "../../../src/graph/ops/add.ts";
import { dropout, dropoutAdd } from "../../../src/graph/ops/dropout.ts";
import { linear } from "../../../src/graph/ops/matmul.ts";
import { relu } from "../../../src/graph/ops/relu.ts";
import { ShapeError } from "../../../src/graph/tensor.ts";
import { testDevice } from "../device.ts";
import { assertClose, checkGradient, evaluate, operand } from "./check.ts";
import { contraction } from "./contraction.ts";
import { chosenVariants } from "./variants.ts";

const test = suite("dropout");

const seedOf = (...words: [number, number]) => ({ shape: [2], values: Uint32Array.from(words) });
const onesOf = (count: number) => ({ shape: [count], values: new Float32Array(count).fill(1) });

/** Which of `count` elements are kept. */
async function keptElements(
  count: number,
  rate: number,
  site: number,
  seed: [number, number],
): Promise<boolean[]> {
  const { y } = await evaluate(
    await testDevice(),
    { x: onesOf(count), seed: seedOf(...seed) },
    ({ x, seed }) => ({ y: dropout(x, { rate, seed, site }) }),
  );
  const scale = Math.fround(1 / (1 - rate));
  assert.ok(y.every((value) => value === 0 || Math.abs(value - scale) <= 1e-6 * scale));
  return Array.from(y, (value) => value !== 0);
}

function correlation(a: boolean[], b: boolean[]): number {
  const mean = (values: number[]) => values.reduce((sum, v) => sum + v, 0) / values.length;
  const [x, y] = [a.map(Number), b.map(Number)];
  const [mx, my] = [mean(x), mean(y)];
  const covariance = mean(x.map((v, i) => (v - mx) * (y[i] - my)));
  return covariance / Math.sqrt(mx * (1 - mx) * my * (1 - my));
}

// The bounds are five standard deviations of a fair generator; the outcome is always the same.
const COUNT = 40_000;
const NOISE = 5 / Math.sqrt(COUNT);

for (const rate of [0.01, 0.1, 0.5, 0.9]) {
  test(`drops a fraction of ${rate}, independently of the neighbours`, async () => {
    const kept = await keptElements(COUNT, rate, 3, [12, 34]);
    const fraction = kept.filter((k) => !k).length / COUNT;
    assert.ok(Math.abs(fraction - rate) < NOISE * Math.sqrt(rate * (1 - rate)), `${fraction}`);
    for (const distance of [1, 2, 4, 64, 128]) {
      const r = correlation(kept.slice(distance), kept.slice(0, -distance));
      assert.ok(Math.abs(r) < 1.01 * NOISE, `correlation ${r} at distance ${distance}`);
    }
  });
}

test("another seed, step or site drops other elements; the same ones drop the same", async () => {
  const base = await keptElements(COUNT, 0.5, 1, [7, 8]);
  assert.equal(await keptElements(COUNT, 0.5, 1, [7, 8]), base);
  for (const [site, seed] of [[1, [6, 8]], [1, [7, 9]], [2, [7, 8]]] as const) {
    const other = await keptElements(COUNT, 0.5, site, [...seed]);
    assert.ok(Math.abs(correlation(base, other)) < NOISE, `site ${site}, seed ${seed}`);
  }
});

for (const count of [1, 3, 130]) {
  test(`the gradient of ${count} elements passes the same mask`, async () => {
    const operands = { x: operand([count], 1), dy: operand([count], 2), seed: seedOf(1, 2) };
    const { y, dx, ones } = await evaluate(
      await testDevice(),
      { ...operands, one: onesOf(count) },
      ({ x, dy, seed, one }) => {
        const options = { rate: 0.4, seed, site: 5 };
        const y = dropout(x, options);
        const [dx] = gradients(contraction(y, dy), [x]);
        return { y, dx: dx!, ones: dropout(one, options) };
      },
    );
    assertClose(y, operands.x.values.map((x, i) => x * ones[i]), { what: "y" });
    assertClose(dx, operands.dy.values.map((dy, i) => dy * ones[i]), { what: "dx" });
  });
}

test("an addition after it joins its kernel, on either side, with the same values", async () => {
  const gpu = await testDevice();
  const x = input("x", [33]);
  const residual = input("residual", [33]);
  const seed = input("seed", [2], "u32");
  const options = { rate: 0.3, seed, site: 9 };
  const given = {
    x: operand([33], 1).values,
    residual: operand([33], 2).values,
    seed: Uint32Array.of(3, 4),
  };
  const separate = await compile(gpu, { outputs: { y: dropout(x, options) } });
  const { y: dropped } = await separate.run({ x: given.x, seed: given.seed }, ["y"]);
  const expected = dropped.map((value, i) => value + given.residual[i]);
  const sums = [
    add(dropout(x, options), residual),
    add(residual, dropout(x, options)),
    dropoutAdd(x, residual, options),
  ];
  for (const y of sums) {
    const program = await compile(gpu, { outputs: { y } });
    assert.is(program.dispatchCount, 1);
    assertClose((await program.run(given, ["y"])).y, expected);
  }
});

/** [batch, rows, k, n]: a few rows, awkward ones, whole vec4s, a split k. */
const products = [[1, 1, 3, 1], [2, 2, 8, 12], [3, 5, 7, 13], [1, 33, 70, 65], [2, 16, 2050, 12]];
for (const [name, gpu] of chosenVariants(await testDevice())) {
  test(`${name}: joins the product before it, with the same mask`, async () => {
    for (const [batch, rows, k, n] of products) {
      const operands = {
        x: operand([batch, rows, k], 1),
        weight: operand([n, k], 2),
        residual: operand([batch, rows, n], 3),
        seed: seedOf(5, 6),
      };
      const given = Object.fromEntries(
        Object.entries(operands).map(([name, { values }]) => [name, values]),
      );
      const leaves = {
        x: input("x", [batch, rows, k]),
        weight: input("weight", [n, k]),
        residual: input("residual", [batch, rows, n]),
        seed: input("seed", [2], "u32"),
      };
      const product = linear(leaves.x, leaves.weight);
      const options = { rate: 0.4, seed: leaves.seed, site: 2 };
      const sum = dropoutAdd(product, leaves.residual, options);
      const alone = await compile(gpu, { outputs: { product } });
      const joint = await compile(gpu, { outputs: { sum } });
      // What is read for itself cannot be absorbed.
      const separate = await compile(gpu, { outputs: { product, sum } });
      assert.is(joint.dispatchCount, alone.dispatchCount);
      assert.is(separate.dispatchCount, alone.dispatchCount + 1);
      const [actual, expected] = [
        await joint.run(given, ["sum"]),
        await separate.run(given, ["product", "sum"]),
      ];
      assertClose(actual.sum, expected.sum, { what: `[${batch}, ${rows}, ${k}, ${n}]` });

      const { residual: _, ...others } = given;
      const dropped = dropout(product, options);
      const masked = await compile(gpu, { outputs: { dropped } });
      const apart = await compile(gpu, { outputs: { product, dropped } });
      const [bits, same] = [
        await masked.run(others, ["dropped"]),
        await apart.run(others, ["product", "dropped"]),
      ];
      assert.equal(bits.dropped, same.dropped);
      for (const program of [alone, joint, separate, masked, apart]) program.destroy();
    }
  });
}

test("does not join a product that has a bias, nor one before a ReLU", async () => {
  const x = input("x", [3, 4]), weight = input("weight", [5, 4]), bias = input("bias", [5]);
  const options = { rate: 0.4, seed: input("seed", [2], "u32"), site: 2 };
  const values = {
    x: operand([3, 4], 1).values,
    weight: operand([5, 4], 2).values,
    seed: Uint32Array.of(7, 8),
  };
  const device = await testDevice();
  const product = linear(x, weight);
  const { mask } = await evaluate(
    device,
    { one: { shape: [3, 5], values: new Float32Array(15).fill(1) }, seed: seedOf(7, 8) },
    ({ one, seed }) => ({ mask: dropout(one, { ...options, seed }) }),
  );
  const plain = (await (await compile(device, { outputs: { product } }))
    .run({ x: values.x, weight: values.weight }, ["product"])).product;
  const biased = await compile(device, {
    outputs: { y: dropout(addBias(product, bias), options) },
  });
  const biases = operand([5], 3).values;
  assertClose(
    (await biased.run({ ...values, bias: biases }, ["y"])).y,
    plain.map((value, i) => (value + biases[i % 5]) * mask[i]),
  );
  const clipped = await compile(device, { outputs: { y: relu(dropout(product, options)) } });
  assertClose(
    (await clipped.run(values, ["y"])).y,
    plain.map((value, i) => Math.max(value * mask[i], 0)),
  );
});

test("the gradients of a product that it joined agree with finite differences", async () => {
  const operands = {
    x: operand([2, 3, 6], 1),
    weight: operand([8, 6], 2),
    residual: operand([2, 3, 8], 3),
    seed: seedOf(1, 2),
  };
  for (const [, gpu] of chosenVariants(await testDevice())) {
    await checkGradient(
      gpu,
      operands,
      ["x", "weight", "residual"],
      ({ x, weight, residual, seed }) =>
        dropoutAdd(linear(x, weight), residual, { rate: 0.3, seed, site: 4 }),
    );
  }
});

test("the residual's gradient is the adjoint itself", async () => {
  const operands = {
    x: operand([9], 1),
    residual: operand([9], 2),
    dy: operand([9], 3),
    seed: seedOf(1, 1),
  };
  const { d } = await evaluate(await testDevice(), operands, ({ x, residual, dy, seed }) => {
    const y = dropoutAdd(x, residual, { rate: 0.5, seed, site: 1 });
    return { d: gradients(contraction(y, dy), [residual])[0]! };
  });
  assertClose(d, operands.dy.values);
});

test("shows a NaN even where it is dropped", async () => {
  const operands = {
    x: { shape: [64], values: new Float32Array(64).fill(NaN) },
    seed: seedOf(1, 2),
  };
  const { y } = await evaluate(
    await testDevice(),
    operands,
    ({ x, seed }) => ({ y: dropout(x, { rate: 0.9, seed, site: 0 }) }),
  );
  assert.ok(y.every(Number.isNaN));
});

test("with rate 0 it is its operand", () => {
  const x = input("x", [4]);
  assert.is(dropout(x, { rate: 0, seed: input("seed", [2], "u32"), site: 0 }), x);
});

test("refuses impossible rates and seeds", () => {
  const x = input("x", [4]);
  const seed = input("seed", [2], "u32");
  for (const rate of [-0.1, 1, NaN]) {
    assert.throws(() => dropout(x, { rate, seed, site: 0 }), /rate must be at least 0 and below 1/);
  }
  assert.throws(
    () => dropout(x, { rate: 0.1, seed: input("seed", [2]), site: 0 }),
    (error: Error) => error instanceof ShapeError,
  );
});

test.run();
