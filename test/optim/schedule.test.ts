import { suite } from "uvu";
import * as assert from "uvu/assert";
import {
  createSchedule,
  polynomialSchedule,
  referenceSchedules,
  relativeStepSize,
  scheduleNames,
} from "../../src/optim/schedule.ts";

// The values themselves are compared with transformers' in vectors.test.ts.
const test = suite("schedules");

test("every schedule but the constant one rises from 0 and is finite wherever it is asked", () => {
  for (const name of scheduleNames) {
    for (const [warmup, total] of [[0, 0], [0, 1], [3, 10], [4, 4], [8, 6]]) {
      const factor = createSchedule(name, { warmup, total });
      if (warmup > 0) assert.is(factor(0), name === "constant" ? 1 : 0, name);
      for (let step = 0; step < 20; step++) {
        assert.ok(factor(step) >= 0 && factor(step) <= 1, `${name} ${warmup} ${total} at ${step}`);
      }
    }
  }
});

test("the reference's names are all there and lead to all of ours", () => {
  assert.equal(Object.values(referenceSchedules), [...scheduleNames]);
});

test("a polynomial with as much warm-up as updates ends where it is told", () => {
  const factor = polynomialSchedule(4, 4, 2, 0.1);
  assert.equal([3, 4, 5].map(factor), [0.75, 1, 0.1]);
});

test("Adafactor's own rate falls with the root of the update, after a rise if there is one", () => {
  assert.equal([0, 99, 10_000 - 1, 40_000 - 1].map(relativeStepSize(false)), [
    0.01,
    0.01,
    0.01,
    0.005,
  ]);
  assert.equal([0, 9_999, 250_000 - 1].map(relativeStepSize(true)), [1e-6, 0.01, 0.002]);
});

test.run();
