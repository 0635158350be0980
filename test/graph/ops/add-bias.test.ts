import { suite } from "uvu";
import * as assert from "uvu/assert";
import { gradients } from "../../../src/graph/gradients.ts";
import { input } from "../../../src/graph/leaves.ts";
import { addBias } from "../../../src/graph/ops/add-bias.ts";
import { broadcastRows } from "../../../src/graph/ops/broadcast-rows.ts";
import { ShapeError } from "../../../src/graph/tensor.ts";
import { testDevice } from "../device.ts";
import { assertClose, checkGradient, evaluate, operand } from "./check.ts";
import { contraction } from "./contraction.ts";

const test = suite("addBias");

for (const shape of [[1, 1], [3, 5], [2, 3, 8], [70, 67]]) {
  test(`adds to every row of [${shape}], and sums the gradient over them`, async () => {
    const columns = shape.at(-1)!;
    const operands = {
      x: operand(shape, 1),
      bias: operand([columns], 2),
      dy: operand(shape, 3),
    };
    const { y, dx, dbias } = await evaluate(await testDevice(), operands, ({ x, bias, dy }) => {
      const y = addBias(x, bias);
      const [dx, dbias] = gradients(contraction(y, dy), [x, bias]);
      return { y, dx: dx!, dbias: dbias! };
    });
    const { x, bias, dy } = operands;
    const expected = new Float64Array(columns);
    dy.values.forEach((value, i) => expected[i % columns] += value);
    assertClose(y, x.values.map((value, i) => value + bias.values[i % columns]), { what: "y" });
    assertClose(dx, dy.values, { what: "dx" });
    assertClose(dbias, expected, { what: "dbias" });
  });
}

test("agrees with finite differences", async () => {
  const operands = { x: operand([3, 4], 4), bias: operand([4], 5) };
  await checkGradient(
    await testDevice(),
    operands,
    ["x", "bias"],
    ({ x, bias }) => addBias(x, bias),
  );
});

test("broadcastRows repeats a vector, and its gradient is the sum over the rows", async () => {
  for (const columns of [3, 8]) {
    const operands = { vector: operand([columns], 1), dy: operand([5, columns], 2) };
    const { y, d } = await evaluate(await testDevice(), operands, ({ vector, dy }) => {
      const y = broadcastRows(vector, 5);
      return { y, d: gradients(contraction(y, dy), [vector])[0]! };
    });
    const expected = new Float64Array(columns);
    operands.dy.values.forEach((value, i) => expected[i % columns] += value);
    assertClose(
      y,
      Array.from({ length: 5 * columns }, (_, i) => operands.vector.values[i % columns]),
    );
    assertClose(d, expected);
  }
});

test("refuses a bias of another length", () => {
  assert.throws(
    () => addBias(input("x", [2, 3]), input("bias", [2])),
    (error: Error) => error instanceof ShapeError && error.message.includes("f32[2, 3] and f32[2]"),
  );
});

test.run();
