import { suite } from "uvu";
import * as assert from "uvu/assert";
import { compile } from "../../../src/graph/compile.ts";
import { input } from "../../../src/graph/leaves.ts";
import { selfAttentionStep } from "../../../src/graph/ops/self-attention-step.ts";
import { ShapeError } from "../../../src/graph/tensor.ts";
import { testDevice } from "../device.ts";
import { referenceAttention, referenceBucket } from "./attention-reference.ts";
import { assertClose, values } from "./check.ts";
import { variable } from "./variables.ts";
import { chosenVariants } from "./variants.ts";

const test = suite("selfAttentionStep");
const device = await testDevice();

interface Problem {
  readonly batch: number;
  readonly queries: number;
  readonly heads: number;
  readonly headSize: number;
  readonly length: number;
  readonly position: number;
  /** The slot of an earlier token; a sequence's own where it is undefined. */
  readonly slotOf?: (row: number, token: number) => number;
}

/** First, last and middle places, heads of whole vectors and not, of more features than a block has. */
const problems: Problem[] = [
  { batch: 1, queries: 1, heads: 1, headSize: 1, length: 1, position: 0 },
  { batch: 2, queries: 1, heads: 3, headSize: 5, length: 7, position: 0 },
  { batch: 1, queries: 1, heads: 8, headSize: 32, length: 33, position: 4 },
  { batch: 3, queries: 1, heads: 2, headSize: 16, length: 9, position: 5 },
  { batch: 2, queries: 1, heads: 2, headSize: 64, length: 140, position: 139 },
  { batch: 1, queries: 1, heads: 2, headSize: 96, length: 70, position: 65 },
  { batch: 2, queries: 1, heads: 1, headSize: 66, length: 6, position: 3 },
  { batch: 2, queries: 3, heads: 2, headSize: 7, length: 70, position: 67 },
  {
    ...{ batch: 2, queries: 3, heads: 2, headSize: 8, length: 70, position: 67 },
    slotOf: (row, token) => (row + 7 * token + Math.floor(token / 5)) % 3,
  },
  {
    ...{ batch: 1, queries: 2, heads: 3, headSize: 3, length: 5, position: 4 },
    slotOf: (_, token) => token % 2,
  },
];

for (const [variant, gpu] of chosenVariants(device)) {
  for (const problem of problems) {
    const { batch, queries, heads, headSize, length, position, slotOf } = problem;
    const name =
      `${batch}×${queries} sequences, ${heads} heads of ${headSize}, token ${position} ` +
      `of ${length}${slotOf ? ", of changing ancestors" : ""}`;
    test(`${variant}: ${name}`, async () => {
      const width = heads * headSize, rows = batch * queries, buckets = 32;
      const cacheShape = [batch, length, queries * width];
      const packed = values([rows, 3, width], 1), table = values([buckets, heads], 4);
      const caches = { key: values(cacheShape, 2), value: values(cacheShape, 3) };
      const routes = slotOf && Uint32Array.from(
        { length: rows * length },
        (_, i) => slotOf(Math.floor(i / length), i % length),
      );
      const cache = {
        key: variable(gpu, "keys", cacheShape, caches.key),
        value: variable(gpu, "values", cacheShape, caches.value),
      };
      const step = selfAttentionStep(input("packed", [batch, queries, 3 * width]), cache, {
        heads,
        position: input("position", [1], "u32"),
        table: input("table", [buckets, heads]),
        ancestors: routes && input("ancestors", [batch, queries, length], "u32"),
      });
      const program = await compile(gpu, { outputs: { ...step } });
      const result = await program.run({
        ...{ packed, table, position: Uint32Array.of(position) },
        ...(routes && { ancestors: routes }),
      }, ["context", "key", "value"]);
      program.destroy();

      const part = (row: number, i: number) =>
        packed.subarray((3 * row + i) * width, (3 * row + i + 1) * width);
      const bucket = referenceBucket({ buckets, bidirectional: false });
      for (let row = 0; row < rows; row++) {
        const b = Math.floor(row / queries), own = row % queries;
        const start = (k: number, slot: number) => ((b * length + k) * queries + slot) * width;
        /** Keys or values of the sequence so far. */
        const history = (name: "key" | "value", i: number) => [
          ...Array.from({ length: position }, (_, k) => {
            const at = start(k, slotOf ? slotOf(row, k) : own);
            return [...caches[name].subarray(at, at + width)];
          }).flat(),
          ...part(row, i),
        ];
        const expected = referenceAttention({
          ...{ batch: 1, heads, headSize, queryLength: 1, keyLength: position + 1, maskValue: 0 },
          ...{ query: part(row, 0), key: history("key", 1), value: history("value", 2) },
          positions: { table, bucket: (key) => bucket(key - position) },
        }, new Float64Array(width)).output;
        assertClose(result.context.slice(row * width, (row + 1) * width), expected);
        caches.key.set(part(row, 1), start(position, own));
        caches.value.set(part(row, 2), start(position, own));
      }
      assert.equal(
        result.key,
        caches.key,
        "the newest keys are in the cache, and all others still",
      );
      assert.equal(result.value, caches.value);
    });
  }

  test(`${variant}: a position beyond the cache changes nothing`, async () => {
    const cache = {
      key: variable(gpu, "keys", [2, 3, 4], values([24], 1)),
      value: variable(gpu, "values", [2, 3, 4], values([24], 2)),
    };
    const step = selfAttentionStep(input("packed", [2, 1, 12]), cache, {
      heads: 1,
      position: input("position", [1], "u32"),
      table: input("table", [32, 1]),
    });
    const program = await compile(gpu, { outputs: { ...step } });
    const { key, value } = await program.run({
      packed: values([24], 3),
      table: new Float32Array(32),
      position: Uint32Array.of(3),
    }, ["key", "value"]);
    program.destroy();
    assert.equal(key, values([24], 1));
    assert.equal(value, values([24], 2));
  });
}

test("operands that do not fit are refused", () => {
  const packed = input("packed", [2, 3, 24]), cached = input("cached", [2, 5, 24]);
  const position = input("position", [1], "u32"), table = input("table", [32, 2]);
  const cache = { key: cached, value: cached };
  const options = { heads: 2, position, table };
  const refused = (f: () => unknown, message: RegExp) =>
    assert.throws(f, (error: Error) => error instanceof ShapeError && message.test(error.message));
  refused(() => selfAttentionStep(packed, cache, { ...options, heads: 3 }), /3 heads/);
  const short = { key: cached, value: input("short", [2, 5, 8]) };
  refused(() => selfAttentionStep(packed, short, options), /K · features/);
  refused(() => selfAttentionStep(packed, cache, { ...options, position: table }), /position/);
  refused(() => selfAttentionStep(packed, cache, { ...options, table: cached }), /buckets, 2/);
  const ancestors = input("ancestors", [2, 3, 4], "u32");
  refused(() => selfAttentionStep(packed, cache, { ...options, ancestors }), /u32\[2, 3, 5\]/);
});

test.run();
