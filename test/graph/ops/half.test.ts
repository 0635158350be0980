/** Weights that are stored as f16, in the ops that read them. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { compile } from "../../../src/graph/compile.ts";
import { add } from "../../../src/graph/ops/add.ts";
import { addBias } from "../../../src/graph/ops/add-bias.ts";
import { embedding } from "../../../src/graph/ops/embedding.ts";
import { linear, matmul, type MatmulOptions } from "../../../src/graph/ops/matmul.ts";
import { reshape } from "../../../src/graph/ops/reshape.ts";
import { ShapeError, type Tensor } from "../../../src/graph/tensor.ts";
import { float16ToFloat32 } from "../../../src/io/half.ts";
import { testDevice } from "../device.ts";
import { checkGradient, evaluate, operand, values } from "./check.ts";
import { roundedToHalf, variable } from "./variables.ts";
import { chosenVariants } from "./variants.ts";

const test = suite("weights stored as f16");
const gpu = await testDevice();

const weights = (shape: number[]): Tensor =>
  variable(gpu, "weights", shape, values(shape, 5), "f16");

const products: Record<string, [x: number[], w: number[], MatmulOptions]> = {
  "x · W": [[3, 5], [5, 7], {}],
  "x · Wᵀ": [[3, 5], [7, 5], { transposeB: true }],
  "x · Wᵀ of whole vectors": [[2, 3, 8], [12, 8], { transposeB: true }],
  "a batch of xᵀ · Wᵀ": [[2, 5, 3], [2, 7, 5], { transposeA: true, transposeB: true }],
};

for (const [name, [xShape, wShape, options]] of Object.entries(products)) {
  test(`${name} has the gradient that finite differences give`, async () => {
    for (const [, seen] of chosenVariants(gpu)) {
      const build = ({ x }: Record<string, Tensor>) => matmul(x, weights(wShape), options);
      await checkGradient(seen, { x: operand(xShape, 3) }, ["x"], build);
    }
  });
}

test("the same bits as the same values in f32, epilogues included", async () => {
  const operands = { x: operand([6, 40]), bias: operand([24], 2), residual: operand([6, 24], 3) };
  for (const [, seen] of chosenVariants(gpu)) {
    const layer = (weight: Tensor) =>
      evaluate(seen, operands, ({ x, bias, residual }) => ({
        y: add(addBias(linear(x, weight), bias), residual),
      }));
    const rounded = roundedToHalf(values([24, 40], 5));
    const expected = await layer(variable(gpu, "rounded", [24, 40], rounded));
    assert.equal(await layer(weights([24, 40])), expected);
  }
});

test("an embedding gives the table's values, in rows of any length", async () => {
  const ids = { shape: [2, 3], values: Int32Array.of(6, 0, 3, 3, -1, 99) };
  for (const columns of [1, 2, 3, 8, 127]) {
    const table = roundedToHalf(values([7, columns], 5));
    const { y } = await evaluate(gpu, { ids }, ({ ids }) => ({
      y: embedding(weights([7, columns]), ids),
    }));
    const rows = [6, 0, 3, 3, 0, 6];
    const expected = rows.flatMap((row) => [
      ...table.subarray(row * columns, (row + 1) * columns),
    ]);
    assert.equal([...y], expected);
  }
});

test("every finite f16 is read as it is, subnormal ones too", async () => {
  const magnitudes = Array.from({ length: 0x7c00 }, (_, bits) => bits);
  const bits = Uint16Array.from([...magnitudes, ...magnitudes.map((bits) => bits | 0x8000)]);
  const table = float16ToFloat32(bits);
  for (const rows of [2, 2048]) { // of whole vectors, and of 31
    const shape = [rows, table.length / rows];
    const ids = { shape: [rows], values: Int32Array.from({ length: rows }, (_, row) => row) };
    const leaf = variable(gpu, "every value", shape, table, "f16");
    const { y } = await evaluate(gpu, { ids }, ({ ids }) => ({ y: embedding(leaf, ids) }));
    assert.equal(new Uint32Array(y.buffer), new Uint32Array(table.buffer));
  }
});

test("other ops and other operands refuse them", async () => {
  const w = weights([4, 4]), bias = weights([4]);
  const refusal = (f: () => unknown) => {
    const isRefusal = (error: Error) =>
      error instanceof ShapeError && /only products and embeddings.*f16\[/.test(error.message);
    assert.throws(f, isRefusal);
  };
  refusal(() => add(w, w));
  refusal(() => reshape(w, [16]));
  refusal(() => addBias(matmul(w, w), bias));
  await compile(gpu, { outputs: { w } }).then(
    () => assert.unreachable("f16 is no output"),
    (error) => assert.match(error.message, /"w".*readVariables/),
  );
});

test.run();
