import { suite } from "uvu";
import * as assert from "uvu/assert";
import { UserError } from "../../src/errors.ts";
import { roundScore } from "../../src/data/format-table.ts";
import { glueTask, glueTaskNames, loadTask } from "../../src/data/glue.ts";
import { Ledger } from "../../src/data/ledger.ts";
import type { Split } from "../../src/data/types.ts";
import { folder, realData, referenceFormats as formats } from "./folder.ts";
import { testOnRealData } from "../real-data.ts";

const test = suite("glue");

const readJson = async (path: string) =>
  JSON.parse(await Deno.readTextFile(new URL(path, import.meta.url)));

async function refused(loading: Promise<unknown>, pattern: RegExp): Promise<void> {
  const error = await loading.then(() => undefined, (error) => error);
  assert.instance(error, UserError);
  assert.match(error.message, pattern);
}

/** For each task, a training file that holds one example with the texts of the reference's fixture. */
const oneRow: Record<string, [path: string, text: string]> = {
  cola: ["CoLA/train.tsv", "gj04\t1\t\tA sentence .\n"],
  sst2: ["SST-2/train.tsv", "sentence\tlabel\nA sentence .\t1\n"],
  stsb: [
    "STS-B/train.tsv",
    "index\tgenre\tfilename\tyear\told_index\tsource1\tsource2\tsentence1\tsentence2\tscore\n" +
    "0\tg\tf\t2012\t1\tnone\tnone\tFirst one .\tSecond one .\t3.800\n",
  ],
  mrpc: [
    "MRPC/train.tsv",
    "\uFEFFQuality\t#1 ID\t#2 ID\t#1 String\t#2 String\r\n1\t7\t8\tFirst one .\tSecond one .\r\n",
  ],
  rte: [
    "RTE/train.tsv",
    "index\tsentence1\tsentence2\tlabel\n0\tFirst one .\tSecond one .\tnot_entailment\n",
  ],
  qnli: [
    "QNLI/train.tsv",
    "index\tquestion\tsentence\tlabel\n0\tWhy ?\tA sentence .\tnot_entailment\n",
  ],
  qqp: [
    "QQP/train.tsv",
    "id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate\n0\t1\t2\tQ one ?\tQ two ?\t1\n",
  ],
  mnli: [
    "MNLI/train.tsv",
    "index\tpromptID\tpairID\tgenre\tsentence1_binary_parse\tsentence2_binary_parse\t" +
    "sentence1_parse\tsentence2_parse\tsentence1\tsentence2\tlabel1\tgold_label\n" +
    "0\t1\t1n\tg\t(\t(\t(\t(\tP .\tH .\tneutral\tneutral\n",
  ],
  wnli: ["WNLI/train.tsv", "index\tsentence1\tsentence2\tlabel\n0\tFirst one .\tSecond one .\t1\n"],
};

test("every task is formatted as the reference formats it", async () => {
  for (const name of glueTaskNames) {
    const [path, text] = oneRow[name];
    const { splits } = await loadTask(name, folder({ [path]: text }), ["train"]);
    const { src_texts: source, tgt_texts: target } = formats[name];
    assert.equal(splits.train, [{ task: name, source, target }]);
  }
});

test("every task has the reference's metrics", () => {
  const ours: Record<string, string> = {
    matthews_corrcoef: "matthews",
    pearson_corrcoef: "pearson",
    spearman_corrcoef: "spearman",
    f1_score_with_invalid: "f1",
    accuracy: "accuracy",
  };
  for (const name of glueTaskNames) {
    assert.equal(glueTask(name).metrics, formats[name].metrics.map((m) => ours[m]), name);
  }
});

test("similarity is rounded as the reference rounds it", async () => {
  const { round_stsb_target: cases } = await readJson("../fixtures/metrics.json");
  for (const { label, text_float32 } of cases) {
    assert.is(roundScore(label), text_float32, `${label}`);
  }
});

test("JSON lines and the original 12 columns give the same MNLI", async () => {
  const json = '{"premise":"P .","hypothesis":"H .","label":"neutral"}\n';
  const [path, tsv] = oneRow.mnli;
  const fromTsv = await loadTask("mnli", folder({ [path]: tsv }), ["train"]);
  const fromJson = await loadTask("mnli", folder({ "MNLI/train_10k.jsonl": json }), ["train"]);
  assert.equal(fromJson, fromTsv);
});

test("JSON lines as `to_json` writes them are read, in a folder of either name", async () => {
  const rows: Record<string, Record<string, unknown>> = {
    cola: { sentence: "S", label: 1, idx: 0 },
    stsb: { sentence1: "A", sentence2: "B", label: 3.799999952316284 },
    mrpc: { sentence1: "A", sentence2: "B", label: 0 },
    qqp: { question1: "A", question2: "B", label: 1 },
    mnli: { premise: "A", hypothesis: "B", label: 2 },
    wnli: { sentence1: "A", sentence2: "B", label: 1 },
    rte: { premise: "A", hypothesis: "B", label: "not_entailment" }, // SuperGLUE's
  };
  const targets = { cola: "1", stsb: "3.8", mrpc: "0", qqp: "1", mnli: "2", wnli: "1", rte: "1" };
  for (const [name, target] of Object.entries(targets)) {
    const text = `${JSON.stringify(rows[name])}\n\n`;
    const { splits } = await loadTask(name, folder({ [`${name}/train.jsonl`]: text }), ["train"]);
    assert.equal(splits.train!.map((example) => example.target), [target], name);
  }
});

test("of several files the release's own is read, a sample last, and the others are named", async () => {
  const [path, tsv] = oneRow.mnli;
  const json = '{"premise":"P","hypothesis":"H","label":"neutral"}\n';
  const ledger = new Ledger("mnli");
  const source = folder({
    "MNLI/train_10k.jsonl": json.repeat(3),
    "MNLI/train.jsonl": json.repeat(2),
    [path]: tsv,
    "glue/MNLI/train.tsv": tsv,
    "MNLI/dev_matched.jsonl": json,
    "MNLI/dev_mismatched.jsonl": json,
  });
  await loadTask("mnli", source, ["train", "validation"], { ledger });
  assert.equal(ledger.files.map(({ path, rows, others }) => ({ path, rows, others })), [
    {
      path: "MNLI/train.tsv",
      rows: 1,
      others: ["glue/MNLI/train.tsv", "MNLI/train.jsonl", "MNLI/train_10k.jsonl"],
    },
    // The matched split is another split, no other form of this one.
    { path: "MNLI/dev_mismatched.jsonl", rows: 1, others: [] },
  ]);
});

test("rows of QQP that were published cut in two or empty are left out and listed", async () => {
  const rows = [
    "1\t1\t2\tWhy?\tHow so?\t1",
    '2\t3\t4\tWho is it?\t"',
    "\tWho is this?\t0",
    "3\t5\t6\tHow?\t\t0",
    "4\t7\t8\tWhen?\tAt what time?\t2",
    "5\t9\t10\tWhere?\tWhat place?\t0",
  ];
  const text = ["id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate", ...rows, ""].join("\n");
  const load = (ledger: Ledger) =>
    loadTask("qqp", folder({ "QQP/train.tsv": text }), ["train"], { ledger });
  const ledger = new Ledger("qqp");
  const { splits } = await load(ledger);
  assert.equal(splits.train!.map(({ target }) => target), ["1", "0"]);
  assert.equal(ledger.files[0].bad, [
    { where: "line 3", fault: "columns" },
    { where: "line 4", fault: "columns" },
    { where: "line 5", fault: "empty text" },
    { where: "line 6", fault: "label" },
  ]);
  await refused(
    load(new Ledger("qqp", false)),
    /^data\/QQP\/train\.tsv:3: expected 6 tab-separated columns .* found 5\. --skip-bad leaves such rows out\.$/,
  );
  // Other tasks' rows are left out only for who says so.
  const sst2 = folder({ "SST-2/train.tsv": "sentence\tlabel\nfine\t1\ncut\n" });
  await refused(loadTask("sst2", sst2, ["train"]), /SST-2\/train\.tsv:3: .* --skip-bad/);
  const skipped = new Ledger("sst2", true);
  await loadTask("sst2", sst2, ["train"], { ledger: skipped });
  assert.equal(skipped.files[0].bad, [{ where: "line 3", fault: "columns" }]);
  const nothing = folder({ "SST-2/train.tsv": "sentence\tlabel\ncut\nin two\n" });
  await refused(
    loadTask("sst2", nothing, ["train"], { ledger: new Ledger("sst2", true) }),
    /^data\/SST-2\/train\.tsv has no examples: 2 are bad \(the first: line 2, columns\)\.$/,
  );
});

test("the folder above GLUE's will do", async () => {
  const [path, text] = oneRow.sst2;
  const { splits } = await loadTask("sst2", folder({ [`glue/${path}`]: text }), ["train"]);
  assert.is(splits.train?.length, 1);
});

test("only the splits asked for are read, and validation tests as well", async () => {
  const dev = "sentence\tlabel\nA sentence .\t1\n";
  const source = folder({ "SST-2/dev.tsv": dev, "SST-2/test.tsv": "index\tsentence\n0\tHidden" });
  const { splits } = await loadTask("sst2", source, ["validation", "test"]);
  assert.equal(Object.keys(splits), ["validation", "test"]);
  assert.is(splits.test, splits.validation);
});

test("MNLI validates on mismatched and tests on matched, where there are both", async () => {
  const row = (premise: string) => JSON.stringify({ premise, hypothesis: "H", label: "neutral" });
  const both = folder({
    "MNLI/dev_matched.jsonl": row("matched"),
    "MNLI/dev_mismatched.jsonl": row("mismatched"),
  });
  const { splits } = await loadTask("mnli", both, ["validation", "test"]);
  assert.is(splits.validation?.[0].source, "mnli premise: mismatched hypothesis: H");
  assert.is(splits.test?.[0].source, "mnli premise: matched hypothesis: H");
});

test("an unknown task is refused with the nearest", async () => {
  await refused(loadTask("sst-2", folder({})), /no GLUE task "sst-2" \(did you mean "sst2"\?\)/);
  await refused(loadTask("toString", folder({})), /no GLUE task "toString"; known tasks: cola, /);
});

test("a missing file is refused by its path", async () => {
  await refused(loadTask("rte", folder({})), /^Task rte needs data\/RTE\/train\.tsv .*--data/);
});

test("a malformed row is refused by file, line and fault", async () => {
  const load = (rows: string) =>
    loadTask("sst2", folder({ "SST-2/train.tsv": `sentence\tlabel\nfine\t1\n${rows}` }), ["train"]);
  await refused(load("no label\n"), /^data\/SST-2\/train\.tsv:3: expected 2 tab-separated columns/);
  await refused(
    load("fine\t0\nbad\t2\n"),
    /train\.tsv:4: "2" under "label" is not a label of this task \(0 or negative, 1 or positive\)\. --skip-bad/,
  );
  await refused(load("bad\t\n"), /train\.tsv:3: "" under "label" is not a label/);
  await refused(load(" \t1\n"), /train\.tsv:3: the column "sentence" is empty/);
});

test("a similarity that is no number from 0 to 5 is refused", async () => {
  const [path, text] = oneRow.stsb;
  for (const score of ["high", "", "5.1", "-1", "NaN"]) {
    const source = folder({ [path]: text.replace("3.800", score) });
    await refused(
      loadTask("stsb", source, ["train"]),
      /train\.tsv:2: ".*" under "label" is not a score/,
    );
  }
});

test("a file without rows is refused", async () => {
  const source = folder({ "SST-2/train.tsv": "sentence\tlabel\n" });
  await refused(loadTask("sst2", source, ["train"]), /train\.tsv has no examples/);
});

testOnRealData(test, ["data/glue"], "reads GLUE's files to the last row", async () => {
  const sizes: Record<string, [train: number, validation: number]> = {
    cola: [8551, 1043],
    sst2: [67349, 872],
    stsb: [5749, 1500],
    mrpc: [3667, 408],
    rte: [2490, 277],
    qnli: [9999, 5463],
    qqp: [8999, 1000],
    mnli: [480, 9815],
  };
  for (const [name, size] of Object.entries(sizes)) {
    const { splits } = await loadTask(name, realData);
    const count = (split: Split) => splits[split]?.length;
    assert.equal([count("train"), count("validation")], size, name);
  }
});

test.run();
