/** That the attentions which are compared compute the same, and what of it grows with length. */

import { suite } from "uvu";
import * as assert from "uvu/assert";
import { attentionContests, attentionMemory } from "../../src/bench/attention/attention.ts";
import { fusedAttention } from "../../src/bench/attention/fused.ts";
import { softmax } from "../../src/bench/attention/softmax.ts";
import { unfusedAttention } from "../../src/bench/attention/unfused.ts";
import { testDevice } from "../graph/device.ts";
import { checkGradient, evaluate, operand } from "../graph/ops/check.ts";
import { chosenVariants } from "../graph/ops/variants.ts";

const test = suite("bench/attention");
const gpu = await testDevice();

for (const [variant, device] of chosenVariants(gpu)) {
  for (const columns of [1, 7, 40]) {
    test(`softmax of rows of ${columns} with penalties: ${variant}`, async () => {
      const scores = operand([2, 3, columns], 1, 4), penalties = operand([2, columns], 2, 4);
      const { weights } = await evaluate(
        device,
        { scores, penalties },
        ({ scores, penalties }) => ({ weights: softmax(scores, penalties) }),
      );
      for (let row = 0; row < 6; row++) {
        const exponentials = Array.from(
          { length: columns },
          (_, i) =>
            Math.exp(
              scores.values[row * columns + i] +
                penalties.values[Math.floor(row / 3) * columns + i],
            ),
        );
        const total = exponentials.reduce((a, b) => a + b);
        exponentials.forEach((value, i) => {
          const difference = Math.abs(weights[row * columns + i] - value / total);
          assert.ok(difference < 1e-6, `row ${row}, column ${i}: ${difference}`);
        });
      }
    });
  }

  test(`gradient of softmax: ${variant}`, async () => {
    const operands = { scores: operand([2, 3, 8], 1, 2), penalties: operand([2, 8], 2) };
    await checkGradient(
      device,
      operands,
      ["scores"],
      ({ scores, penalties }) => softmax(scores, penalties),
    );
  });

  test(`in one op or in many, with the same dropout: ${variant}`, async () => {
    for (const dropoutRate of [0, 0.3]) {
      const problem = { batch: 2, heads: 3, headDim: 8, length: 24, dropoutRate };
      const fused = await fusedAttention(device, problem);
      const unfused = await unfusedAttention(device, problem);
      const results = [await fused.run(1), await unfused.run(2)];
      await fused.destroy();
      await unfused.destroy();
      assert.equal(results.map((values) => values.length), [5, 5]);
      results[0].forEach((values, i) => {
        const largest = Math.max(...Array.from(values, Math.abs));
        assert.ok(largest > 0);
        for (let j = 0; j < values.length; j++) {
          assert.ok(Math.abs(values[j] - results[1][i][j]) < 1e-4 * largest, `kind ${i}`);
        }
      });
    }
  });
}

test("without peers, the same work is compared with the ops of this project alone", () => {
  const contests = attentionContests(gpu, undefined);
  assert.ok(contests.length > 0);
  for (const { peer } of contests) assert.is(peer, "unfused ops here");
});

test.exhaustive("memory grows linearly in one op, and quadratically in many", async () => {
  if (!("GPUDevice" in globalThis)) return; // the census counts nothing under Dawn's bindings
  const told: string[] = [];
  const curves = await attentionMemory(gpu, undefined, (name) => told.push(name), [256, 512]);
  assert.equal(told, curves.map(({ name }) => name));
  for (const { name, lengths, bytes: [before, last] } of curves) {
    assert.equal(lengths, [256, 512]);
    assert.ok(name.startsWith("unfused") ? last > 3 * before : last < 2.05 * before, name);
  }
});

test.run();
