import { suite } from "uvu";
import * as assert from "uvu/assert";
import { gradients } from "../../../src/graph/gradients.ts";
import { input } from "../../../src/graph/leaves.ts";
import { sliceRowsFor, sumInstanceRows, sumRows } from "../../../src/graph/ops/sum-rows.ts";
import { ShapeError, size } from "../../../src/graph/tensor.ts";
import { testDevice } from "../device.ts";
import { assertClose, checkGradient, evaluate, operand } from "./check.ts";
import { contraction } from "./contraction.ts";
import { variants } from "./variants.ts";

const test = suite("sumRows");

const shapes = [
  [1, 1],
  [1, 4],
  [3, 5],
  [2, 3, 8],
  [63, 16],
  [64, 16],
  [65, 7],
  [32, 1001],
  [2053, 4],
  [9001, 16],
  [3000, 3],
  [100_000, 1],
];
for (const shape of shapes) {
  test(`adds the rows of [${shape}]`, async () => {
    const x = operand(shape, 1);
    const columns = shape.at(-1)!;
    const expected = new Float64Array(columns);
    x.values.forEach((value, i) => expected[i % columns] += value);
    for (const [, gpu] of variants(await testDevice())) {
      const { y } = await evaluate(gpu, { x }, ({ x }) => ({ y: sumRows(x) }));
      assertClose(y, expected, { absolute: 1e-6 * Math.sqrt(size(shape)) + 1e-5 });
    }
  });
}

/** Instances, rows, and columns of both. */
const pairs = [[1, 1, 1, 1], [3, 5, 4, 7], [2, 65, 16, 8], [5, 33, 1, 3], [2, 20_000, 4, 2]];
for (const [instances, rows, ...columns] of pairs) {
  test(`adds the rows of ${instances} instances of [${rows}, ${columns}] in one go`, async () => {
    const [x, y] = columns.map((count, i) => operand([instances, rows, count], i));
    for (const [, gpu] of variants(await testDevice())) {
      const sums = await evaluate(gpu, { x, y }, ({ x, y }) => {
        const [xSums, ySums] = sumInstanceRows(x, y);
        return { xSums, ySums };
      });
      for (
        const [{ values, shape: [, , count] }, actual] of [[x, sums.xSums], [
          y,
          sums.ySums,
        ]] as const
      ) {
        const expected = new Float64Array(instances * count);
        values.forEach((value, i) =>
          expected[Math.floor(i / (rows * count)) * count + i % count] += value
        );
        assertClose(actual, expected, { absolute: 1e-6 * Math.sqrt(rows) + 1e-5 });
      }
    }
  });
}

test("slices cover all rows once, and leave none empty", () => {
  for (const isCpu of [true, false]) {
    for (const elements of [1, 4, 33, 1024, 100_000]) {
      for (const rows of [1, 31, 64, 65, 511, 512, 513, 4096, 100_003]) {
        const { slices, sliceRows } = sliceRowsFor(rows, elements, isCpu);
        assert.ok(slices * sliceRows >= rows && (slices - 1) * sliceRows < rows);
      }
    }
  }
});

test("its gradient is the adjoint in every row", async () => {
  const operands = { x: operand([2, 3, 5], 1), dy: operand([5], 2) };
  const { dx } = await evaluate(
    await testDevice(),
    operands,
    ({ x, dy }) => ({ dx: gradients(contraction(sumRows(x), dy), [x])[0]! }),
  );
  assertClose(dx, Array.from({ length: 30 }, (_, i) => operands.dy.values[i % 5]));
});

test("agrees with finite differences", async () => {
  await checkGradient(
    await testDevice(),
    { x: operand([3, 4], 3) },
    ["x"],
    ({ x }) => sumRows(x),
  );
});

test("a NaN spoils its own column only", async () => {
  const values = new Float32Array(600);
  values[3 * 150 + 1] = NaN;
  for (const [, gpu] of variants(await testDevice())) {
    const x = { shape: [200, 3], values };
    const { y } = await evaluate(gpu, { x }, ({ x }) => ({ y: sumRows(x) }));
    assert.equal(Array.from(y), [0, NaN, 0]);
  }
});

test("refuses two tensors of different instances or rows", () => {
  for (const shape of [[3, 3, 4], [2, 4, 4], [6, 4]]) {
    assert.throws(
      () => sumInstanceRows(input("x", [2, 3, 4]), input("y", shape)),
      (error: Error) => error instanceof ShapeError && error.message.startsWith("sumInstanceRows"),
    );
  }
});

test("refuses integers", () => {
  assert.throws(
    () => sumRows(input("x", [2, 3], "i32")),
    (error: Error) => error instanceof ShapeError && error.message.startsWith("sumRows"),
  );
});

test.run();
