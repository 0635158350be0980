import { suite } from "uvu";
import * as assert from "uvu/assert";
import { gradients } from "../../../src/graph/gradients.ts";
import {
  activate,
  activationGate,
  type ActivationKind,
} from "../../../src/graph/ops/activation.ts";
import { ShapeError } from "../../../src/graph/tensor.ts";
import { testDevice } from "../device.ts";
import { assertClose, evaluate, operand } from "./check.ts";
import { contraction } from "./contraction.ts";

const test = suite("activation");
const gpu = await testDevice();

/** By its power series, which in f64 has ten digits where |z| < 4; beyond, it is ±1 to eight. */
function erf(z: number): number {
  if (Math.abs(z) > 4) return Math.sign(z);
  let term = z, sum = z;
  for (let n = 1; n < 100; n++) sum += (term *= -z * z / n) / (2 * n + 1);
  return 2 / Math.sqrt(Math.PI) * sum;
}

const inner = (a: number) => Math.sqrt(2 / Math.PI) * (a + 0.044715 * a ** 3);

/** Each activation and its slope, by formula. */
const FORMULAS: Record<ActivationKind, [(a: number) => number, (a: number) => number]> = {
  gelu: [
    (a) => 0.5 * a * (1 + erf(a / Math.SQRT2)),
    (a) => 0.5 * (1 + erf(a / Math.SQRT2)) + a * Math.exp(-a * a / 2) / Math.sqrt(2 * Math.PI),
  ],
  gelu_new: [
    (a) => 0.5 * a * (1 + Math.tanh(inner(a))),
    (a) => {
      const tanh = Math.tanh(inner(a));
      const rise = Math.sqrt(2 / Math.PI) * (1 + 3 * 0.044715 * a * a);
      return 0.5 * (1 + tanh) + 0.5 * a * (1 - tanh ** 2) * rise;
    },
  ],
  silu: [
    (a) => a / (1 + Math.exp(-a)),
    (a) => (1 + a * Math.exp(-a) / (1 + Math.exp(-a))) / (1 + Math.exp(-a)),
  ],
  relu: [(a) => Math.max(a, 0), (a) => Number(a > 0)],
};

for (const [kind, [f, slope]] of Object.entries(FORMULAS)) {
  const activation = kind as ActivationKind;

  test(`${kind} and its gradient are as the formula says, far from zero too`, async () => {
    const x = operand([5, 7], 1, 6), dy = operand([5, 7], 2);
    const values = Float32Array.from([...x.values.slice(0, 29), -0, 0, -30, 30, -200, 200]);
    const { y, dx } = await evaluate(gpu, { x: { ...x, values }, dy }, ({ x, dy }) => {
      const y = activate(x, activation);
      return { y, dx: gradients(contraction(y, dy), [x])[0]! };
    });
    assertClose(y, Array.from(values, f), { absolute: 2e-6, relative: 1e-6, what: "y" });
    const expected = Array.from(values, (a, i) => slope(a) * dy.values[i]);
    assertClose(dx, expected, { absolute: 2e-6, relative: 2e-6, what: "dx" });
  });

  test(`${kind} gates the second half of every row by the first`, async () => {
    const x = operand([3, 10], 1, 4), dy = operand([3, 5], 2);
    const { y, dx } = await evaluate(gpu, { x, dy }, ({ x, dy }) => {
      const y = activationGate(x, activation);
      return { y, dx: gradients(contraction(y, dy), [x])[0]! };
    });
    const wantedY: number[] = [], wantedDx: number[] = [];
    for (let row = 0; row < 3; row++) {
      for (let column = 0; column < 5; column++) {
        const a = x.values[10 * row + column], b = x.values[10 * row + 5 + column];
        const g = dy.values[5 * row + column];
        wantedY[5 * row + column] = f(a) * b;
        wantedDx[10 * row + column] = g * b * slope(a);
        wantedDx[10 * row + 5 + column] = g * f(a);
      }
    }
    assertClose(y, wantedY, { absolute: 2e-6, relative: 1e-6, what: "y" });
    assertClose(dx, wantedDx, { absolute: 2e-6, relative: 2e-6, what: "dx" });
  });
}

test("a NaN shows, and a row that has no two halves is refused", async () => {
  const x = { shape: [2], values: Float32Array.of(NaN, 1) };
  for (const kind of ["gelu", "silu"] as const) {
    const { y } = await evaluate(gpu, { x }, ({ x }) => ({ y: activate(x, kind) }));
    assert.ok(Number.isNaN(y[0]) && y[1] > 0.7, kind);
  }
  await evaluate(gpu, { x: operand([2, 3]) }, ({ x }) => ({ y: activationGate(x, "silu") })).then(
    () => assert.unreachable(),
    (error) => assert.instance(error, ShapeError),
  );
});

test.run();
