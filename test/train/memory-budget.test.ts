import { suite } from "uvu";
import * as assert from "uvu/assert";
import { UserError } from "../../src/errors.ts";
import { type Division, fitMemory } from "../../src/train/memory-budget.ts";

const test = suite("memory budget");

/** A device on which a row takes 10 bytes, a third of that where blocks are computed again, and all 5. */
const bytesOf = ({ parts, recompute }: Division): number =>
  5 + Math.ceil(32 / parts) * (recompute ? 3 : 10);

const chosen = (maxBytes: number) => {
  const { parts, recompute, bytes } = fitMemory(32, maxBytes, bytesOf);
  assert.is(bytes, bytesOf({ parts, recompute }));
  assert.ok(bytes <= maxBytes);
  return [parts, recompute];
};

test("what is fastest and fits is chosen: whole batches, then smaller ones, then computing again", () => {
  assert.equal(chosen(1e9), [1, false]);
  assert.equal(chosen(325), [1, false]);
  assert.equal(chosen(324), [2, false]);
  assert.equal(chosen(85), [4, false]);
  assert.equal(chosen(84), [2, true]);
  assert.equal(chosen(29), [4, true]);
  assert.equal(chosen(28), [8, true]);
  assert.equal(chosen(8), [32, true]);
});

test("where nothing fits, the error says how much would", () => {
  assert.throws(
    () => fitMemory(32, 7e6, (division) => 1e6 * bytesOf(division)),
    (error: Error) =>
      error instanceof UserError && /is 7.0 MB, .* needs 8.0 MB/.test(error.message),
  );
});

test.run();
