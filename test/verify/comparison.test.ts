import { suite } from "uvu";
import * as assert from "uvu/assert";
import { Comparison, outcomes, TOLERANCES } from "../../src/verify/comparison.ts";

const test = suite("comparison");

function verdict(
  tolerance: keyof typeof TOLERANCES,
  actual: number,
  expected: number,
  absmax?: number,
) {
  const comparison = new Comparison("quantity", TOLERANCES[tolerance]);
  comparison.value("value", actual, expected, absmax);
  return comparison.check()!.verdict;
}

test("every tolerance passes just below its limit and misses just above", () => {
  const limits: [keyof typeof TOLERANCES, expected: number, absmax: number, limit: number][] = [
    ["activation", -9, 9, 1e-3],
    ["loss", 200, 200, 2e-3],
    ["gradient", 0.5, 40, 4e-3],
    ["gradientNorm", 150, 150, 1.5e-2],
    ["parameter", 30, 30, 5e-6],
    ["learningRate", 0, 0, 1e-12],
    ["score", 2, 2, 1e-4],
  ];
  for (const [name, expected, absmax, limit] of limits) {
    for (const sign of [-1, 1]) {
      assert.is(verdict(name, expected + sign * 0.99 * limit, expected, absmax), "pass", name);
      assert.is(verdict(name, expected + sign * 1.01 * limit, expected, absmax), "miss", name);
    }
  }
});

test("exact means exact", () => {
  assert.is(verdict("exact", 7, 7), "pass");
  assert.is(verdict("exact", 7 + 1e-12, 7), "miss");
});

test("where the reference is all zeros, so must be the result", () => {
  assert.is(verdict("gradient", 0, 0, 0), "pass");
  assert.is(verdict("gradient", -0, 0, 0), "pass");
  assert.is(verdict("gradient", 1e-30, 0, 0), "miss");
});

test("NaN and infinities match only themselves", () => {
  for (const value of [NaN, Infinity, -Infinity]) {
    assert.is(verdict("loss", value, value), "pass");
    assert.is(verdict("loss", value, 1), "miss");
    assert.is(verdict("loss", 1, value), "miss");
  }
});

test("the worst element of all tensors is named by its coordinates", () => {
  const comparison = new Comparison("quantity", TOLERANCES.parameter);
  comparison.tensor("a", [0, 1e-6, 0, 0, 0, 0], { shape: [2, 3], values: new Float32Array(6) });
  comparison.tensor("b", [0, 0, 0, 0, 3e-6, 0], { shape: [3, 2], values: new Float32Array(6) });
  const check = comparison.check()!;
  assert.is(check.verdict, "pass");
  assert.is(check.worstAt, "b[2, 0]");
  assert.is(check.values, 12);
});

test("tensors of other sizes are a miss", () => {
  const comparison = new Comparison("quantity", TOLERANCES.activation);
  comparison.tensor("logits", [1, 2], { shape: [3], values: [1, 2, 3] });
  assert.is(comparison.check()!.verdict, "miss");
});

test("sets of names miss what only one of them has", () => {
  const comparison = new Comparison("names", TOLERANCES.exact);
  comparison.names(["a", "b"], ["b", "c"]);
  assert.equal(comparison.check()!.notes, [
    "c is missing in this build",
    "a is unknown to the reference",
  ]);
});

test("a comparison of nothing is no outcome", () => {
  assert.equal(outcomes([new Comparison("quantity", TOLERANCES.exact)]), []);
});

test.run();
