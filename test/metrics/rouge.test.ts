import { suite } from "uvu";
import * as assert from "uvu/assert";
import { stem } from "../../src/metrics/porter.ts";
import { rougeL, rougeLsum, rougeN } from "../../src/metrics/rouge.ts";
import { assertClose, reference } from "./fixture.ts";

const test = suite("rouge");

test("words are stemmed as by NLTK", () => {
  const stems = reference<Record<string, string>>("porter_stemmer_nltk_extensions");
  for (const [word, expected] of Object.entries(stems)) assert.is(stem(word), expected, word);
});

test("rare suffixes are stemmed as by NLTK", () => {
  const stems = {
    realli: "realli",
    generalli: "gener",
    hopefulli: "hope",
    apologi: "apolog",
    died: "die",
    owing: "owe",
    by: "by",
    constructor: "constructor",
    psychology: "psycholog",
  };
  for (const [word, expected] of Object.entries(stems)) assert.is(stem(word), expected, word);
});

const measures = {
  rouge1: (prediction: string, target: string) => rougeN(1, prediction, target),
  rouge2: (prediction: string, target: string) => rougeN(2, prediction, target),
  rougeL,
  rougeLsum,
};

interface Pair {
  prediction: string;
  target: string;
  scores: Record<keyof typeof measures, { precision: number; recall: number; fmeasure: number }>;
}

test("ROUGE is the reference's for every pair and on average", () => {
  const pairs = reference<Pair[]>("rouge_pairs");
  const { mean_fmeasure } = reference<{ mean_fmeasure: Record<string, number> }>("rouge_corpus");
  for (const [name, measure] of Object.entries(measures)) {
    let mean = 0;
    for (const { prediction, target, scores } of pairs) {
      const expected = scores[name as keyof typeof measures];
      const { precision, recall, f1 } = measure(prediction, target);
      assertClose(precision, expected.precision, `precision of ${name} of ${prediction}`);
      assertClose(recall, expected.recall, `recall of ${name} of ${prediction}`);
      assertClose(f1, expected.fmeasure, `${name} of ${prediction}`);
      mean += 100 * f1 / pairs.length;
    }
    assertClose(mean, mean_fmeasure[name], name);
  }
});

test("sentences that change places are all found by ROUGE-Lsum alone", () => {
  const [prediction, target] = ["one two.\nthree four five.", "three four five.\none two."];
  assert.is(rougeLsum(prediction, target).f1, 1);
  assert.is(rougeL(prediction, target).f1, 0.6);
  // A word is found no more often than both texts have it.
  assertClose(rougeLsum("a\nb", "a b\na b").f1, 2 * 2 / 6, "repeated");
});

test.run();
