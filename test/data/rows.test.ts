import { suite } from "uvu";
import * as assert from "uvu/assert";
import { UserError } from "../../src/errors.ts";
import { readJsonLines, readTsv } from "../../src/data/rows.ts";

const test = suite("rows");

const refused = (read: () => unknown, message: string) =>
  assert.throws(read, (error: Error) => {
    assert.instance(error, UserError);
    assert.is(error.message, message);
    return true;
  });

test("columns are found by the header's names, lines are numbered from 1", () => {
  const rows = readTsv("id\ttext\tlabel\n7\tgood\t1\n8\tbad\t0\n", "f.tsv", ["label", "text"]);
  assert.equal(rows, [
    { line: 2, cells: { label: "1", text: "good" } },
    { line: 3, cells: { label: "0", text: "bad" } },
  ]);
});

test("a file without a header starts at line 1", () => {
  const rows = readTsv("x\t1", "f.tsv", ["label"], ["text", "label"]);
  assert.equal(rows, [{ line: 1, cells: { label: "1" } }]);
});

test("byte-order mark and carriage returns are dropped, quotes and spaces kept", () => {
  const rows = readTsv('\uFEFFtext\tlabel\r\n "a  ""b \t1\r\n', "f.tsv", ["text", "label"]);
  assert.equal(rows, [{ line: 2, cells: { text: ' "a  ""b ', label: "1" } }]);
});

test("a column that is not there is named", () => {
  refused(
    () => readTsv("id\ttext\n", "f.tsv", ["text", "label"]),
    'f.tsv:1: there is no column "label"; the header has id, text.',
  );
  refused(
    () => readTsv("", "f.tsv", ["label"]),
    'f.tsv:1: there is no column "label"; the header has nothing.',
  );
});

test("a row with more or fewer columns is named by file and line", () => {
  for (const row of ["lonely", "too\tmany\tcolumns", ""]) {
    refused(
      () => readTsv(`text\tlabel\ngood\t1\n${row}\nbad\t0`, "f.tsv", ["text", "label"]),
      `f.tsv:3: expected 2 tab-separated columns (text, label), found ${row.split("\t").length}.`,
    );
  }
});

test("JSON lines are read by key", () => {
  const rows = readJsonLines('{"a":"x","b":1}\r\n{"a":"y\\tz"}\n', "f.jsonl", ["a"]);
  assert.equal(rows, [{ line: 1, cells: { a: "x" } }, { line: 2, cells: { a: "y\tz" } }]);
});

test("a line that is no object, or lacks a text, is named by file and line", () => {
  for (const line of ['{"a":', "[]x", "3", "null", ""]) {
    refused(
      () => readJsonLines(`{"a":"x"}\n${line}\n{"a":"y"}`, "f.jsonl", ["a"]),
      "f.jsonl:2: expected a JSON object on a line of its own.",
    );
  }
  for (const line of ['{"b":"x"}', '{"a":1}', "[]"]) {
    refused(() => readJsonLines(line, "f.jsonl", ["a"]), 'f.jsonl:1: expected text under "a".');
  }
});

test.run();
