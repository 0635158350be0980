import { suite } from "uvu";
import * as assert from "uvu/assert";
import { cutContext } from "../../src/data/chunks.ts";

const test = suite("chunks");

/** Ten words of one letter. */
const offsets = Array.from({ length: 10 }, (_, i) => [2 * i, 2 * i + 1] as const);
const limits = { length: 4, overlap: 1 };
const runs = (chunks: ReturnType<typeof cutContext>) =>
  chunks.map(({ begin, end }) => [begin, end]);

test("a context that fits is one chunk, and an empty one none", () => {
  assert.equal(cutContext(offsets, [], { length: 10, overlap: 3 }), [{ begin: 0, end: 10 }]);
  assert.equal(cutContext([], [], limits), []);
});

test("chunks overlap, and no last one repeats only what was there", () => {
  assert.equal(runs(cutContext(offsets, [], limits)), [[0, 4], [3, 7], [6, 10]]);
  assert.equal(runs(cutContext(offsets.slice(0, 9), [], limits)), [[0, 4], [3, 7], [6, 9]]);
});

test("an overlap as long as a chunk does not stand still", () => {
  assert.equal(runs(cutContext(offsets.slice(0, 6), [], { length: 3, overlap: 5 })), [
    [0, 3],
    [2, 5],
    [4, 6],
  ]);
});

test("the answer of a chunk is the first one that is wholly in it", () => {
  const spans = [
    { start: 6, end: 8, answer: 0 }, // across the end of the first chunk
    { start: 2, end: 2, answer: 1 },
    { start: 18, end: 18, answer: 1 },
  ];
  assert.equal(cutContext(offsets, spans, limits).map(({ answer }) => answer), [1, 0, 1]);
});

test.run();
