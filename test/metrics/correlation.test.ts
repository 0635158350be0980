import { suite } from "uvu";
import * as assert from "uvu/assert";
import { pearson, spearman } from "../../src/metrics/correlation.ts";
import { assertClose, reference } from "./fixture.ts";

const test = suite("correlation");

interface Case {
  predictions: number[];
  targets: number[];
  value: number;
}

for (const [name, metric] of [["pearson", pearson], ["spearman", spearman]] as const) {
  test(`${name} is the reference's`, () => {
    for (const { predictions, targets, value } of reference<Case[]>(`${name}_corrcoef`)) {
      assertClose(metric(predictions, targets), value, JSON.stringify(predictions));
    }
  });

  test(`${name} is 0 where it is not defined`, () => {
    assert.is(metric([NaN, 1, 2], [1, 2, 3]), 0, "not a number");
    assert.is(metric([1], [1]), 0, "one pair");
    assert.is(metric([2, 2, 2], [1, 2, 3]), 0, "a constant side");
  });
}

test("spearman takes infinity for what it is, the largest", () => {
  assertClose(spearman([1, Infinity, 2], [1, 3, 2]), 100, "in order");
});

test.run();
