import { suite } from "uvu";
import * as assert from "uvu/assert";
import { compile } from "../../src/graph/compile.ts";
import { input } from "../../src/graph/leaves.ts";
import { type Shape, size } from "../../src/graph/tensor.ts";
import { Adafactor, type AdafactorOptions } from "../../src/optim/adafactor.ts";
import { testDevice } from "../graph/device.ts";
import { assertClose } from "../graph/ops/check.ts";
import { drawn, type Gradients, initialValues, updates, withBindings } from "./updates.ts";

const test = suite("Adafactor");
const gpu = await testDevice();

/** Alone, prime, just over a tile or a chunk, side by side; matrices, vectors, a number. */
const shapes: Record<string, Shape> = {
  tall: [131, 3],
  wide: [2, 197],
  tiles: [65, 129],
  whole: [64, 64],
  "a.bias": [4099],
  row: [1, 7],
  column: [67, 1],
  stack: [3, 5, 66],
  "stack of rows": [4, 1, 5],
  deep: [2, 2, 3, 4],
  number: [1],
  scalar: [],
};

/** Hugging Face's update of one tensor in f64. */
class Reference {
  readonly #rows: number;
  readonly #columns: number;
  readonly #rowMoments: Float64Array;
  readonly #columnMoments: Float64Array;
  readonly #first: Float64Array;

  constructor(
    readonly values: Float64Array,
    readonly shape: Shape,
    readonly options: Required<Omit<AdafactorOptions, "decays" | "maxNorm">>,
    readonly decays: boolean,
  ) {
    [this.#rows, this.#columns] = shape.length < 2 ? [size(shape), 1] : shape.slice(-2);
    this.#rowMoments = new Float64Array(size(shape) / this.#columns);
    this.#columnMoments = new Float64Array(size(shape) / this.#rows);
    this.#first = new Float64Array(size(shape));
  }

  update(gradient: Float64Array, step: number, rate: number): void {
    const { gradientEpsilon, clipThreshold, decayRate, beta1, weightDecay } = this.options;
    const [rows, columns] = [this.#rows, this.#columns];
    const share = step ** decayRate;
    const squares = gradient.map((g) => g * g + gradientEpsilon);
    const rowMeans = new Float64Array(this.#rowMoments.length);
    const columnMeans = new Float64Array(this.#columnMoments.length);
    const columnOf = (i: number) => Math.floor(i / (rows * columns)) * columns + i % columns;
    squares.forEach((square, i) => {
      rowMeans[Math.floor(i / columns)] += square / columns;
      columnMeans[columnOf(i)] += square / rows;
    });
    rowMeans.forEach((mean, i) => this.#rowMoments[i] += share * (mean - this.#rowMoments[i]));
    columnMeans.forEach((mean, i) =>
      this.#columnMoments[i] += share * (mean - this.#columnMoments[i])
    );
    const isVector = this.shape.length < 2;
    const unscaled = gradient.map((g, i) => {
      const row = Math.floor(i / columns);
      if (isVector) return g / Math.sqrt(this.#rowMoments[row]);
      const first = Math.floor(row / rows) * rows;
      const mean = this.#rowMoments.subarray(first, first + rows)
        .reduce((sum, value) => sum + value / rows, 0);
      return g / Math.sqrt(this.#rowMoments[row] / mean * this.#columnMoments[columnOf(i)]);
    });
    const scaled = rate * this.#scale();
    const clip = Math.max(1, rootMeanSquare(unscaled) / clipThreshold);
    unscaled.forEach((update, i) => {
      this.#first[i] = beta1 * this.#first[i] + (1 - beta1) * scaled * update / clip;
      if (this.decays) this.values[i] -= scaled * weightDecay * this.values[i];
      this.values[i] -= this.#first[i];
    });
  }

  #scale(): number {
    const { scaleParameter, parameterEpsilon } = this.options;
    return scaleParameter ? Math.max(parameterEpsilon, rootMeanSquare(this.values)) : 1;
  }
}

function rootMeanSquare(values: Float64Array): number {
  return Math.sqrt(values.reduce((sum, value) => sum + value * value, 0) / values.length);
}

const plain = {
  gradientEpsilon: 1e-30,
  parameterEpsilon: 1e-3,
  clipThreshold: 1,
  decayRate: -0.8,
  beta1: 0,
  scaleParameter: false,
  weightDecay: 0,
};
const variants: Record<string, typeof plain> = {
  "as the reference's trainer has it": plain,
  "with scaled steps": { ...plain, scaleParameter: true, weightDecay: 0.3 },
  "with a first moment": { ...plain, beta1: 0.9, weightDecay: 0.3 },
  "with other constants": { ...plain, clipThreshold: 0.5, decayRate: -0.5, gradientEpsilon: 1e-3 },
};

for (const [name, options] of Object.entries(variants)) {
  test(`${name}: as loops in f64 do, whatever the number of slabs`, async () => {
    const references = new Map(
      Object.entries(initialValues(shapes)).map(([name, values]) => [
        name,
        new Reference(Float64Array.from(values), shapes[name], options, name !== "a.bias"),
      ]),
    );
    const all = await Promise.all(
      [gpu, withBindings(gpu, 1 << 16)].map((gpu) =>
        updates(gpu, shapes, (parameters) => new Adafactor(parameters, options))
      ),
    );
    assert.is(all[0].parameters.slabs.length, 1);
    assert.ok(all[1].parameters.slabs.length > 1);
    for (const [i, scale] of [1, 1e-3, 30, 0].entries()) {
      const gradients = drawn(shapes, i + 2, scale);
      for (const [name, reference] of references) {
        reference.update(Float64Array.from(gradients[name]), i + 1, 0.01);
      }
      for (const { parameters, run } of all) {
        await run(gradients);
        for (const [name, values] of await parameters.read()) {
          const what = `${name} after update ${i + 1}`;
          assertClose(values, references.get(name)!.values, { absolute: 2e-6, what });
        }
      }
    }
    for (const { destroy } of all) destroy();
  });
}

test("gradients are clipped by the norm of all of them", async () => {
  const some = { matrix: [5, 3], vector: [9] };
  const clipped = await updates(gpu, some, (p) => new Adafactor(p, { ...coarse, maxNorm: 2 }));
  const free = await updates(gpu, some, (p) => new Adafactor(p, coarse));
  const gradients = drawn(some, 2, 10);
  const norm = Math.hypot(...Object.values(gradients).flatMap((values) => [...values]));
  await clipped.run(gradients);
  const scaled = Object.entries(gradients).map(([name, g]) => [name, g.map((g) => 2 * g / norm)]);
  await free.run(Object.fromEntries(scaled));
  const expected = await free.parameters.read();
  for (const [name, values] of await clipped.parameters.read()) {
    assertClose(values, expected.get(name)!, { absolute: 1e-6, what: name });
    assert.not.equal(values, initialValues(some)[name]);
  }
  clipped.destroy();
  free.destroy();
});

/** With so large an epsilon, and no clipping of their own, updates depend on the gradients' size. */
const coarse = { gradientEpsilon: 0.1, clipThreshold: 100 };

test("what is not a number spoils its own tensor and no other", async () => {
  const some = { before: [3, 3], spoilt: [65, 66], after: [70] };
  const { parameters, run, destroy } = await updates(gpu, some, (p) => new Adafactor(p));
  const gradients: Gradients = drawn(some, 2, 1);
  gradients.spoilt[65 * 66 - 1] = NaN;
  await run(gradients);
  const values = await parameters.read();
  assert.ok(values.get("spoilt")!.every(Number.isNaN));
  for (const name of ["before", "after"]) assert.ok(values.get(name)!.every(Number.isFinite), name);
  destroy();
});

test("the number of dispatches does not depend on the number of tensors", async () => {
  const named = (count: number) =>
    Object.fromEntries(Array.from({ length: count }, (_, i) => [`tensor ${i}`, [3, 5]]));
  const dispatches = async (count: number) => {
    const some = named(count);
    const { optimizer, destroy } = await updates(gpu, some, (p) => new Adafactor(p));
    const { effects } = optimizer.updateFromSum(input("hyper", [optimizer.hyperLength]));
    const program = await compile(gpu, { outputs: {}, effects });
    const { dispatchCount } = program;
    program.destroy();
    destroy();
    return dispatchCount;
  };
  assert.is(await dispatches(1), await dispatches(50));
});

test.run();
