import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { MetricName, TaskSpecification } from "../../src/data/types.ts";
import { parseInteger, parseReal } from "../../src/metrics/numbers.ts";
import { meanScore, score } from "../../src/metrics/score.ts";
import { number, reference } from "./fixture.ts";

const test = suite("score");

const task = (...metrics: MetricName[]): TaskSpecification => ({
  name: "task",
  description: "",
  metrics,
});

interface PostProcessors {
  cases: { input: string; string_to_float: number | string; string_to_int: number }[];
}

test("numbers in text are read as Python reads them", () => {
  for (const { input, ...expected } of reference<PostProcessors>("post_processors").cases) {
    assert.is(parseInteger(input), expected.string_to_int, JSON.stringify(input));
    const isSame = Object.is(parseReal(input), number(expected.string_to_float)); // NaN as well
    assert.ok(isSame, JSON.stringify(input));
  }
});

test("classes are compared as text where every metric is accuracy", () => {
  assert.equal(score(task("accuracy"), ["1", " 1", "entailment", ""], ["1", "1", "1", "1"]), {
    accuracy: 25,
  });
});

test("classes are compared as numbers where there is F1 or Matthews beside it", () => {
  const predictions = ["1", " 1", "01", "yes"];
  assert.equal(score(task("f1", "accuracy"), predictions, ["1", "1", "1", "0"]), {
    f1: 100 * 6 / 7,
    accuracy: 75,
  });
});

test("similarity that is no number counts as -1", () => {
  const scores = (predictions: string[]) =>
    score(task("pearson", "spearman"), predictions, ["1.0", "2.4", "5.0"]);
  assert.equal(scores(["none", "2.2", "4.8"]), scores(["-1", "2.2", "4.8"]));
});

test("answers and summaries are scored in percent", () => {
  const scores = score(
    task("exact_match", "token_f1", "rouge_l"),
    ["The cat.", "a big dog"],
    ["cat", "dog"],
  );
  const f1 = (2 * 1) / (2 + 1);
  assert.equal(scores, {
    exact_match: 50,
    token_f1: 100 * (1 + f1) / 2,
    rouge_l: 100 * (2 / 3 + 1 / 2) / 2,
  });
});

test("a sentence is a line to ROUGE-Lsum, and BLEU is that of all together", () => {
  const prediction = "It rained. We left.", target = "We left. It rained.";
  assert.equal(score(task("rouge_lsum", "rouge_l"), [prediction], [target]), {
    rouge_lsum: 100,
    rouge_l: 50,
  });
  assert.is(score(task("bleu"), ["a b c d", "e"], ["a b c d", "e"]).bleu, 100);
});

test("of several answers any will do", () => {
  const scores = score(task("exact_match", "token_f1", "accuracy"), ["b"], [["a", "the B"]]);
  assert.equal(scores, { exact_match: 100, token_f1: 100, accuracy: 0 });
});

test("a task's figure is the mean of its metrics", () => {
  assert.is(meanScore({ f1: 60, accuracy: 80 }), 70);
});

test("predictions and targets must pair up", () => {
  assert.throws(() => score(task("accuracy"), ["1"], ["1", "0"]), /1 predictions for 2 targets/);
  assert.throws(() => score(task("accuracy"), [], []), RangeError);
});

test.run();
