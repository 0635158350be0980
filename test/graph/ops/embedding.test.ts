import { suite } from "uvu";
import * as assert from "uvu/assert";
import { gradients } from "../../../src/graph/gradients.ts";
import { input } from "../../../src/graph/leaves.ts";
import { embedding } from "../../../src/graph/ops/embedding.ts";
import { ShapeError } from "../../../src/graph/tensor.ts";
import { testDevice } from "../device.ts";
import { assertClose, checkGradient, evaluate, type Operand, operand } from "./check.ts";
import { contraction } from "./contraction.ts";
import { variants } from "./variants.ts";

const test = suite("embedding");

const idsOf = (shape: number[], id: (token: number) => number): Operand => ({
  shape,
  values: Int32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, token) => id(token)),
});

/** Scrambles token numbers into [0, vocabulary). */
const scattered = (vocabulary: number) => (token: number) => (token * 7919 + 13) % vocabulary;

interface Case {
  vocabulary: number;
  columns: number;
  ids: Operand;
}

const cases: Record<string, Case> = {
  "one token of one float": { vocabulary: 1, columns: 1, ids: idsOf([1], () => 0) },
  "a single token": { vocabulary: 5, columns: 4, ids: idsOf([1], () => 3) },
  "all ids equal": { vocabulary: 9, columns: 8, ids: idsOf([3, 100], () => 4) },
  "all ids different": { vocabulary: 300, columns: 12, ids: idsOf([300], scattered(300)) },
  "repeated ids, rows without any": {
    vocabulary: 70,
    columns: 7,
    ids: idsOf([5, 41], (t) => t % 2 * scattered(31)(t) * 2),
  },
  "a large table": {
    vocabulary: 2048,
    columns: 128,
    ids: idsOf([8, 512], (t) => t % 3 ? scattered(2048)(t * t) : 0),
  },
};

for (const [name, { vocabulary, columns, ids }] of Object.entries(cases)) {
  test(`looks up and scatters back: ${name}`, async () => {
    const operands = {
      table: operand([vocabulary, columns], 1),
      ids,
      dy: operand([...ids.shape, columns], 2),
    };
    const rows = Array.from(ids.values);
    const expectedGradient = new Float64Array(vocabulary * columns);
    rows.forEach((row, token) => {
      for (let c = 0; c < columns; c++) {
        expectedGradient[row * columns + c] += operands.dy.values[token * columns + c];
      }
    });
    for (const [, gpu] of variants(await testDevice())) {
      const { y, dtable } = await evaluate(gpu, operands, ({ table, ids, dy }) => {
        const y = embedding(table, ids);
        return { y, dtable: gradients(contraction(y, dy), [table])[0]! };
      });
      const table = operands.table.values;
      const expected = rows.flatMap((row) => [
        ...table.subarray(row * columns, (row + 1) * columns),
      ]);
      assert.equal(y, Float32Array.from(expected));
      assertClose(dtable, expectedGradient, { what: "dtable", absolute: 1e-4 });
    }
  });
}

test("agrees with finite differences", async () => {
  const operands = { table: operand([4, 3], 3) };
  const ids = { ids: idsOf([2, 3], (t) => [1, 3, 1, 0, 1, 3][t]) };
  await checkGradient(
    await testDevice(),
    { ...operands, ...ids },
    ["table"],
    ({ table, ids }) => embedding(table, ids),
  );
});

test("takes ids outside the table for its nearest row, forward and backward", async () => {
  const operands = {
    table: { shape: [3, 1], values: Float32Array.of(10, 20, 30) },
    ids: { shape: [4], values: Int32Array.of(-1, 3, 2147483647, -2147483648) },
    dy: { shape: [4, 1], values: Float32Array.of(1, 2, 3, 4) },
  };
  const { y, dtable } = await evaluate(await testDevice(), operands, ({ table, ids, dy }) => {
    const y = embedding(table, ids);
    return { y, dtable: gradients(contraction(y, dy), [table])[0]! };
  });
  assert.equal(Array.from(y), [10, 30, 30, 10]);
  assert.equal(Array.from(dtable), [5, 0, 5]);
});

test("gives the same bits every time", async () => {
  const { vocabulary, columns, ids } = cases["repeated ids, rows without any"];
  const operands = { ids, dy: operand([...ids.shape, columns], 2) };
  const run = async () =>
    await evaluate(
      await testDevice(),
      { ...operands, table: operand([vocabulary, columns]) },
      ({ table, ids, dy }) => ({
        dtable: gradients(contraction(embedding(table, ids), dy), [table])[0]!,
      }),
    );
  assert.equal((await run()).dtable, (await run()).dtable);
});

test("refuses ids that are not integers and tables that are not matrices", () => {
  const isShapeError = (error: Error) => error instanceof ShapeError;
  assert.throws(() => embedding(input("table", [3, 2]), input("ids", [4])), isShapeError);
  assert.throws(() => embedding(input("table", [3]), input("ids", [4], "i32")), isShapeError);
});

test.run();
