import { suite } from "uvu";
import * as assert from "uvu/assert";
import { surest } from "../../src/metrics/answers.ts";
import { score } from "../../src/metrics/score.ts";
import { exactMatch, normalizeAnswer, tokenF1 } from "../../src/metrics/squad.ts";
import { assertClose, reference } from "./fixture.ts";

const test = suite("squad");

interface Pair {
  prediction: string;
  ground_truth: string;
  normalized_prediction: string;
  normalized_ground_truth: string;
  f1: number;
  exact_match: boolean;
}
const pairs = reference<Pair[]>("squad_pairs");

test("answers are normalised as by the official script", () => {
  for (const pair of pairs) {
    assert.is(normalizeAnswer(pair.prediction), pair.normalized_prediction);
    assert.is(normalizeAnswer(pair.ground_truth), pair.normalized_ground_truth);
  }
});

test("exact match and F1 are the reference's for every pair and on average", () => {
  let exact = 0, f1 = 0;
  for (const { prediction, ground_truth, ...expected } of pairs) {
    assert.is(exactMatch(prediction, ground_truth), Number(expected.exact_match), prediction);
    assertClose(tokenF1(prediction, ground_truth), expected.f1, prediction);
    exact += exactMatch(prediction, ground_truth) / pairs.length;
    f1 += tokenF1(prediction, ground_truth) / pairs.length;
  }
  const mean = reference<{ f1: number; em: number }>("squad_metrics_over_all_pairs");
  assertClose(exact, mean.em, "exact match");
  assertClose(f1, mean.f1, "F1");
});

interface Evaluation {
  dataset: { paragraphs: { qas: { id: string; answers: { text: string }[] }[] }[] }[];
  predictions: Record<string, string>;
  result: { exact_match: number; f1: number };
}

test("the best over several answers adds up to SQuAD's own evaluation", () => {
  const { dataset, predictions, result } = reference<Evaluation>("squad_evaluate");
  const questions = dataset.flatMap(({ paragraphs }) => paragraphs.flatMap(({ qas }) => qas));
  for (
    const [metric, expected] of [[exactMatch, result.exact_match], [tokenF1, result.f1]] as const
  ) {
    const best = questions.map(({ id, answers }) =>
      id in predictions ? Math.max(...answers.map(({ text }) => metric(predictions[id], text))) : 0
    );
    const mean = 100 * best.reduce((sum, value) => sum + value, 0) / questions.length;
    assertClose(mean, expected, metric.name);
  }
});

interface ChosenAnswers {
  answers: Record<string, string[]>;
  predictions: Record<string, [string, number][]>;
  result: { exact_match: number; f1: number };
}

test("the surest answers add up to MRQA's own evaluation", () => {
  const { answers, predictions, result } = reference<ChosenAnswers>("mrqa_evaluate");
  const asked = Object.keys(answers).filter((id) => id in predictions);
  const chosen = asked.map((id) =>
    surest(predictions[id].map(([text, nll]) => ({ text, nll }))).text
  );
  const task = { name: "mrqa", description: "", metrics: ["exact_match", "token_f1"] } as const;
  const scores = score(task, chosen, asked.map((id) => answers[id]));
  assertClose(scores.exact_match!, result.exact_match, "exact match");
  assertClose(scores.token_f1!, result.f1, "F1");
});

test("the surest answer is the first of equals, and empty only where all are", () => {
  const candidates = [{ text: "", nll: 0 }, { text: "a", nll: 2 }, { text: "b", nll: 2 }];
  assert.is(surest(candidates).text, "a");
  assert.is(surest(candidates.slice(0, 1)).text, "");
});

test.run();
