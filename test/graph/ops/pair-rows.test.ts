import { suite } from "uvu";
import { pairRows } from "../../../src/graph/ops/pair-rows.ts";
import { testDevice } from "../device.ts";
import { assertClose, checkGradient, evaluate, operand } from "./check.ts";

const test = suite("ops/pair-rows");
const gpu = await testDevice();

for (const [batch, layers, m, n] of [[1, 1, 1, 1], [3, 2, 5, 10], [7, 13, 64, 10]]) {
  const operands = { z: operand([batch, m], 1), e: operand([layers, n], 2) };

  test(`${batch} instances, ${layers} layers: every z beside every e`, async () => {
    const { pairs } = await evaluate(gpu, operands, ({ z, e }) => ({ pairs: pairRows(z, e) }));
    const expected: number[] = [];
    for (let l = 0; l < layers; l++) {
      for (let b = 0; b < batch; b++) {
        expected.push(...operands.z.values.subarray(b * m, (b + 1) * m));
        expected.push(...operands.e.values.subarray(l * n, (l + 1) * n));
      }
    }
    assertClose(pairs, expected, { absolute: 0, relative: 0 });
  });

  test(`${batch} instances, ${layers} layers: gradients`, () =>
    checkGradient(gpu, operands, ["z", "e"], ({ z, e }) => pairRows(z, e)));
}

test.run();
