import fixture from "../../fixtures/label-smoothed-loss.json" with { type: "json" };
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { Gpu } from "../../../src/gpu/device.ts";
import { gradients } from "../../../src/graph/gradients.ts";
import { input } from "../../../src/graph/leaves.ts";
import { labelSmoothedLoss } from "../../../src/graph/ops/label-smoothed-loss.ts";
import { scale } from "../../../src/graph/ops/scale.ts";
import { ShapeError } from "../../../src/graph/tensor.ts";
import { testDevice } from "../device.ts";
import { assertClose, evaluate, values } from "./check.ts";
import { chosenVariants } from "./variants.ts";

const test = suite("labelSmoothedLoss");
const devices = chosenVariants(await testDevice());

interface Problem {
  logits: Float32Array;
  labels: Int32Array;
  columns: number;
  smoothing: number;
  padId?: number;
}

/** Loss, likelihood, number of labels and gradient, in f64. */
function reference({ logits, labels, columns, smoothing, padId = 0 }: Problem) {
  const gradient = new Float64Array(logits.length);
  let loss = 0, likelihood = 0, tokens = 0;
  labels.forEach((label, r) => {
    if (label === padId) return;
    const row = Array.from(logits.subarray(r * columns, (r + 1) * columns));
    const largest = Math.max(...row);
    const logSum = largest + Math.log(row.reduce((sum, x) => sum + Math.exp(x - largest), 0));
    const mean = row.reduce((sum, x) => sum + (logSum - x), 0) / columns;
    likelihood += logSum - row[label];
    loss += (1 - smoothing) * (logSum - row[label]) + smoothing * mean;
    tokens++;
    row.forEach((x, c) => {
      gradient[r * columns + c] = Math.exp(x - logSum) - smoothing / columns -
        (c === label ? 1 - smoothing : 0);
    });
  });
  return { sums: [loss, likelihood, tokens], gradient };
}

async function run(gpu: Gpu, problem: Problem, factor = 1) {
  const { logits, labels, columns, smoothing, padId } = problem;
  return await evaluate(
    gpu,
    {
      logits: { shape: [labels.length, columns], values: logits },
      labels: { shape: [labels.length], values: labels },
    },
    ({ logits, labels }) => {
      const { loss, sums } = labelSmoothedLoss(logits, labels, {
        smoothing,
        ...(padId === undefined ? {} : { padId }),
      });
      const [gradient] = gradients(scale(loss, factor), [logits]);
      return { loss, sums, gradient: gradient! };
    },
  );
}

for (const [name, gpu] of devices) {
  test(`${name}: loss and gradient agree with f64 on awkward shapes`, async () => {
    const shapes = [[1, 1], [1, 3], [2, 16], [3, 7], [5, 31], [7, 64], [67, 37], [2, 1030], [
      3,
      5003,
    ]];
    for (const [rows, columns] of shapes) {
      for (const smoothing of [0, 0.1]) {
        const logits = values([rows, columns], rows + columns, 6);
        const labels = Int32Array.from({ length: rows }, (_, r) => (r * 7 + 1) % columns);
        const problem = { logits, labels, columns, smoothing, padId: 2 };
        const expected = reference(problem);
        const actual = await run(gpu, problem, 0.5);
        const what = `[${rows}, ${columns}] smoothing ${smoothing}`;
        assertClose(actual.sums, expected.sums, { what, absolute: 1e-6 });
        assert.is(actual.loss[0], actual.sums[0]);
        const half = expected.gradient.map((g) => g / 2);
        assertClose(actual.gradient, half, { what: `gradient ${what}`, absolute: 2e-6 });
      }
    }
  });

  test(`${name}: large logits neither overflow nor lose the gradient`, async () => {
    const columns = 33;
    const base = values([4, columns], 5, 3);
    for (const [factor, offset] of [[1e4 / 3, 0], [1, 8192], [1, -8192]]) {
      const logits = base.map((x) => x * factor + offset);
      const labels = Int32Array.of(1, 0, 32, 5);
      const problem = { logits, labels, columns, smoothing: 0.1 };
      const expected = reference(problem);
      const actual = await run(gpu, problem);
      assertClose(actual.sums, expected.sums, { relative: 1e-6 });
      assertClose(actual.gradient, expected.gradient, { absolute: 2e-6 });
    }
  });

  test(`${name}: rows whose label is padding contribute nothing, not even a NaN`, async () => {
    const logits = Float32Array.of(NaN, 1, 2, 3, 1, 2, 3, 4);
    const problem = { logits, labels: Int32Array.of(0, 3), columns: 4, smoothing: 0.1 };
    const expected = reference(problem);
    const actual = await run(gpu, problem);
    assertClose(actual.sums, expected.sums);
    assertClose(actual.gradient, expected.gradient);
    const none = await run(gpu, { ...problem, labels: Int32Array.of(0, 0) });
    assert.equal([...none.sums], [0, 0, 0]);
    assert.ok(none.gradient.every((g) => g === 0));
  });

  test(`${name}: a NaN logit makes the loss and its row's gradient NaN`, async () => {
    for (const columns of [4, 16, 19, 64]) {
      for (const position of [0, columns - 1]) {
        const logits = values([2, columns], 3);
        logits[position] = NaN;
        const labels = Int32Array.of(1, 1);
        const actual = await run(gpu, { logits, labels, columns, smoothing: 0.1 });
        assert.ok(Number.isNaN(actual.loss[0]), `loss with NaN at ${position} of ${columns}`);
        assert.ok(actual.gradient.subarray(0, columns).every(Number.isNaN));
        assert.ok(actual.gradient.subarray(columns).every(Number.isFinite));
      }
    }
  });

  test(`${name}: the same bits on every run`, async () => {
    const problem = {
      logits: values([130, 515], 8, 4),
      labels: Int32Array.from({ length: 130 }, (_, r) => r),
      columns: 515,
      smoothing: 0.1,
    };
    assert.equal(await run(gpu, problem), await run(gpu, problem));
  });
}

test("the reference implementation's values", async () => {
  const logits = Float32Array.from(fixture.logits.flat(2));
  const labels = Int32Array.from(fixture.target.flat());
  for (const [what, gpu] of devices) {
    for (const { epsilon: smoothing, loss_sum, nll_sum } of fixture.results) {
      const { sums } = await run(gpu, { logits, labels, columns: 7, smoothing });
      assertClose(sums, [loss_sum, nll_sum, 3], { what, absolute: 0, relative: 1e-6 });
    }
  }
});

test("the two variants agree on a vocabulary of 32128", async () => {
  const columns = 32128;
  const problem = {
    logits: values([3, columns], 11, 10),
    labels: Int32Array.of(5, 0, 32127),
    columns,
    smoothing: 0.1,
  };
  const expected = reference(problem);
  for (const [what, gpu] of devices) {
    const actual = await run(gpu, problem);
    assertClose(actual.sums, expected.sums, { what, relative: 2e-6 });
    assertClose(actual.gradient, expected.gradient, { what, absolute: 1e-6 });
  }
});

test("operands that do not fit are named", () => {
  const logits = input("logits", [4, 9]);
  const message = (f: () => unknown) => assert.throws(f, (e: Error) => e instanceof ShapeError);
  message(() => labelSmoothedLoss(logits, input("labels", [5], "i32"), { smoothing: 0.1 }));
  message(() => labelSmoothedLoss(logits, input("labels", [4]), { smoothing: 0.1 }));
  assert.throws(
    () =>
      gradients(labelSmoothedLoss(logits, input("labels", [4], "i32"), { smoothing: 0 }).sums, []),
    /one element/,
  );
});

test.run();
