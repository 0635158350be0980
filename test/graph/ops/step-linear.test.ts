import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { Gpu } from "../../../src/gpu/device.ts";
import { compile } from "../../../src/graph/compile.ts";
import { input } from "../../../src/graph/leaves.ts";
import { stepLinear } from "../../../src/graph/ops/step-linear.ts";
import { ShapeError } from "../../../src/graph/tensor.ts";
import { choice } from "../../choice.ts";
import { testDevice } from "../device.ts";
import { assertClose, evaluate, operand, values } from "./check.ts";
import { roundedToHalf, variable } from "./variables.ts";
import { chosenVariants, variants } from "./variants.ts";

const test = suite("stepLinear");
const device = await testDevice();

const epsilon = 1e-6;

const adapters: [string, Gpu][] = chosenVariants(device);
// Without subgroups, CPU adapters compute the norm and the products separately.
if (choice.exhaustive && device.features.subgroups) {
  const [[, cpu]] = variants(device);
  adapters.push(["without subgroups", { ...cpu, features: { ...cpu.features, subgroups: false } }]);
}

/** norm(x) · wᵀ in f64. */
function reference(
  x: ArrayLike<number>,
  weight: ArrayLike<number>,
  scale: ArrayLike<number> | undefined,
  [rows, depth, columns]: readonly number[],
): number[] {
  const result: number[] = [];
  for (let row = 0; row < rows; row++) {
    let squares = 0;
    for (let k = 0; k < depth; k++) squares += x[row * depth + k] ** 2;
    const rstd = scale ? 1 / Math.sqrt(squares / depth + epsilon) : 1;
    for (let column = 0; column < columns; column++) {
      let sum = 0;
      for (let k = 0; k < depth; k++) {
        sum += x[row * depth + k] * (scale?.[k] ?? 1) * weight[column * depth + k];
      }
      result.push(rstd * sum);
    }
  }
  return result;
}

function gelu(x: number): number {
  return 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3)));
}

/** Rows, depth and columns: whole blocks and parts of them, and widths that the kernels leave to others. */
const sizes = [
  [1, 4, 4],
  [1, 36, 40],
  [1, 256, 32],
  [2, 64, 12],
  [3, 20, 36],
  [5, 32, 64],
  [8, 100, 28],
  [9, 68, 4],
  [16, 64, 48],
  [21, 24, 100],
  [2, 16, 512],
  [1, 8, 576],
  [33, 16, 8],
  [65, 12, 8],
  [3, 7, 5],
  [17, 9, 12],
];

for (const [variant, gpu] of adapters) {
  for (const size of sizes) {
    const [rows, depth, columns] = size;
    test(`${variant}: ${rows} rows of ${depth}, ${columns} columns`, async () => {
      const operands = {
        x: operand([rows, depth], 1),
        scale: operand([depth], 2),
        w0: operand([columns, depth], 3),
        w1: operand([columns, depth], 4),
        w2: operand([columns, depth], 5),
        residual: operand([rows, columns], 6),
      };
      const results = await evaluate(gpu, operands, (leaves) => {
        const { x, scale, w0, w1, w2, residual } = leaves;
        const norm = { scale, epsilon };
        return {
          plain: stepLinear(x, [w0]),
          normed: stepLinear(x, [w0], { norm }),
          three: stepLinear(x, [w0, w1, w2], { norm }),
          gated: stepLinear(x, [w0, w1], { norm, isGated: true }),
          added: stepLinear(x, [w0], { residual }),
        };
      });
      const { x, scale, residual } = operands;
      const y = (i: number, scale?: ArrayLike<number>) =>
        reference(x.values, values([columns, depth], 3 + i), scale, size);
      const [y0, y1, y2] = [0, 1, 2].map((i) => y(i, scale.values));
      const close = (name: string, expected: ArrayLike<number>) =>
        assertClose(results[name], expected, { absolute: 2e-5, what: name });
      close("plain", y(0));
      close("normed", y0);
      close("gated", y0.map((value, i) => gelu(value) * y1[i]));
      close("added", y(0).map((value, i) => value + residual.values[i]));
      const parts = Array.from(
        { length: rows },
        (_, row) => [y0, y1, y2].flatMap((y) => y.slice(row * columns, (row + 1) * columns)),
      );
      close("three", parts.flat());
    });
  }

  test(`${variant}: weights stored as f16 give the same bits as their values in f32`, async () => {
    for (const [rows, depth, columns] of [[1, 36, 40], [9, 68, 4], [3, 7, 5]]) {
      const weights = [3, 4, 5].map((seed) => roundedToHalf(values([columns, depth], seed)));
      const x = variable(gpu, "x", [rows, depth], values([rows, depth], 1));
      const stored = (dtype: "f16" | "f32") =>
        weights.map((weight, i) => variable(gpu, `w${i}`, [columns, depth], weight, dtype));
      const outputs = { half: stepLinear(x, stored("f16")), single: stepLinear(x, stored("f32")) };
      const program = await compile(gpu, { outputs });
      const { half, single } = await program.run({}, ["half", "single"]);
      program.destroy();
      assert.equal(half, single);
    }
  });

  test(`${variant}: the norm neither overflows where its rows do not, nor divides by nothing`, async () => {
    const operands = {
      x: { shape: [2, 4], values: Float32Array.of(0, 0, 0, 0, 3e18, 0, 0, -3e18) },
      scale: { shape: [4], values: new Float32Array(4).fill(1) },
      weight: { shape: [4, 4], values: new Float32Array(16).fill(0.25) },
    };
    const { y } = await evaluate(gpu, operands, ({ x, scale, weight }) => ({
      y: stepLinear(x, [weight], { norm: { scale, epsilon } }),
    }));
    assertClose(y, new Float32Array(8));
  });
}

test("operands that do not fit are refused", () => {
  const x = input("x", [2, 8]), weight = input("w", [12, 8]), other = input("v", [8, 8]);
  const refused = (f: () => unknown, message: RegExp) =>
    assert.throws(f, (error: Error) => error instanceof ShapeError && message.test(error.message));
  refused(() => stepLinear(x, [weight, other]), /all alike/);
  refused(() => stepLinear(x, [weight], { isGated: true }), /two with a gate/);
  refused(() => stepLinear(x, [input("w", [12, 4])]), /\[\.\.\., 4\]/);
  refused(() => stepLinear(x, [weight], { residual: x }), /\[\.\.\., 12\]/);
  refused(() => stepLinear(x, [weight], { norm: { scale: weight, epsilon } }), /scale/);
});

test.run();
