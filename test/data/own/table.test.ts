import { suite } from "uvu";
import * as assert from "uvu/assert";
import { isTable, openTable, type TableOptions } from "../../../src/data/own/table.ts";
import { gzipped } from "../folder.ts";
import { memoryFiles, refusal } from "./files.ts";

const test = suite("own/table");

type Content = string | Uint8Array<ArrayBuffer>;

/** The columns, rows and places of a file. */
async function read(path: string, content: Content = "", options?: TableOptions) {
  const table = await openTable(memoryFiles({ [path]: content }), path, options);
  const rows = await Array.fromAsync(table.rows(table.columns));
  return {
    columns: table.columns,
    rows: rows.map((row) => row.read()),
    places: rows.map(({ place }) => place),
  };
}

const refused = (path: string, content: Content) => refusal(() => read(path, content));

test("every kind of file gives the same rows, each with its place", async () => {
  const rows = [{ q: "eins, zwei", a: "é" }, { q: "drei", a: "🙂" }];
  const lines = `{"q": "eins, zwei", "a": "é"}\n{"q": "drei", "a": "🙂"}`;
  const list = JSON.stringify(rows, null, 2);
  const csv = `q,a\n"eins, zwei",é\ndrei,🙂\n`;
  const tsv = `q\ta\neins, zwei\té\ndrei\t🙂\n`;
  for (
    const [path, content, places] of [
      ["a.jsonl", lines, ["a.jsonl:1", "a.jsonl:2"]],
      ["a.ndjson", `\n${lines.replace("\n", "\r\n\r\n")}\n\n`, ["a.ndjson:2", "a.ndjson:4"]],
      ["a.json", lines, ["a.json:1", "a.json:2"]],
      ["a.json", `\uFEFF ${list}`, ["a.json, item 1", "a.json, item 2"]],
      ["a.jsonl.gz", await gzipped(lines), ["a.jsonl.gz:1", "a.jsonl.gz:2"]],
      ["a.csv", csv, ["a.csv:2", "a.csv:3"]],
      ["A.CSV", `\uFEFF${csv.replaceAll("\n", "\r\n")}\r\n`, ["A.CSV:2", "A.CSV:3"]],
      ["a.csv.gz", await gzipped(csv), ["a.csv.gz:2", "a.csv.gz:3"]],
      ["a.csv", `q;a\neins, zwei;é\n  \ndrei;🙂\n \n`, ["a.csv:2", "a.csv:4"]],
      ["a.tsv", tsv, ["a.tsv:2", "a.tsv:3"]],
      ["a.csv", tsv, ["a.csv:2", "a.csv:3"]],
    ] as const
  ) {
    const found = await read(path, content);
    assert.equal(found, { columns: ["q", "a"], rows, places: [...places] }, path + content);
  }
});

test("quoted cells keep what is in them, and rows their lines", async () => {
  const csv =
    'q, a \n"one\ntwo","She said ""hi"""\n"x\r\n\r\ny",5" wide\r\n\r\na"b","\uFEFF"\nlast, c';
  const { rows, places, columns } = await read("a.csv", csv);
  assert.equal(columns, ["q", "a"]);
  assert.equal(rows, [
    { q: "one\ntwo", a: 'She said "hi"' },
    { q: "x\r\n\r\ny", a: '5" wide' },
    { q: 'a"b"', a: "\uFEFF" },
    { q: "last", a: " c" },
  ]);
  assert.equal(places, ["a.csv:2", "a.csv:4", "a.csv:8", "a.csv:9"]);
  const raw = await read("a.tsv", 'q\ta\n"open\t"x"\n', { quotes: false });
  assert.equal(raw.rows, [{ q: '"open', a: '"x"' }]);
});

test("what JSON says is kept as it is written", async () => {
  const { rows } = await read(
    "a.jsonl",
    '{"a": 1.0, "b": 12345678901234567890, "c": 7, "d": null}',
  );
  assert.equal(rows, [{ a: "1.0", b: "12345678901234567890", c: 7, d: null }]);
});

test("Parquet of every codec, in several row groups, nested and with nulls", async () => {
  for (const codec of ["none", "snappy", "gzip", "zstd", "brotli"]) {
    const path = `parquet/rows.${codec}.parquet`;
    const { columns, rows, places } = await read(path);
    assert.equal(
      columns,
      ["text", "label", "score", "right", "count", "translation", "answers", "references"],
    );
    assert.equal(rows.map(({ text }) => text), [
      "Tallinn",
      "Oslo",
      "Oslo",
      "Łódź 🌆",
      "",
      null,
      "Oslo",
    ]);
    assert.equal(rows[5], {
      text: null,
      label: 2,
      score: 1.25,
      right: false,
      count: "9007199254740997",
      translation: { en: "Row 5.", ro: "Rândul 5." },
      answers: { text: ["answer 0 of 5", "answer 1 of 5"], answer_start: [0, 1] },
      references: ["reference 0 of 5", "reference 1 of 5"],
    });
    assert.is(places[6], `${path}, row 7`);
  }
});

test("what is no table is refused by name", async () => {
  const utf16 = (text: string, mark: number[]) =>
    Uint8Array.from([...mark, ...[...text].flatMap((letter) => [letter.charCodeAt(0), 0])]);
  const cases: [path: string, content: Content, pattern: RegExp][] = [
    ["a.csv", "", /^a\.csv is empty: its first line names the columns$/],
    ["a.csv", "q,a\n", /^a\.csv has no rows but that which names the columns \(q, a\)$/],
    ["a.jsonl", "\n\n", /^a\.jsonl has no rows$/],
    ["a.json", "[]", /^a\.json has no rows$/],
    ["a.json", '{\n"data": []}', /^a\.json is neither a list of rows, as .*, nor rows one a line$/],
    ["a.json", "[1]", /^a\.json, item 1: expected a JSON object\.$/],
    ["a.json", '[{"a": 1},', /^a\.json: not valid JSON, since /],
    ["a.jsonl", '{"a": 1}\n[2]', /^a\.jsonl:2: expected a JSON object\.$/],
    ["a.jsonl", '{"a": 1}\n{"a":', /^a\.jsonl:2: not valid JSON, since /],
    ["a.csv", 'q,a\n1,2\n"x\ny",2,3\n', /^a\.csv:3: there are 3 cells where the header has 2: /],
    ["a.csv", 'q,a\n1,2\n"x,2\n3,4\n', /^a\.csv:3: a cell begins with a quote that is not closed/],
    ["a.tsv", 'q\ta\n"tis\t1\n"twas\t2\n', /^a\.tsv:2: a cell begins with a quote that is not/],
    ["a.csv", 'q,a\n1,2\n"x" y,2\n', /^a\.csv:3: a cell begins with a quote that is not closed/],
    ["a.csv", "q,q\n1,2\n", /^a\.csv has two columns "q": give each a name of its own$/],
    ["a.csv", utf16("q,a\n1,2", [0xFF, 0xFE]), /^a\.csv is UTF-16: save it as UTF-8$/],
    ["a.csv", utf16("q,a\n1,2", []), /^a\.csv holds NUL characters, as UTF-16 does: /],
    ["a.csv", Uint8Array.from([113, 44, 97, 10, 0xE9, 44, 49]), /^a\.csv is not UTF-8.* line 2/],
    ["a.csv", Uint8Array.from([0x50, 0x4B, 3, 4, 0]), /^a\.csv is a zip file or a workbook: /],
    ["a.csv.gz", Uint8Array.from([0x1F, 0x8B, 8]), /^a\.csv\.gz is no whole gzip file/],
    ["a.parquet", "no such thing", /^a\.parquet cannot be read as Parquet: /],
    ["a.xlsx", "", /^a\.xlsx is of no kind that can be read, by its name: .*\.jsonl.*\.parquet$/],
  ];
  for (const [path, content, pattern] of cases) {
    const message = await refused(path, content);
    assert.match(message, pattern, message);
  }
  assert.match(
    await refusal(() => openTable(memoryFiles({}), "b.csv")),
    /^there is no file b\.csv$/,
  );
  assert.ok(isTable("x/Y.TSV.gz") && !isTable("a.parquet.gz") && !isTable("folder"));
});

test.run();
