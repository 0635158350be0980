/** Rows of text files: tab-separated values and JSON lines, plain and gzipped. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { UserError } from "../../src/errors.ts";
import { BadRow } from "../../src/data/ledger.ts";
import { jsonRows, lines, type Row, tsvRows } from "../../src/data/lines.ts";
import { folder } from "./folder.ts";

const test = suite("lines");

const all = async (rows: AsyncIterable<Row>) =>
  (await Array.fromAsync(rows)).map((row) => [row.line, row.fields()]);

const tsv = (text: string, columns: string[], header?: string[]) =>
  all(tsvRows(folder({ "f.tsv": text }), "f.tsv", columns, header));

const json = (text: string) => all(jsonRows(folder({ "f.jsonl": text }), "f.jsonl"));

async function refused(
  reading: Promise<unknown>,
  message: string,
  kind: typeof UserError = BadRow as unknown as typeof UserError,
): Promise<void> {
  const error = await reading.then(() => undefined, (error) => error);
  assert.instance(error, kind);
  assert.is(error.message, message);
}

test("columns are found by the header's names, lines are numbered from 1", async () => {
  assert.equal(await tsv("id\ttext\tlabel\n7\tgood\t1\n8\tbad\t0\n", ["label", "text"]), [
    [2, { label: "1", text: "good" }],
    [3, { label: "0", text: "bad" }],
  ]);
});

test("a file without a header starts at line 1", async () => {
  assert.equal(await tsv("x\t1", ["label"], ["text", "label"]), [[1, { label: "1" }]]);
});

test("byte-order mark and carriage returns are dropped, quotes and spaces kept", async () => {
  assert.equal(await tsv('\uFEFFtext\tlabel\r\n "a  ""b \t1\r\n', ["text", "label"]), [
    [2, { text: ' "a  ""b ', label: "1" }],
  ]);
});

test("blank lines are passed over and counted, wherever they stand", async () => {
  for (const end of ["\n", "\r\n"]) {
    const text = (...lines: string[]) => lines.map((line) => line + end).join("");
    assert.equal(await tsv(text("text\tlabel", "a\t1", " ", "b\t0", "", "", " "), ["text"]), [
      [2, { text: "a" }],
      [4, { text: "b" }],
    ]);
    assert.equal(await json(text('{"a":1}', "", '{"a":2}', "\t ", "")), [
      [1, { a: 1 }],
      [3, { a: 2 }],
    ]);
  }
  // A row of empty cells is no blank line.
  await refused(
    tsv("a\tb\tc\n\t\n", ["a"]),
    "data/f.tsv:2: expected 3 tab-separated columns (a, b, c), found 2.",
  );
});

test("a column that is not there is named", async () => {
  await refused(
    tsv("id\ttext\n", ["text", "label"]),
    'data/f.tsv:1: there is no column "label"; the header has id, text.',
    UserError,
  );
  await refused(
    tsv("", ["label"]),
    'data/f.tsv:1: there is no column "label"; the header has nothing.',
    UserError,
  );
});

test("a row with more or fewer columns is named by file and line", async () => {
  for (const row of ["lonely", "too\tmany\tcolumns"]) {
    await refused(
      tsv(`text\tlabel\ngood\t1\n${row}\nbad\t0`, ["text", "label"]),
      `data/f.tsv:3: expected 2 tab-separated columns (text, label), found ${
        row.split("\t").length
      }.`,
    );
  }
});

test("JSON lines are read with their oddities", async () => {
  const text = '\uFEFF{"a":"x","a":"y"}\r\n{"a":"p\u2028q\\u0000\\ud83d"}\r\n';
  assert.equal(await json(text), [[1, { a: "y" }], [2, { a: "p\u2028q\0\ud83d" }]]);
});

test("a line that is no object is named by file and line", async () => {
  for (const line of ['{"a":', "[]", "3", "null", '{"a":1} {}']) {
    await refused(
      json(`{"a":"x"}\n${line}\n{"a":"y"}`),
      "data/f.jsonl:2: expected a JSON object on a line of its own.",
    );
  }
});

test("numbers that are Python's and not JSON's are named", async () => {
  for (const word of ["NaN", "Infinity", "-Infinity"]) {
    await refused(
      json(`{"a":[1, ${word}],"b":"NaN"}`),
      `data/f.jsonl:1: expected a JSON object on a line of its own, and ${word} is no JSON.`,
    );
  }
});

test("a text without an end of line loses nothing but its carriage return", async () => {
  const source = folder({ "f": "a\rb\r\nc\r" });
  assert.equal(await Array.fromAsync(lines(source, "f")), ["a\rb", "c"]);
});

test.run();
