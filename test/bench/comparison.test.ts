import { suite } from "uvu";
import * as assert from "uvu/assert";
import { compare, type Contender } from "../../src/bench/peers/comparison.ts";
import { positionBuckets } from "../../src/bench/inputs.ts";
import { referenceBucket } from "../graph/ops/attention-reference.ts";

const test = suite("bench/comparison");

/** Two frameworks on one clock: a wait of 10 ms, and a cost by unit of work. */
function race(costs: readonly [number, number], results: readonly number[][]) {
  let time = 0;
  const log: string[] = [];
  const contender = (which: number) => (): Contender => ({
    run: (count) => {
      time += 10 + count * costs[which];
      log.push(`${which}×${count}`);
      return Promise.resolve([results[which]]);
    },
    destroy: () => void log.push(`${which} ends`),
  });
  return {
    log,
    clock: { wall: () => time, cpu: () => 2 * time },
    contest: {
      work: "work",
      peer: "peer",
      ours: contender(0),
      theirs: contender(1),
      tolerance: 0.01,
      units: 5,
    },
  };
}

test("two frameworks take turns of about the same length", async () => {
  const { contest, clock, log } = race([20, 90], [[1, 2], [1, 2.01]]);
  const result = await compare(contest, clock, { turns: 3, milliseconds: 200 });
  // Once for the result; once more, and then as often as it takes to see how long it takes.
  assert.equal(log.slice(0, 9), [
    ...["0×1", "1×1"],
    ...["0×1", "0×1", "0×2", "0×4", "0×8"],
    ...["1×1", "1×1"],
  ]);
  const turn = ["0×10", "1×2"];
  assert.equal(log.slice(9), [...turn, ...turn, ...turn, "0 ends", "1 ends"]);
  assert.is(result.ours.median, (10 + 10 * 20) / 10 / 5);
  assert.is(result.theirs.median, (10 + 2 * 90) / 2 / 5);
  assert.ok(Math.abs(result.ratio.median - 95 / 21) < 1e-9);
  assert.ok(Math.abs(result.cpuRatio!.median - result.ratio.median) < 1e-9);
});

test("a peer is believed only if it comes to the same numbers", async () => {
  for (const wrong of [[1, 2.1], [1, NaN], [1]]) {
    const { contest, clock, log } = race([1, 1], [[1, 2], wrong]);
    try {
      await compare(contest, clock);
      assert.unreachable(`${wrong} was accepted`);
    } catch (error) {
      assert.match((error as Error).message, /^peer comes to another result of work/);
    }
    assert.is(log.length, 2, "nothing is timed before");
  }
});

test("the peers' position buckets are those of the reference", () => {
  const length = 40, buckets = 32;
  for (const bidirectional of [true, false]) {
    const bucket = referenceBucket({ buckets, bidirectional });
    const expected = Array.from(
      { length: length ** 2 },
      (_, i) => bucket(i % length - Math.floor(i / length)),
    );
    assert.equal([...positionBuckets(length, buckets, bidirectional)], expected);
  }
});

test.run();
