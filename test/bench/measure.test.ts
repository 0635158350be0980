import { suite } from "uvu";
import * as assert from "uvu/assert";
import { measure, spread } from "../../src/bench/measure.ts";

const test = suite("bench/measure");

/** Work on a clock of its own: every wait costs 10 ms, the work `cost`, times a factor per call. */
function worker(cost: number, factors: readonly number[] = []) {
  let time = 0;
  const repeats: number[] = [];
  return {
    repeats,
    clock: { wall: () => time, cpu: () => time / 2 },
    run: (repeat: number) => {
      time += 10 + repeat * cost * (factors[repeats.length] ?? 1);
      repeats.push(repeat);
      return Promise.resolve();
    },
  };
}

test("short work is repeated until the wait is a small part of the time", async () => {
  const { run, clock, repeats } = worker(0.1);
  const { wall: { median } } = await measure(run, { samples: 5, sampleMilliseconds: 200 }, clock);
  assert.ok(median >= 0.1 && median < 0.1 * 1.06, `the wait shows: ${median}`);
  assert.is(new Set(repeats.slice(-5)).size, 1);
});

test("long work is waited for every time: the wait is a small part of it", async () => {
  const { run, clock, repeats } = worker(1000);
  const { wall: { median } } = await measure(run, { samples: 3, sampleMilliseconds: 200 }, clock);
  assert.equal(repeats, [1, 1, 1, 1, 1]);
  assert.is(median, 1010);
});

test("neither the first run nor a disturbed measurement counts", async () => {
  const { run, clock } = worker(100, [50, 1, 1, 7, 1, 1, 3]);
  const { wall, cpu } = await measure(run, { samples: 5, sampleMilliseconds: 1 }, clock);
  assert.equal(wall, { median: 110, least: 110, most: 710 });
  assert.equal(cpu, { median: 55, least: 55, most: 355 });
});

test("the middle of an even number of values is between two", () => {
  assert.equal(spread([4, 1, 3, 2]), { median: 2.5, least: 1, most: 4 });
  assert.equal(spread([7]), { median: 7, least: 7, most: 7 });
});

test.run();
