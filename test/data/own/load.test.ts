import { suite } from "uvu";
import * as assert from "uvu/assert";
import { parseOwnTask } from "../../../src/data/own/definition.ts";
import { describeOwn } from "../../../cli/frame/data-report.ts";
import {
  completeTask,
  loadOwn,
  type LocatedTask,
  type OwnRead,
  ownTask,
} from "../../../src/data/own/load.ts";
import { findSplits, findTask, requireSplits } from "../../../src/data/own/locate.ts";
import { score } from "../../../src/metrics/score.ts";
import type { Split } from "../../../src/data/types.ts";
import { memoryFiles, refusal } from "./files.ts";

const test = suite("own/load");

const task = (value: object): LocatedTask =>
  parseOwnTask({ name: "mine", data: { train: "a.jsonl" }, ...value }, "mine.json") as LocatedTask;

const lines = (rows: readonly object[]) => rows.map((row) => JSON.stringify(row)).join("\n");

/** The (source, target) pairs of a split. */
async function pairs(
  value: object,
  files: Record<string, string>,
  split: Split = "train",
): Promise<[string, string][]> {
  const { splits } = await loadOwn(task(value), memoryFiles(files), [split]);
  return splits[split]!.map(({ source, target }) => [source, target]);
}

const train = { data: { train: "a.jsonl", validation: "a.jsonl" } };

test("columns are the usual ones, or those that are named", async () => {
  const cases: [task: object, row: object, pair: [string, string]][] = [
    [{}, { target: "t", source: "s" }, ["s", "t"]],
    [{}, { input: "s", output: "t" }, ["s", "t"]],
    [{}, { id: 1, text: "s", label: 3 }, ["s", "3"]],
    [{}, { text: "s", summary: "t" }, ["s", "t"]],
    [{}, { Review: "s", Sentiment: "t" }, ["s", "t"]],
    [{ columns: { source: "id" } }, { id: "s", output: "t" }, ["s", "t"]],
    [{ columns: { source: "q" } }, { q: "s", answer: "t" }, ["s", "t"]],
    [{ columns: { target: "x" } }, { x: "t", text: "s" }, ["s", "t"]],
    [{ columns: { source: "a", target: "b" } }, { a: 1.5, b: true, c: {} }, ["1.5", "true"]],
    [{ columns: { source: "t.en", target: "t.ro" } }, { t: { en: "s", ro: "t" } }, ["s", "t"]],
    [{ columns: { source: "a.b", target: "c.0" } }, { "a.b": "s", c: ["t", "u"] }, ["s", "t"]],
    [
      { template: "mine {{q}}: {q} {x.y}", columns: { target: "a" } },
      { q: "s", x: { y: "" }, a: " t" },
      ["mine {q}: s ", " t"],
    ],
  ];
  for (const [value, row, pair] of cases) {
    const found = await pairs({ ...train, ...value }, { "a.jsonl": lines([row]) });
    assert.equal(found, [pair], JSON.stringify(row));
  }
});

test("what a row or a file lacks is said, with what is there", async () => {
  const good = { text: "s", label: "t" };
  const cases: [task: object, rows: object[], pattern: RegExp][] = [
    [
      {},
      [{ q: 1, a: 2 }],
      /^a\.jsonl has the columns "q", "a": say with --source-column and --target/,
    ],
    [
      { columns: { source: "txt" } },
      [good],
      /^a\.jsonl has no column "txt" \(did you mean "text"\?\); it has "text", "label": say with/,
    ],
    [
      { template: "{text} {more}" },
      [good],
      /^a\.jsonl has no column "more"; it has "text", "label": say with/,
    ],
    [{ template: "{text" }, [good], /^the template of mine has a single \{: /],
    [{ template: "text" }, [good], /^the template of mine names no column: /],
    [
      { columns: { source: "label", target: "label" } },
      [good],
      /^"label" of mine is both the source/,
    ],
    [{}, [good, { text: "s" }], /^a\.jsonl:2: there is no "label"; there is "text"/],
    [{}, [good, { text: null, label: "t" }], /^a\.jsonl:2: "text" is null/],
    [{}, [good, { text: "s", label: null }], /^a\.jsonl:2: "label" is null/],
    [{}, [good, { text: " ", label: "t" }], /^a\.jsonl:2: "text" is empty/],
    [{}, [good, { text: "s", label: "" }], /^a\.jsonl:2: "label" is empty, and an answer never is/],
    [{}, [good, { text: "s", label: [] }], /^a\.jsonl:2: "label" is an empty list/],
    [
      {},
      [{ text: { en: "s" }, label: "t" }],
      /^a\.jsonl:1: "text" is no text but an object: take a column that is text, as text\.en is/,
    ],
    [{}, [{ text: ["s"], label: "t" }], /^a\.jsonl:1: "text" is no text but a list/],
    [
      { labels: ["yes", "no"] },
      [{ text: "s", label: "Yes" }],
      /^a\.jsonl:1: "Yes" is not a label of mine \(yes, no\)/,
    ],
    [
      { labels: { 0: "no", 1: "yes" } },
      [{ text: "s", label: 2 }],
      /^a\.jsonl:1: "2" is not a label of mine \(0, 1\)/,
    ],
    [
      { metrics: ["pearson"] },
      [{ text: "s", label: "high" }],
      /^a\.jsonl:1: "high" is no number, which pearson/,
    ],
  ];
  for (const [value, rows, pattern] of cases) {
    const message = await refusal(() => pairs({ ...train, ...value }, { "a.jsonl": lines(rows) }));
    assert.match(message, pattern, message);
  }
});

test("bad rows end the reading, or are left out and counted", async () => {
  const file =
    '{"source": "s", "target": null}\n{"source": "s", "target": "t"}\n[1]\n{"source": "s"';
  const files = memoryFiles({ "a.jsonl": file, "b.csv": "source,target\ns,t\ns\ns,t,u\n" });
  assert.is(
    await refusal(() => loadOwn(task(train), files, ["train"])),
    'a.jsonl:1: "target" is null. --skip-bad leaves such rows out.',
  );
  const told: string[] = [];
  const onRead = (read: OwnRead) => told.push(describeOwn(read));
  const options = { skipBad: true, onRead };
  const { splits } = await loadOwn(task(train), files, ["train"], options);
  assert.is(splits.train!.length, 1);
  assert.match(
    told[0],
    /1 rows of a\.jsonl \("source" → "target"; 3 bad left out: line 1 \(a field\), line 3 \(not JSON\), line 4 \(not JSON\)\); 1 to train/,
  );
  await loadOwn(task({ data: { train: "b.csv", validation: "b.csv" } }), files, ["train"], options);
  assert.match(told[1], /2 bad left out: line 3 \(columns\), line 4 \(columns\)/);
});

test("labels are words for what the data has, whatever its type", async () => {
  const rows = [{ text: "a", label: 0 }, { text: "b", label: true }, { text: "c", label: "yes" }];
  const files = { "a.jsonl": lines(rows) };
  const labels = { 0: "no", true: "yes", yes: "yes" };
  const found = await pairs({ ...train, labels }, files);
  assert.equal(found.map(([, target]) => target), ["no", "yes", "yes"]);
  assert.equal(ownTask(task({ labels })), {
    name: "mine",
    description: "A task of your own.",
    labels: ["no", "yes"],
    answerLength: ["no", "yes"],
    metrics: ["accuracy"],
  });
  assert.equal(ownTask(task({ answerLength: 7, beams: 3, metrics: "bleu" })), {
    name: "mine",
    description: "A task of your own.",
    metrics: ["bleu"],
    answerLength: 8,
    beams: 3,
  });
});

test("metrics over classes know labels that are words", () => {
  const own = ownTask(task({ labels: ["bad", "good"], metrics: ["f1", "accuracy", "matthews"] }));
  const predictions = ["good", "bad", "good", "fine"];
  const { f1, accuracy, matthews } = score(own, predictions, ["good", "good", "bad", "good"]);
  assert.equal([Math.round(f1! * 100) / 100, accuracy], [40, 25]);
  // (1·4 − 1·1 − 3·2) / √((16 − 4 − 1 − 1)(16 − 1 − 9)), of [1, 0, 1, −1] and [1, 1, 0, 1]
  assert.ok(Math.abs(matthews! + 300 / Math.sqrt(60)) < 1e-9, String(matthews));
});

test("a list of targets is a list of right answers", async () => {
  const path = "parquet/rows.snappy.parquet";
  const columns = { source: "translation.en", target: "references" };
  const { splits } = await loadOwn(
    task({ data: { validation: path }, columns }),
    memoryFiles({}),
    ["validation"],
  );
  const [first, second] = splits.validation!;
  assert.equal(first, { task: "mine", source: "Row 0.", target: "reference 0 of 0" });
  assert.is(second.target, "reference 0 of 1");
  assert.equal(second.references, ["reference 0 of 1", "reference 1 of 1"]);
});

const rows = Array.from({ length: 60 }, (_, i) => ({ source: `s${i % 40}`, target: `t${i}` }));

/** The sources of each split, and what was told. */
async function divided(data: object, splits: Split[], options: object = {}) {
  const told: string[] = [];
  const files = memoryFiles({
    "a.jsonl": lines(rows),
    "v.jsonl": lines([{ source: "v", target: "t" }]),
    "t.jsonl": lines([{ source: "w", target: "t" }]),
    "one.jsonl": lines(rows.slice(0, 1)),
  });
  const onRead = (read: OwnRead) => told.push(describeOwn(read));
  const dataset = await loadOwn(task({ data }), files, splits, { ...options, onRead });
  const sources = (split: Split) => dataset.splits[split]?.map(({ source }) => source);
  return {
    train: sources("train"),
    validation: sources("validation"),
    test: sources("test"),
    told: told.join("\n"),
  };
}

const all: Split[] = ["train", "validation", "test"];

test("a validation split is cut off where there is none, apart from what is trained on", async () => {
  const whole = await divided({ train: "a.jsonl" }, all);
  const { train, validation, test: tested, told } = whole;
  assert.ok(validation!.length >= 6 && validation!.length <= 7, String(validation!.length));
  assert.is(train!.length + validation!.length, 60);
  assert.not.ok(train!.some((source) => validation!.includes(source)), "the splits overlap");
  assert.equal(tested, validation);
  assert.match(
    told,
    /^Read mine: 60 rows of a\.jsonl \("source" → "target"\); 5\d to train; [67] to validate, cut off at random with data seed 0; the [67] that validate also test, for there is no test split; scored by exact_match, token_f1$/,
  );
  // The same rows whichever splits are wanted, others by another seed.
  assert.equal((await divided({ train: "a.jsonl" }, ["validation"])).validation, validation);
  assert.equal((await divided({ train: "a.jsonl" }, ["train"])).train, train);
  const other = await divided({ train: "a.jsonl" }, all, { dataSeed: 1 });
  assert.not.equal(other.validation, validation);
});

test("splits that there are stay whole", async () => {
  const three = await divided({ train: "a.jsonl", validation: "v.jsonl", test: "t.jsonl" }, all);
  assert.equal([three.train!.length, three.validation, three.test], [60, ["v"], ["w"]]);
  const two = await divided({ train: "a.jsonl", validation: "v.jsonl" }, all);
  assert.equal([two.train!.length, two.validation, two.test], [60, ["v"], ["v"]]);
  const tested = await divided({ train: "a.jsonl", test: "t.jsonl" }, all);
  assert.is(tested.train!.length + tested.validation!.length, 60);
  assert.equal(tested.test, ["w"]);
  const only = await divided({ test: "t.jsonl" }, ["test"]);
  assert.equal(only.test, ["w"]);
  assert.match(
    await refusal(() => divided({ test: "t.jsonl" }, ["validation"])),
    /^the task mine has no validation split: its data has only test$/,
  );
});

test("--split-validation makes validation and test different rows", async () => {
  const options = { splitValidation: true };
  const one = await divided({ train: "a.jsonl" }, all, options);
  const parts = [one.train!, one.validation!, one.test!];
  assert.is(parts.flat().length, 60);
  assert.ok(
    parts.every((part, i) =>
      part.length > 0 && parts.every((other, j) => i === j || !other.some((x) => part.includes(x)))
    ),
  );
  const two = await divided({ train: "a.jsonl", validation: "v.jsonl" }, all, options);
  assert.equal(two.test, ["v"]);
  assert.is(two.train!.length + two.validation!.length, 60);
});

test("a single row can be trained on, but not scored", async () => {
  assert.equal((await divided({ train: "one.jsonl" }, ["train"])).train, ["s0"]);
  assert.match(
    await refusal(() => divided({ train: "one.jsonl" }, all)),
    /^one\.jsonl has a single source, too few to cut off what the task mine is scored on: give it a/,
  );
});

test("files are found by the names of the splits", async () => {
  const files = memoryFiles({
    "a/train.csv": "",
    "a/dev.csv": "",
    "a/notes.txt": "",
    "b/data/train-00000-of-00002.parquet": "",
    "b/data/train-00001-of-00002.parquet": "",
    "b/data/test-00000-of-00001.parquet": "",
    "c/train.csv": "",
    "c/train.jsonl.gz": "",
    "d/train-00000-of-00002.parquet": "",
    "e/mine.csv": "",
    "e/mine/train.csv": "",
    "f/notes.txt": "",
    "g.csv": "",
    "h/first.csv": "",
  });
  assert.equal(await findSplits(files, "a"), { train: "a/train.csv", validation: "a/dev.csv" });
  assert.equal(await findSplits(files, "b"), {
    train: ["b/data/train-00000-of-00002.parquet", "b/data/train-00001-of-00002.parquet"],
    test: "b/data/test-00000-of-00001.parquet",
  });
  assert.equal(await findSplits(files, "g.csv"), { train: "g.csv" });
  assert.equal(await findSplits(files, "h", { test: "first" }), { test: "h/first.csv" });
  assert.equal(await findTask(files, "a", "dev"), { train: "a/dev.csv" });
  assert.is(await findTask(files, "a", "mine"), undefined);
  assert.match(
    await refusal(() => findSplits(files, "c")),
    /^c has several files of its train split/,
  );
  assert.match(await refusal(() => findSplits(files, "d")), /^d has 1 of the 2 parts of its train/);
  assert.match(
    await refusal(() => findTask(files, "e", "mine")),
    /^e has several data sets of the task mine \(mine, mine\.csv\): name one, as --data mine=e\/mine$/,
  );
  const required = (path: string) => refusal(() => requireSplits(files, { name: "mine" }, path));
  assert.match(
    await required("f"),
    /^f has no file of a split, such as train\.jsonl.*; it has notes\.txt$/,
  );
  assert.match(await required("x"), /^there is no file or folder x for the task mine$/);
  assert.match(await required("f/notes.txt"), /^f\/notes\.txt is of no kind that can be read/);
});

test("a completed task says which columns and metrics it has", async () => {
  const files = memoryFiles({ "a.jsonl": lines([{ input: "s", output: "t" }]) });
  const complete = await completeTask(task({}), files);
  assert.equal(complete, {
    name: "mine",
    data: { train: "a.jsonl" },
    columns: { source: "input", target: "output" },
    metrics: ["exact_match", "token_f1"],
  });
});

test("a task file's mistakes are named", async () => {
  const cases: [value: unknown, pattern: RegExp][] = [
    [[], /must hold a task as \{"name": "mine"/],
    [{}, /gives the task no "name"/],
    [{ name: "my task" }, /"name" is "my task", but it must be a name of letters/],
    [{ name: "a", colums: {} }, /"colums" is not a key of a task \(did you mean "columns"\?\)/],
    [{ name: "a", columns: { src: "x" } }, /"columns" is .* must be columns by what they are for/],
    [
      { name: "a", data: { dev: "x" } },
      /"data" is .* for each of "train", "validation" and "test"/,
    ],
    [{ name: "a", labels: ["x", "x"] }, /"labels" is .* a list that names each label once/],
    [{ name: "a", labels: [] }, /"labels" is \[\], but it must be a list of targets/],
    [{ name: "a", metrics: ["rouge"] }, /"metrics" is \["rouge"\], but it must be of accuracy, f1/],
    [{ name: "a", metrics: ["f1"] }, /f1 compares classes: say with "labels"/],
    [{ name: "a", metrics: ["f1"], labels: ["x", "y", "z"] }, /f1 is that of the second of two/],
    [{ name: "a", beams: 0 }, /"beams" is 0, but it must be a whole number of at least 1/],
    [{ name: "a", template: "{x}", columns: { source: "x" } }, /the source is said twice/],
  ];
  for (const [value, pattern] of cases) {
    const message = await refusal(() => parseOwnTask(value, "mine.json"));
    assert.match(message, pattern, message);
    assert.match(message, /^mine\.json/);
  }
});

test.run();
