import { suite } from "uvu";
import { accuracy, binaryF1, matthews } from "../../src/metrics/classification.ts";
import { assertClose, reference } from "./fixture.ts";

const test = suite("classification");

interface Case<T> {
  predictions: T[];
  targets: T[];
}

test("accuracy is the reference's, over numbers and text", () => {
  const cases = reference<(Case<number | string> & { acc: number })[]>("accuracy");
  for (const { predictions, targets, acc } of cases) {
    assertClose(accuracy(predictions, targets), acc, JSON.stringify(predictions));
  }
});

test("F1 is the reference's, invalid predictions included", () => {
  const cases = reference<(Case<number> & { f1: number })[]>("f1_score_with_invalid");
  for (const { predictions, targets, f1 } of cases) {
    assertClose(binaryF1(predictions, targets), f1, JSON.stringify(predictions));
  }
});

test("Matthews's correlation is the reference's, invalid predictions included", () => {
  const cases = reference<(Case<number> & { mcc: number })[]>("matthews_corrcoef");
  for (const { predictions, targets, mcc } of cases) {
    assertClose(matthews(predictions, targets), mcc, JSON.stringify(predictions));
  }
});

test("Matthews's correlation of opposites is -100", () => {
  assertClose(matthews([0, 1, 0, 1], [1, 0, 1, 0]), -100, "opposites");
});

test.run();
