import { suite } from "uvu";
import * as assert from "uvu/assert";
import fixture from "../../fixtures/gelu.json" with { type: "json" };
import { gradients } from "../../../src/graph/gradients.ts";
import { input } from "../../../src/graph/leaves.ts";
import { geluGate } from "../../../src/graph/ops/gelu-gate.ts";
import { ShapeError } from "../../../src/graph/tensor.ts";
import { testDevice } from "../device.ts";
import { assertClose, checkGradient, evaluate, operand } from "./check.ts";
import { contraction } from "./contraction.ts";

const test = suite("geluGate");

const SLOPE = Math.sqrt(2 / Math.PI);
const gelu = (a: number) => 0.5 * a * (1 + Math.tanh(SLOPE * (a + 0.044715 * a ** 3)));
const geluSlope = (a: number) => {
  const tanh = Math.tanh(SLOPE * (a + 0.044715 * a ** 3));
  return 0.5 * (1 + tanh) + 0.5 * a * (1 - tanh ** 2) * SLOPE * (1 + 3 * 0.044715 * a * a);
};

for (const shape of [[1], [3], [4], [5, 7], [2, 33, 64]]) {
  test(`computes and differentiates [${shape}] as the formula does`, async () => {
    const operands = {
      a: operand(shape, 1, 6),
      b: operand(shape, 2, 2),
      dy: operand(shape, 3),
    };
    const [a, b, g] = [operands.a.values, operands.b.values, operands.dy.values];
    const { y, da, db } = await evaluate(await testDevice(), operands, ({ a, b, dy }) => {
      const y = geluGate(a, b);
      const [da, db] = gradients(contraction(y, dy), [a, b]);
      return { y, da: da!, db: db! };
    });
    assertClose(y, Array.from(a, (a, i) => gelu(a) * b[i]), { what: "y" });
    assertClose(da, Array.from(a, (a, i) => geluSlope(a) * b[i] * g[i]), { what: "da" });
    assertClose(db, Array.from(a, (a, i) => gelu(a) * g[i]), { what: "db" });
  });
}

test("agrees with the reference implementation's gelu_new", async () => {
  const shape = [fixture.x.length];
  const operands = {
    a: { shape, values: Float32Array.from(fixture.x) },
    b: { shape, values: new Float32Array(fixture.x.length).fill(1) },
  };
  const { y } = await evaluate(
    await testDevice(),
    operands,
    ({ a, b }) => ({ y: geluGate(a, b) }),
  );
  assertClose(y, fixture.y, { absolute: 1e-6, relative: 1e-6 });
});

test("agrees with finite differences", async () => {
  const operands = { a: operand([2, 5], 4, 2), b: operand([2, 5], 5) };
  await checkGradient(await testDevice(), operands, ["a", "b"], ({ a, b }) => geluGate(a, b));
});

test("is the identity or zero for large values of either sign, with slope 1 or 0", async () => {
  const a = Float32Array.of(-1e30, -1e13, -1e4, -90, -11, 11, 90, 1e4, 1e13, 1e30);
  const shape = [a.length];
  const ones = { shape, values: new Float32Array(a.length).fill(1) };
  const operands = { a: { shape, values: a }, b: ones, dy: ones };
  const { y, da, db } = await evaluate(await testDevice(), operands, ({ a, b, dy }) => {
    const y = geluGate(a, b);
    const [da, db] = gradients(contraction(y, dy), [a, b]);
    return { y, da: da!, db: db! };
  });
  const bounds = { absolute: 1e-6, relative: 1e-6 };
  assertClose(y, a.map((a) => Math.max(a, 0)), { ...bounds, what: "y" });
  assertClose(da, a.map((a) => a > 0 ? 1 : 0), { ...bounds, what: "da" });
  assertClose(db, a.map((a) => Math.max(a, 0)), { ...bounds, what: "db" });
});

test("shows a NaN", async () => {
  const nan = { shape: [1], values: Float32Array.of(NaN) };
  const one = { shape: [1], values: Float32Array.of(1) };
  for (const operands of [{ a: nan, b: one }, { a: one, b: nan }]) {
    const { y } = await evaluate(
      await testDevice(),
      operands,
      ({ a, b }) => ({ y: geluGate(a, b) }),
    );
    assert.ok(Number.isNaN(y[0]));
  }
});

test("refuses operands of different shapes", () => {
  assert.throws(
    () => geluGate(input("a", [2, 8]), input("b", [8, 2])),
    (error: Error) => error instanceof ShapeError && error.message.startsWith("geluGate"),
  );
});

test.run();
