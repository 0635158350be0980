import { suite } from "uvu";
import * as assert from "uvu/assert";
import { UserError } from "../../src/errors.ts";
import { Mixture, mixtureWeights } from "../../src/data/mixture.ts";
import type { Dataset } from "../../src/data/types.ts";

const test = suite("mixture");

/** A task whose examples are `name-0`, `name-1`, … */
function dataset(name: string, size: number): Dataset {
  const train = Array.from(
    { length: size },
    (_, i) => ({ task: name, source: `${name}-${i}`, target: "1" }),
  );
  return { task: { name, description: "", metrics: ["accuracy"] }, splits: { train } };
}

const sources = (mixture: Mixture, first: number, count: number) =>
  Array.from({ length: count }, (_, i) => mixture.example(first + i).source);

const distinct = (values: string[]) => new Set(values).size;

interface SamplerCase {
  dataset_sizes: number[];
  temperature?: number;
  weights: number[];
}

test("weights are the reference's", async () => {
  const fixture = new URL("../fixtures/metrics.json", import.meta.url);
  const cases: SamplerCase[] = JSON.parse(await Deno.readTextFile(fixture)).multitask_sampler;
  for (const { dataset_sizes, temperature, weights } of cases) {
    // The reference's even sampler has no temperature: it is the limit of a very high one.
    const actual = mixtureWeights(dataset_sizes, temperature ?? Infinity);
    actual.forEach((weight, i) => assert.ok(Math.abs(weight / weights[i] - 1) < 1e-9));
  }
});

test("at temperature 1 an epoch is every example once, in another order each time", () => {
  const mixture = new Mixture([dataset("a", 30), dataset("b", 7)], { seed: 1 });
  assert.is(mixture.epochSize, 37);
  const [first, second] = [sources(mixture, 0, 37), sources(mixture, 37, 37)];
  assert.is(distinct(first), 37);
  assert.is(distinct(second), 37);
  assert.not.equal(first, second);
});

test("a high temperature mixes evenly, and repeats no example before its task is used up", () => {
  const mixture = new Mixture([dataset("large", 90), dataset("small", 10)], {
    seed: 1,
    temperature: 1e6,
  });
  assert.equal(mixture.places, { large: 50, small: 50 });
  const epochs = sources(mixture, 0, 500);
  for (const [name, size] of [["large", 90], ["small", 10]] as const) {
    const drawn = epochs.filter((source) => source.startsWith(name));
    assert.is(drawn.length, 250);
    for (let start = 0; start + size <= drawn.length; start += size) {
      assert.is(distinct(drawn.slice(start, start + size)), size);
    }
  }
});

test("tasks are scattered over the epoch", () => {
  const mixture = new Mixture([dataset("a", 500), dataset("b", 500)], { seed: 3 });
  const inFirstHalf = sources(mixture, 0, 500).filter((source) => source.startsWith("a")).length;
  assert.ok(Math.abs(inFirstHalf - 250) < 50, `${inFirstHalf} of 500`);
});

test("a small task is never left out", () => {
  const mixture = new Mixture([dataset("large", 1000), dataset("tiny", 1)], {
    seed: 1,
    temperature: 0.5,
  });
  assert.is(mixture.places.tiny, 1);
});

test("an example depends on seed and position alone", () => {
  const make = (seed: number) => new Mixture([dataset("a", 40), dataset("b", 9)], { seed });
  const whole = sources(make(5), 0, 200);
  assert.equal(sources(make(5), 120, 80), whole.slice(120), "opened in the middle");
  const backwards = make(5);
  assert.equal(
    whole.map((_, i) => backwards.example(199 - i).source).reverse(),
    whole,
    "read backwards",
  );
  assert.not.equal(sources(make(6), 0, 200), whole, "another seed");
});

test("what cannot be mixed is refused", () => {
  const isUserError = (pattern: RegExp) => (error: Error) =>
    error instanceof UserError && pattern.test(error.message);
  assert.throws(() => new Mixture([], { seed: 1 }), isUserError(/at least one task/));
  assert.throws(
    () => new Mixture([dataset("a", 3), dataset("b", 0)], { seed: 1 }),
    isUserError(/b has no train examples/),
  );
  assert.throws(
    () => new Mixture([dataset("a", 3)], { seed: 1, split: "test" }),
    isUserError(/a has no test examples/),
  );
  for (const temperature of [0, -1, NaN]) {
    assert.throws(
      () => new Mixture([dataset("a", 3)], { seed: 1, temperature }),
      isUserError(/temperature/),
    );
  }
});

test.run();
