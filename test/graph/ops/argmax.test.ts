import { suite } from "uvu";
import * as assert from "uvu/assert";
import { input } from "../../../src/graph/leaves.ts";
import { argmax } from "../../../src/graph/ops/argmax.ts";
import { ShapeError } from "../../../src/graph/tensor.ts";
import { testDevice } from "../device.ts";
import { evaluate, values } from "./check.ts";
import { variants } from "./variants.ts";

const test = suite("argmax");

for (const [name, gpu] of variants(await testDevice())) {
  const run = async (rows: number[][]) => {
    const operands = {
      x: { shape: [rows.length, rows[0].length], values: Float32Array.from(rows.flat()) },
    };
    return [...(await evaluate(gpu, operands, ({ x }) => ({ y: argmax(x) }))).y];
  };

  test(`${name}: random rows of awkward lengths`, async () => {
    for (const columns of [1, 2, 7, 8, 9, 63, 257, 1000, 32128]) {
      const rows = [1, 2, 3].map((seed) => [...values([columns], columns + seed, 100)]);
      assert.equal(await run(rows), rows.map((row) => row.indexOf(Math.max(...row))));
    }
  });

  test(`${name}: the lowest index on ties`, async () => {
    const row = Array(700).fill(-5);
    const tie = row.with(300, 2).with(299, 2).with(599, 2);
    assert.equal(await run([row, tie, row.with(699, 0).with(5, -0)]), [0, 299, 5]);
  });

  test(`${name}: infinities, extremes and NaN`, async () => {
    assert.equal(
      await run([
        [-Infinity, -Infinity, -Infinity, -Infinity],
        [-Infinity, -3.4e38, -Infinity, -3.4e38],
        [1, Infinity, 3.4e38, Infinity],
        [-1e-40, -1e-38, -1e-3, -1],
        [Infinity, 5, NaN, NaN],
      ]),
      [0, 1, 1, 0, 2],
    );
  });
}

test("operands that do not fit are named", () => {
  assert.throws(() => argmax(input("x", [3])), (e: Error) => e instanceof ShapeError);
  assert.throws(() => argmax(input("x", [3, 2], "i32")), /argmax: .*i32\[3, 2\]/);
});

test.run();
