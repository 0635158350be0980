import { suite } from "uvu";
import * as assert from "uvu/assert";
import { input } from "../../../src/graph/leaves.ts";
import { crossAttentionStep } from "../../../src/graph/ops/cross-attention-step.ts";
import { ShapeError } from "../../../src/graph/tensor.ts";
import { testDevice } from "../device.ts";
import { referenceAttention } from "./attention-reference.ts";
import { assertClose, evaluate, operand } from "./check.ts";
import { chosenVariants } from "./variants.ts";

const test = suite("crossAttentionStep");
const device = await testDevice();

/** Batch, sequences, heads, head size, length. */
const problems = [
  [1, 1, 1, 1, 1],
  [1, 1, 8, 32, 64],
  [3, 1, 2, 12, 70],
  [2, 4, 3, 5, 9],
  [2, 3, 2, 64, 130],
  [1, 2, 1, 96, 3],
  [1, 1, 2, 66, 5],
];

for (const [variant, gpu] of chosenVariants(device)) {
  for (const [batch, queries, heads, headSize, length] of problems) {
    test(`${variant}: ${batch}×${queries} sequences, ${heads} heads of ${headSize}, ${length} keys`, async () => {
      const width = heads * headSize;
      // Of the first element all keys, then fewer, of the last none.
      const keyMask = Int32Array.from({ length: batch * length }, (_, i) => {
        const row = Math.floor(i / length);
        return Number(row === 0 || (row < batch - 1 && i % length < 3));
      });
      const operands = {
        query: operand([batch, queries, width], 1),
        key: operand([batch, length, width], 2),
        value: operand([batch, length, width], 3),
        keyMask: { shape: [batch, length], values: keyMask },
      };
      const { y } = await evaluate(gpu, operands, ({ query, key, value, keyMask }) => ({
        y: crossAttentionStep(query, { key, value }, { heads, keyMask, maskValue: -1e9 }),
      }));
      const { output } = referenceAttention({
        ...{ batch, heads, headSize, queryLength: queries, keyLength: length, maskValue: -1e9 },
        query: operands.query.values,
        key: operands.key.values,
        value: operands.value.values,
        keyMask,
      }, new Float64Array(batch * queries * width));
      // Where all keys are masked, -1e9 swallows the scores' digits in f32, as in the reference.
      const masked = batch > 1 ? queries * width : 0;
      assertClose(y.slice(0, y.length - masked), output.slice(0, y.length - masked));
      if (masked === 0) return;
      const { value } = operands;
      for (let i = y.length - masked; i < y.length; i++) {
        let mean = 0;
        for (let k = 0; k < length; k++) {
          mean += value.values[((batch - 1) * length + k) * width + i % width] / length;
        }
        assertClose([y[i]], [mean]);
      }
    });
  }
}

test("operands that do not fit are refused", () => {
  const query = input("query", [2, 1, 8]), key = input("key", [2, 5, 8]);
  const keyMask = input("mask", [2, 5], "i32");
  const options = { heads: 2, keyMask, maskValue: 0 };
  const refused = (f: () => unknown, message: RegExp) =>
    assert.throws(f, (error: Error) => error instanceof ShapeError && message.test(error.message));
  const memory = { key, value: key };
  refused(() => crossAttentionStep(query, memory, { ...options, heads: 3 }), /3 heads/);
  const short = { key, value: input("value", [2, 4, 8]) };
  refused(() => crossAttentionStep(query, short, options), /key and value/);
  refused(() => crossAttentionStep(query, memory, { ...options, keyMask: key }), /i32\[2, 5\]/);
});

test.run();
