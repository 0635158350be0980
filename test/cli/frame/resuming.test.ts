import { suite } from "uvu";
import * as assert from "uvu/assert";
import { changesOf, describeChanges, resumedOptions } from "../../../cli/frame/resuming.ts";
import { type Options, resolveSettings } from "../../../src/train/settings.ts";
import { tinyConfig } from "../../train/tiny-model.ts";

const test = suite("frame/resuming");

/** The settings that options come to, with 80 training examples. */
const resolved = (options: Options) =>
  resolveSettings(options, tinyConfig, "config.json", ["rte"], 80).settings;

const begun = resolved({
  model: "/t5",
  steps: 1000,
  batchSize: 8,
  learningRate: 0.001,
  warmupSteps: 0.1,
  evalEvery: 100,
});

/** What is said when a run that has made `done` updates goes on with some options. */
function said(options: Options, done = 1000, from = begun): string[] {
  const now = resolved(resumedOptions("runs/x", from, options));
  return describeChanges(changesOf("runs/x", from, now, done), from, now, done);
}

test("more updates move the end of the schedule, and the learning rate with it", () => {
  assert.equal(said({ steps: 2000 }), [
    "The run ends after 2000 updates instead of 1000, 1000 of which are made: the linear schedule is " +
    "now that of 2000 updates and falls to 0 there; the learning rate of the next one is 0.000526, " +
    "and would have been 0.",
  ]);
  const polynomial = resolved({ ...begun, schedule: "polynomial", scheduleEnd: 1e-6 });
  assert.match(
    said({ steps: 1500 }, 500, polynomial)[0],
    /polynomial schedule .* falls to 0\.000001/,
  );
  for (
    const options of [{ schedule: "constant" }, {
      optimizer: "adafactor",
      adafactorRelativeStep: true,
    }] as const
  ) {
    const [sentence] = said({ steps: 1500 }, 400, resolved({ ...begun, ...options }));
    assert.match(
      sentence,
      /^The run ends after 1500 .*, 400 of which are made: the learning rate stays [\d.]+\.$/,
    );
  }
});

test("epochs are counted when the data is known, and the warm-up is what it was", () => {
  const options = resumedOptions("runs/x", begun, { epochs: 150, warmupSteps: 0.1 });
  const { steps, warmupSteps } = resolved(options);
  assert.equal([steps, warmupSteps], [1500, 100]);
  assert.equal(said({ epochs: 100 }), []); // which is what it was begun with
});

test("what only looks at a run can be changed, and is told", () => {
  assert.equal(
    said({ evalEvery: "epoch", finalSplits: ["validation"], loadBest: false, testLimit: 3 }),
    [
      "evalEvery is 10 from here on, and was 100.",
      'finalSplits is ["validation"] from here on, and was ["test"].',
      "loadBest is false from here on, and was true.",
      "testLimit is 3 from here on, and was 0.",
    ].toSorted((a, b) => order(a) - order(b)),
  );
});

/** The place of a sentence's setting among all. */
function order(sentence: string): number {
  return Object.keys(begun).indexOf(sentence.split(" ", 1)[0]);
}

test("what the weights come from cannot be changed, and a run cannot end before it is", () => {
  const refused: Options[] = [
    { learningRate: 0.002 },
    { schedule: "cosine" },
    { accumulateMean: "batches" },
    { evalLimit: 7 },
    { recompute: true },
    { seed: 1 },
  ];
  for (const options of refused) {
    const [key] = Object.keys(options);
    assert.throws(
      () => resumedOptions("runs/x", begun, options),
      new RegExp(`^${key} is .* here, but runs/x was begun with .*: leave it out to resume`),
    );
  }
  assert.throws(
    () => said({ steps: 900 }),
    /^runs\/x has made 1000 updates, so that it cannot end with 900/,
  );
  assert.is(said({ steps: 900 }, 900).length, 1);
});

test.run();
