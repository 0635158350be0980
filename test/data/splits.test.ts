import { suite } from "uvu";
import * as assert from "uvu/assert";
import { loadDivided, sample } from "../../src/data/splits.ts";
import { taskNames } from "../../src/data/tasks.ts";
import type { Dataset, Example, Split } from "../../src/data/types.ts";
import { UserError } from "../../src/errors.ts";
import { referenceFormats } from "./folder.ts";

const test = suite("splits");

const examples = (split: string, count: number): Example[] =>
  Array.from({ length: count }, (_, i) => ({ task: "t", source: `${split} ${i}`, target: "0" }));

const published: Record<Split, Example[]> = {
  train: examples("train", 1500),
  validation: examples("validation", 21),
  test: examples("validation", 21),
};

/** As a reader does: only the splits asked for, which it notes. */
function loader(asked: Split[][] = []) {
  return (splits: readonly Split[]): Promise<Dataset> => {
    asked.push([...splits].sort());
    return Promise.resolve({
      task: { name: "t", description: "", metrics: ["accuracy"] },
      splits: Object.fromEntries(splits.map((split) => [split, published[split]])),
    });
  };
}

const all: Split[] = ["train", "validation", "test"];
const sources = (examples: readonly Example[] = []) => examples.map(({ source }) => source);

test("a small task's published validation split is halved", async () => {
  const { splits } = await loadDivided("rte", loader(), all, 1);
  assert.is(splits.train, published.train);
  assert.equal([splits.validation!.length, splits.test!.length], [10, 11]);
  const both = [...sources(splits.validation), ...sources(splits.test)];
  assert.equal(both.sort(), sources(published.validation).sort());
});

test("a large task validates on a thousand of its training examples", async () => {
  const { splits } = await loadDivided("sst2", loader(), all, 1);
  assert.equal([splits.train!.length, splits.validation!.length], [500, 1000]);
  const both = [...sources(splits.train), ...sources(splits.validation)];
  assert.equal(both.sort(), sources(published.train).sort());
  assert.is(splits.test, published.test);
});

test("other tasks stay as they are", async () => {
  assert.equal((await loadDivided("mnli", loader(), all, 1)).splits, published);
});

test("a division depends on the seed and the task, not on what is asked for", async () => {
  for (const name of ["rte", "sst2"]) {
    const { splits } = await loadDivided(name, loader(), all, 1);
    const alone = await loadDivided(name, loader(), ["validation"], 1);
    assert.equal(alone.splits, { validation: splits.validation });
    const other = await loadDivided(name, loader(), all, 2);
    assert.not.equal(sources(other.splits.validation), sources(splits.validation));
  }
});

test("only what is needed is read", async () => {
  const asked: Split[][] = [];
  await loadDivided("rte", loader(asked), ["validation", "test"], 1);
  await loadDivided("sst2", loader(asked), ["validation"], 1);
  await loadDivided("sst2", loader(asked), ["test"], 1);
  assert.equal(asked, [["validation"], ["train"], ["test"]]);
});

test("too small a training split is refused", async () => {
  const few = () => loader()(["train"]).then(({ task }) => ({ task, splits: { train: [] } }));
  const error = await loadDivided("qqp", few, ["train"], 1).catch((error) => error);
  assert.instance(error, UserError);
  assert.match(error.message, /^the task qqp has 0 training examples, too few to make 1000 /);
});

test("small and large are the reference's", async () => {
  for (const name of taskNames.filter((name) => name in referenceFormats)) {
    const { splits } = await loadDivided(name, loader(), all, 1);
    const { in_small_split_list: small, in_large_split_list: large } = referenceFormats[name];
    assert.is(splits.validation!.length, small ? 10 : large ? 1000 : 21, name);
  }
});

test("a sample is drawn without repetition, and is everything where it is large enough", () => {
  const drawn = sample(published.train, 100, "t", 1);
  assert.is(new Set(sources(drawn)).size, 100);
  assert.equal(sample(published.train, 100, "t", 1), drawn);
  assert.not.equal(sources(drawn), sources(published.train).slice(0, 100));
  for (const limit of [0, 1500]) assert.is(sample(published.train, limit, "t", 1), published.train);
});

test.run();
