import { suite } from "uvu";
import * as assert from "uvu/assert";
import fixture from "../../fixtures/relative-position-bucket.json" with { type: "json" };
import { relativePositionBias } from "../../../src/graph/ops/relative-position-bias.ts";
import { testDevice } from "../device.ts";
import { assertClose, checkGradient, evaluate, operand } from "./check.ts";

const test = suite("ops/relative-position-bias");
const gpu = await testDevice();

for (const [i, vectors] of fixture.entries()) {
  const { num_buckets, max_distance, bidirectional, relative_position_from, bucket } = vectors;

  test(`reference vectors ${i}: ${num_buckets} buckets, ${bidirectional ? "both ways" : "causal"}`, async () => {
    // A table whose rows are their own numbers shows which bucket every pair fell into.
    const length = bucket.length;
    const keys = Math.ceil(length / 2), queries = keys;
    const { bias } = await evaluate(gpu, {
      table: {
        shape: [num_buckets, 1],
        values: Float32Array.from({ length: num_buckets }, (_, b) => b),
      },
    }, ({ table }) => ({
      bias: relativePositionBias(table, {
        queryLength: queries,
        keyLength: keys,
        bidirectional,
        maxDistance: max_distance,
      }),
    }));
    for (let q = 0; q < queries; q += 7) {
      for (let k = 0; k < keys; k++) {
        const expected = bucket[k - q - relative_position_from];
        if (expected !== undefined) assert.is(bias[q * keys + k], expected, `key ${k}, query ${q}`);
      }
    }
  });
}

for (
  const [buckets, heads, queryLength, keyLength, bidirectional] of [
    [32, 4, 9, 9, false],
    [32, 3, 17, 17, true],
    [8, 1, 1, 5, true],
    [6, 5, 7, 3, false],
    [32, 2, 150, 140, true],
  ] as const
) {
  test(`gradient: ${buckets} buckets, ${heads} heads, ${queryLength} × ${keyLength}`, () =>
    checkGradient(gpu, { table: operand([buckets, heads]) }, ["table"], ({ table }) =>
      relativePositionBias(table, { queryLength, keyLength, bidirectional })));
}

test("every head has its own column of the table", async () => {
  const table = operand([4, 3], 5);
  const { bias } = await evaluate(gpu, { table }, (leaf) => ({
    bias: relativePositionBias(leaf.table, { queryLength: 2, keyLength: 2, bidirectional: false }),
  }));
  const row = (bucket: number, head: number) => table.values[3 * bucket + head];
  const expected = [0, 1, 2].flatMap((h) => [row(0, h), row(0, h), row(1, h), row(0, h)]);
  assertClose(bias, expected, { absolute: 0, relative: 0 });
});

test.run();
