import { suite } from "uvu";
import * as assert from "uvu/assert";
import fixture from "../../fixtures/masked-mean.json" with { type: "json" };
import { gradients } from "../../../src/graph/gradients.ts";
import { input } from "../../../src/graph/leaves.ts";
import { maskedMean } from "../../../src/graph/ops/masked-mean.ts";
import { ShapeError } from "../../../src/graph/tensor.ts";
import { testDevice } from "../device.ts";
import { assertClose, checkGradient, evaluate, operand } from "./check.ts";
import { contraction } from "./contraction.ts";
import { variants } from "./variants.ts";

const test = suite("maskedMean");

for (const shape of [[1, 1, 1], [2, 3, 4], [3, 17, 5], [5, 33, 128], [2, 300, 68]]) {
  test(`computes and differentiates [${shape}] as the formula does`, async () => {
    const [batch, length, columns] = shape;
    // Padding on the right, holes, and in the last row but one example nothing but padding.
    const mask = Int32Array.from({ length: batch * length }, (_, i) => {
      const [row, position] = [Math.floor(i / length), i % length];
      if (batch > 1 && row === batch - 2) return 0;
      return position <= row * 5 && position % 3 !== 1 ? 1 : 0;
    });
    const operands = {
      x: operand(shape, 1),
      mask: { shape: [batch, length], values: mask },
      dy: operand([batch, columns], 2),
    };
    const expected = new Float64Array(batch * columns);
    const expectedGradient = new Float64Array(batch * length * columns);
    for (let row = 0; row < batch; row++) {
      const rowMask = mask.subarray(row * length, (row + 1) * length);
      const count = Math.max(rowMask.reduce((a, b) => a + b, 0), 1);
      for (let i = 0; i < length * columns; i++) {
        const element = row * length * columns + i;
        const output = row * columns + i % columns;
        const weight = rowMask[Math.floor(i / columns)] / count;
        expected[output] += weight * operands.x.values[element];
        expectedGradient[element] = weight * operands.dy.values[output];
      }
    }
    for (const [, gpu] of variants(await testDevice())) {
      const { y, dx } = await evaluate(gpu, operands, ({ x, mask, dy }) => {
        const y = maskedMean(x, mask);
        return { y, dx: gradients(contraction(y, dy), [x])[0]! };
      });
      assertClose(y, expected, { what: "y" });
      assertClose(dx, expectedGradient, { what: "dx" });
    }
  });
}

test("agrees with the reference implementation's pooling", async () => {
  const operands = {
    x: { shape: [2, 4, 3], values: Float32Array.from(fixture.hidden.flat(2)) },
    mask: { shape: [2, 4], values: Int32Array.from(fixture.mask.flat()) },
  };
  const { y } = await evaluate(
    await testDevice(),
    operands,
    ({ x, mask }) => ({ y: maskedMean(x, mask) }),
  );
  assertClose(y, fixture.pooled.flat(), { absolute: 1e-6 });
});

test("agrees with finite differences", async () => {
  const operands = {
    x: operand([2, 3, 2], 4),
    mask: { shape: [2, 3], values: Int32Array.of(1, 1, 0, 1, 0, 0) },
  };
  await checkGradient(
    await testDevice(),
    operands,
    ["x"],
    ({ x, mask }) => maskedMean(x, mask),
  );
});

test("shows a NaN even at a masked position", async () => {
  const x = new Float32Array(4);
  x[2] = NaN;
  const operands = {
    x: { shape: [1, 2, 2], values: x },
    mask: { shape: [1, 2], values: Int32Array.of(1, 0) },
  };
  const { y } = await evaluate(
    await testDevice(),
    operands,
    ({ x, mask }) => ({ y: maskedMean(x, mask) }),
  );
  assert.equal(Array.from(y), [NaN, 0]);
});

test("refuses a mask of another shape or type", () => {
  const x = input("x", [2, 3, 4]);
  for (const mask of [input("mask", [3, 2], "i32"), input("mask", [2, 3])]) {
    assert.throws(() => maskedMean(x, mask), (error: Error) => error instanceof ShapeError);
  }
});

test.run();
