import { suite } from "uvu";
import * as assert from "uvu/assert";
import fixture from "../../fixtures/relative-position-bucket.json" with { type: "json" };
import { gradients } from "../../../src/graph/gradients.ts";
import { matmul } from "../../../src/graph/ops/matmul.ts";
import { firstDistances } from "../../../src/graph/ops/position-buckets.ts";
import { relativePositionBias } from "../../../src/graph/ops/relative-position-bias.ts";
import { reshape } from "../../../src/graph/ops/reshape.ts";
import { ShapeError } from "../../../src/graph/tensor.ts";
import { input } from "../../../src/graph/leaves.ts";
import { testDevice } from "../device.ts";
import { assertClose, checkGradient, evaluate, type Operand, operand } from "./check.ts";

const test = suite("relativePositionBias");
const gpu = await testDevice();

/** A table whose entries say their own row and head. */
function labelled(buckets: number, heads: number): Operand {
  const values = Float32Array.from({ length: buckets * heads }, (_, i) => i);
  return { shape: [buckets, heads], values };
}

for (const reference of fixture) {
  const { num_buckets, max_distance, bidirectional } = reference;
  const positions = { buckets: num_buckets, bidirectional, maxDistance: max_distance };
  const { relative_position_from: from, relative_position_to: to, bucket } = reference;
  const name = `${num_buckets} buckets, ${bidirectional ? "both directions" : "backward"}`;

  test(`${name}: every position from ${from} to ${to} is in the reference's bucket`, async () => {
    const queryLength = 1 - from, keyLength = to + 1, heads = 3;
    const { bias } = await evaluate(gpu, { table: labelled(num_buckets, heads) }, ({ table }) => ({
      bias: relativePositionBias(table, {
        queryLength,
        keyLength,
        bidirectional,
        maxDistance: max_distance,
      }),
    }));
    const expected = Array.from(bias, (_, i) => {
      const k = i % keyLength, q = Math.floor(i / keyLength) % queryLength;
      const head = Math.floor(i / (keyLength * queryLength));
      return bucket[k - q - from] * heads + head;
    });
    assert.equal([...bias], expected);
  });

  test(`${name}: one first distance for every bucket`, () => {
    assert.is(firstDistances(positions).length, bidirectional ? num_buckets / 2 : num_buckets);
  });
}

test("a query offset is a window into the longer bias", async () => {
  const { whole, last } = await evaluate(gpu, { table: labelled(8, 2) }, ({ table }) => {
    const shared = { keyLength: 5, bidirectional: false };
    return {
      whole: relativePositionBias(table, { ...shared, queryLength: 5 }),
      last: relativePositionBias(table, { ...shared, queryLength: 1, queryOffset: 4 }),
    };
  });
  assert.equal([...last], [...whole.slice(20, 25), ...whole.slice(45, 50)]);
});

for (const bidirectional of [true, false]) {
  for (const [queryLength, keyLength] of [[1, 1], [7, 13], [150, 3]]) {
    const direction = bidirectional ? "both directions" : "backward";
    test(`gradient of the table, ${direction}, ${queryLength} queries by ${keyLength} keys`, () =>
      checkGradient(
        gpu,
        { table: operand([8, 3]) },
        ["table"],
        ({ table }) =>
          relativePositionBias(table, { queryLength, keyLength, bidirectional, queryOffset: 2 }),
        { samples: 24, tolerance: 1e-3 },
      ));
  }
}

test("the gradient has one contribution for every pair", async () => {
  const pairs = 9 * 300;
  const ones = { shape: [pairs, 1], values: new Float32Array(pairs).fill(1) };
  const { gradient } = await evaluate(gpu, { table: operand([32, 1]), ones }, ({ table, ones }) => {
    const bias = relativePositionBias(table, {
      queryLength: 9,
      keyLength: 300,
      bidirectional: true,
    });
    const loss = matmul(reshape(bias, [1, pairs]), ones);
    return { gradient: gradients(loss, [table])[0]! };
  });
  assertClose([Array.from(gradient).reduce((a, b) => a + b)], [pairs]);
});

test("a table that is no matrix, or has an odd number of buckets, is refused", () => {
  const options = { queryLength: 2, keyLength: 2, bidirectional: true };
  assert.throws(
    () => relativePositionBias(input("table", [32], "f32"), options),
    (error: Error) => error instanceof ShapeError && /buckets, heads/.test(error.message),
  );
  assert.throws(
    () => relativePositionBias(input("table", [7, 2], "f32"), options),
    (error: Error) => error instanceof ShapeError && /even number/.test(error.message),
  );
});

test.run();
