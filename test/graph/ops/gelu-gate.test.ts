import { suite } from "uvu";
import * as assert from "uvu/assert";
import fixture from "../../fixtures/gelu.json" with { type: "json" };
import { gradients } from "../../../src/graph/gradients.ts";
import { input } from "../../../src/graph/leaves.ts";
import { dropout } from "../../../src/graph/ops/dropout.ts";
import { geluGate } from "../../../src/graph/ops/gelu-gate.ts";
import { linear } from "../../../src/graph/ops/matmul.ts";
import { executionOrder } from "../../../src/graph/order.ts";
import { simplify } from "../../../src/graph/rewrite.ts";
import { planSteps } from "../../../src/graph/steps.ts";
import { ShapeError, type Tensor } from "../../../src/graph/tensor.ts";
import { testDevice } from "../device.ts";
import { assertClose, checkGradient, evaluate, type Operand, operand } from "./check.ts";
import { contraction } from "./contraction.ts";
import { chosenVariants } from "./variants.ts";

const test = suite("geluGate");

const SLOPE = Math.sqrt(2 / Math.PI);
const gelu = (a: number) => 0.5 * a * (1 + Math.tanh(SLOPE * (a + 0.044715 * a ** 3)));
const geluSlope = (a: number) => {
  const tanh = Math.tanh(SLOPE * (a + 0.044715 * a ** 3));
  return 0.5 * (1 + tanh) + 0.5 * a * (1 - tanh ** 2) * SLOPE * (1 + 3 * 0.044715 * a * a);
};

/** Operands with a in the first half of every row of x, and b in the second. */
function halves(shape: number[], a: ArrayLike<number>, b: ArrayLike<number>) {
  const columns = shape.at(-1)!;
  const values = new Float32Array(2 * a.length);
  for (let i = 0; i < a.length; i++) {
    const place = i + Math.floor(i / columns) * columns;
    values[place] = a[i];
    values[place + columns] = b[i];
  }
  return { shape: [...shape.slice(0, -1), 2 * columns], values };
}

/** The gate of a and b, and its gradients in both for the result's gradient `dy`. */
async function gateOf(a: Operand, b: Operand, dy: Operand) {
  const operands = { x: halves([...a.shape], a.values, b.values), dy };
  const { y, dx } = await evaluate(await testDevice(), operands, ({ x, dy }) => {
    const y = geluGate(x);
    return { y, dx: gradients(contraction(y, dy), [x])[0]! };
  });
  const columns = a.shape.at(-1)!;
  const half = (index: number) =>
    Array.from(dx).filter((_, i) => Math.floor(i / columns) % 2 === index);
  return { y, da: half(0), db: half(1) };
}

for (const shape of [[1], [3], [4], [5, 7], [3, 2], [9, 1], [2, 33, 64]]) {
  test(`computes and differentiates [${shape}] as the formula does`, async () => {
    const operands = [operand(shape, 1, 6), operand(shape, 2, 2), operand(shape, 3)] as const;
    const [a, b, g] = operands.map(({ values }) => values);
    const { y, da, db } = await gateOf(...operands);
    assertClose(y, Array.from(a, (a, i) => gelu(a) * b[i]), { what: "y" });
    assertClose(da, Array.from(a, (a, i) => geluSlope(a) * b[i] * g[i]), { what: "da" });
    assertClose(db, Array.from(a, (a, i) => gelu(a) * g[i]), { what: "db" });
  });

  test(`drops of [${shape}] what dropout would, to the bit`, async () => {
    const x = operand([...shape.slice(0, -1), 2 * shape.at(-1)!], 1, 3);
    const seed = { shape: [2], values: Uint32Array.of(0xdeadbeef, 7) };
    const operands = { x, seed, dy: operand(shape, 2) };
    const results = await evaluate(await testDevice(), operands, ({ x, seed, dy }) => {
      const options = { rate: 0.3, seed, site: 5 };
      const results = [geluGate(x, options), dropout(geluGate(x), options)];
      const [dx, dxApart] = results.map((y) => gradients(contraction(y, dy), [x])[0]!);
      return { y: results[0], yApart: results[1], dx, dxApart };
    });
    assert.equal(results.y, results.yApart);
    assert.equal(results.dx, results.dxApart);
    const dropped = results.y.filter((value) => value === 0).length;
    if (results.y.length > 100) assert.ok(Math.abs(dropped / results.y.length - 0.3) < 0.05);
  });
}

/** A feed-forward layer's second half and the gradients in x, the gate's operand, and in what the gate made. */
function gradientsIn({ h, wi, wo, dy, seed }: Record<string, Tensor>, between = false) {
  const x = linear(h, wi);
  const gated = geluGate(x, seed && { rate: 0.3, seed, site: 5 });
  const passed = between ? dropout(gated, { rate: 0.2, seed, site: 6 }) : gated;
  const [dx, dGated] = gradients(contraction(linear(passed, wo), dy), [x, gated]);
  return { dx: dx!, dGated: dGated! };
}

for (const [name, gpu] of chosenVariants(await testDevice())) {
  for (const seed of [undefined, { shape: [2], values: Uint32Array.of(11, 12) }]) {
    // Rows, of the gate's result and of the layer; the last of these sums is split.
    for (
      const [leading, columns, width] of [
        [[1], 1, 1],
        [[7], 8, 12],
        [[2, 3], 6, 5],
        [[13], 37, 20],
        [[5], 12, 1027],
      ] as const
    ) {
      const what = `[${leading}, ${columns}] by ${width}${seed ? " with dropout" : ""}`;
      test(`${name}: a product makes its gradient of ${what} as two kernels do`, async () => {
        const operands = {
          h: operand([...leading, 3], 1),
          wi: operand([2 * columns, 3], 2, 3),
          wo: operand([width, columns], 3),
          dy: operand([...leading, width], 4),
          ...(seed && { seed }),
        };
        const { dx } = await evaluate(gpu, operands, (leaves) => ({ dx: gradientsIn(leaves).dx }));
        // What the product makes is read, so that the gate's gradient is computed from it.
        const apart = await evaluate(gpu, operands, (leaves) => gradientsIn(leaves));
        assertClose(dx, apart.dx, { absolute: 1e-6 * width, relative: 1e-6, what: "dx" });
      });
    }
  }

  test(`${name}: a product leaves the gate's gradient where it drops elements of its own`, async () => {
    const operands = {
      h: operand([7, 3], 1),
      wi: operand([16, 3], 2, 3),
      wo: operand([12, 8], 3),
      dy: operand([7, 12], 4),
      seed: { shape: [2], values: Uint32Array.of(11, 12) },
    };
    const { dx } = await evaluate(
      gpu,
      operands,
      (leaves) => ({ dx: gradientsIn(leaves, true).dx }),
    );
    const apart = await evaluate(gpu, operands, (leaves) => gradientsIn(leaves, true));
    assertClose(dx, apart.dx, { absolute: 1e-5, relative: 1e-6, what: "dx" });
  });

  test(`${name}: a layer's backward pass has no dispatch for the gate alone`, () => {
    const leaves = {
      h: input("h", [2, 5, 6]),
      wi: input("wi", [16, 6]),
      wo: input("wo", [6, 8]),
      dy: input("dy", [2, 5, 6]),
      seed: input("seed", [2], "u32"),
    };
    const dispatchesOf = (...roots: Tensor[]) =>
      planSteps(executionOrder(simplify(roots)), gpu).steps.flatMap(({ dispatches }) => dispatches);
    const { dx, dGated } = gradientsIn(leaves);
    // x and the gradient in it; then the gate's result, too, has a gradient that somebody reads.
    assert.is(dispatchesOf(dx).length, 2);
    assert.is(dispatchesOf(dx, dGated).length, 3);
  });
}

test("agrees with the reference implementation's gelu_new", async () => {
  const shape = [fixture.x.length];
  const ones = { shape, values: new Float32Array(fixture.x.length).fill(1) };
  const { y } = await gateOf({ shape, values: Float32Array.from(fixture.x) }, ones, ones);
  assertClose(y, fixture.y, { absolute: 1e-6, relative: 1e-6 });
});

test("agrees with finite differences", async () => {
  for (const columns of [6, 8]) {
    const x = operand([2, columns], 4, 2);
    const seed = { shape: [2], values: Uint32Array.of(3, 4) };
    await checkGradient(await testDevice(), { x }, ["x"], ({ x }) => geluGate(x));
    const build = ({ x, seed }: Record<string, Tensor>) =>
      geluGate(x, { rate: 0.4, seed, site: 1 });
    await checkGradient(await testDevice(), { x, seed }, ["x"], build);
  }
});

test("is the identity or zero for large values of either sign, with slope 1 or 0", async () => {
  const a = Float32Array.of(-1e30, -1e13, -1e4, -90, -11, 11, 90, 1e4, 1e13, 1e30);
  const shape = [a.length];
  const ones = { shape, values: new Float32Array(a.length).fill(1) };
  const { y, da, db } = await gateOf({ shape, values: a }, ones, ones);
  const bounds = { absolute: 1e-6, relative: 1e-6 };
  assertClose(y, a.map((a) => Math.max(a, 0)), { ...bounds, what: "y" });
  assertClose(da, a.map((a) => a > 0 ? 1 : 0), { ...bounds, what: "da" });
  assertClose(db, a.map((a) => Math.max(a, 0)), { ...bounds, what: "db" });
});

test("shows a NaN", async () => {
  const nan = { shape: [1], values: Float32Array.of(NaN) };
  const one = { shape: [1], values: Float32Array.of(1) };
  for (const [a, b] of [[nan, one], [one, nan]]) {
    const { y } = await gateOf(a, b, one);
    assert.ok(Number.isNaN(y[0]));
  }
});

test("refuses what has no two halves, and a seed of another type", () => {
  const refused = (f: () => unknown, message: RegExp) =>
    assert.throws(
      f,
      (error: Error) =>
        error instanceof ShapeError && error.message.startsWith("geluGate") &&
        message.test(error.message),
    );
  refused(() => geluGate(input("x", [2, 7])), /even last axis/);
  refused(() => geluGate(input("x", [2, 8], "i32")), /f32/);
  const seed = input("seed", [2], "i32");
  refused(() => geluGate(input("x", [2, 8]), { rate: 0.1, seed, site: 0 }), /u32 \[2\]/);
});

test.run();
