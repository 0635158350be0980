import { suite } from "uvu";
import * as assert from "uvu/assert";
import { stem } from "../../src/metrics/porter.ts";
import { rougeL } from "../../src/metrics/rouge.ts";
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

interface Pair {
  prediction: string;
  target: string;
  scores: { rougeL: { fmeasure: number } };
}

test("ROUGE-L is the reference's for every pair and on average", () => {
  const pairs = reference<Pair[]>("rouge_pairs");
  let mean = 0;
  for (const { prediction, target, scores } of pairs) {
    assertClose(rougeL(prediction, target), scores.rougeL.fmeasure, prediction);
    mean += 100 * rougeL(prediction, target) / pairs.length;
  }
  const { mean_fmeasure } = reference<{ mean_fmeasure: { rougeL: number } }>("rouge_corpus");
  assertClose(mean, mean_fmeasure.rougeL, "mean");
});

test.run();
