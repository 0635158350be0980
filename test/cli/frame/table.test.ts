import { suite } from "uvu";
import * as assert from "uvu/assert";
import { table } from "../../../cli/frame/table.ts";

const test = suite("frame/table");

test("text is aligned left and numbers right, without trailing blanks or escapes", () => {
  const text = table(["task", "metric", "score", "baseline"], [
    ["sst2", "accuracy", "93.1", "50.9 %"],
    ["a longer name", "f1", "8.25", "–"],
    ["日本", "rouge_l", 1000, ""],
  ]);
  assert.equal(text.split("\n"), [
    "task           metric    score  baseline",
    "sst2           accuracy   93.1    50.9 %",
    "a longer name  f1         8.25         –",
    "日本           rouge_l    1000",
  ]);
});

test("a column with one text in it is text", () => {
  const text = table(["tensor", "error"], [["a", "1e-7"], ["b", "not checked"]]);
  assert.equal(text.split("\n"), ["tensor  error", "a       1e-7", "b       not checked"]);
});

test("a table may have no rows", () => {
  assert.is(table(["task", "score"], []), "task  score");
});

test.run();
