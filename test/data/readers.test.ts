/** The readers of tasks beyond GLUE, but for those of reading. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { exportedSplits, exportedTaskNames, loadExported } from "../../src/data/exported.ts";
import { Ledger } from "../../src/data/ledger.ts";
import { loadDatasets } from "../../src/data/tasks.ts";
import type { TextSource } from "../../src/data/source.ts";
import type { Dataset, Split } from "../../src/data/types.ts";
import { UserError } from "../../src/errors.ts";
import { folder, gzipped, realData, referenceFormats } from "./folder.ts";
import { testOnRealData } from "../real-data.ts";

const test = suite("readers");

async function load(name: string, data: TextSource, ...splits: Split[]): Promise<Dataset> {
  return (await loadDatasets({ tasks: [name], data, splits: () => splits }))[0];
}

async function refused(loading: Promise<unknown>, pattern: RegExp): Promise<void> {
  const error = await loading.then(() => undefined, (error) => error);
  assert.instance(error, UserError);
  assert.match(error.message, pattern);
}

/** For each task, a training set of one example with the texts of the reference's fixture. */
const oneExample: Record<string, Record<string, string>> = {
  anli: {
    "anli/R1/train.jsonl": JSON.stringify({ context: "P .", hypothesis: "H .", label: "n" }),
  },
  art: {
    "art/train.jsonl": JSON.stringify({ obs1: "ob1", obs2: "ob2", hyp1: "h1", hyp2: "h2" }),
    "art/train-labels.lst": "1\n",
  },
  ...Object.fromEntries(
    exportedTaskNames.filter((name) => name in referenceFormats).map((name) => {
      const file = `${name}/${exportedSplits(name).train}.jsonl`;
      return [name, { [file]: `${JSON.stringify(referenceFormats[name].example)}\n` }];
    }),
  ),
};

test("every task is formatted as the reference formats it", async () => {
  for (const [name, files] of Object.entries(oneExample)) {
    const { splits } = await load(name, folder(files), "train");
    const { src_texts: source, tgt_texts: target } = referenceFormats[name];
    assert.equal(splits.train, [{ task: name, source, target }]);
  }
});

test("a missing file is refused by its path", async () => {
  const wants: Record<string, RegExp> = {
    anli: /^Task anli needs data\/anli\/R1\/train\.jsonl \(or anli\/R2\/train\.jsonl, /,
    art:
      /^Task art needs data\/art\/train\.jsonl, which is not there; --data takes the folder that holds art\.$/,
    "superglue-cb":
      /^Task superglue-cb needs data\/superglue-cb\/train\.jsonl \(or \.jsonl\.gz\), or its release's file in data\/CB, which is not there: a line of JSON for each example with the fields premise, hypothesis, label, as Hugging Face's load_dataset\("aps\/super_glue", "cb"\)\["train"\]\.to_json writes it; --data takes the folder that holds superglue-cb\.$/,
    "wmt16-en-ro":
      /with the fields translation, as Hugging Face's load_dataset\("wmt\/wmt16", "ro-en"\)/,
  };
  for (const [name, pattern] of Object.entries(wants)) {
    await refused(load(name, folder({}), "train"), pattern);
  }
});

test("exported data sets may be gzipped, and lack splits that others stand for", async () => {
  const row = (text: string, label = 0) => `${JSON.stringify({ text, label })}\n`;
  const data = folder({
    "imdb/train.jsonl.gz": await gzipped(row("a") + row("none", -1) + row("b", 1)),
    "imdb/test.jsonl": row("c"),
  });
  const { task, splits } = await load("imdb", data, "train", "validation", "test");
  assert.equal(task.labels, ["0", "1"]);
  assert.equal(splits.train, [
    { task: "imdb", source: "imdb a", target: "0" },
    { task: "imdb", source: "imdb b", target: "1" },
  ]);
  assert.is(splits.validation, splits.test);
  const half = folder({
    "imdb/train.jsonl.gz": (await gzipped(row("a").repeat(999))).slice(0, 50),
  });
  await refused(load("imdb", half, "train"), /^data\/imdb\/train\.jsonl\.gz is no whole gzip file/);
});

test("a malformed row is refused by file, line and fault", async () => {
  const anli = (line: object) =>
    load("anli", folder({ "anli/R2/test.jsonl": JSON.stringify(line) }), "test");
  await refused(
    anli({ context: "P", hypothesis: "H", label: "m" }),
    /^data\/anli\/R2\/test\.jsonl:1: "m" under "label" is not a label of this task \(0 or entailment, /,
  );
  await refused(
    anli({ context: "P", label: "e" }),
    /test\.jsonl:1: there is no "hypothesis"; the row has context, label\./,
  );

  const art = { ...oneExample.art, "art/train-labels.lst": "1\n2\n" };
  await refused(
    load("art", folder(art), "train"),
    /^data\/art\/train-labels\.lst has 2 labels for the 1 rows of data\/art\/train\.jsonl\.$/,
  );
  const few = { ...oneExample.art, "art/train-labels.lst": "\n" };
  await refused(
    load("art", folder(few), "train"),
    /^data\/art\/train-labels\.lst has 0 labels, fewer than data\/art\/train\.jsonl has rows\.$/,
  );
  const label = { ...oneExample.art, "art/train-labels.lst": "0\n" };
  await refused(
    load("art", folder(label), "train"),
    /train\.jsonl:1 with data\/art\/train-labels\.lst:1: "0" under "label" is not a label/,
  );

  const trec = (row: object) =>
    load("trec", folder({ "trec/test.jsonl": JSON.stringify(row) }), "test");
  await refused(
    trec({ text: "Why?", class: 3 }),
    /^data\/trec\/test\.jsonl:1: there is no "coarse_label" \(or "label-coarse"\); the row has text, class\. --skip-bad leaves such rows out\.$/,
  );
  await refused(trec({ text: 3, "label-coarse": 3 }), /:1: expected text under "text"\. --skip/);
  await refused(
    trec({ text: "Why?", "label-coarse": 6 }),
    /:1: 6 under "label-coarse" is not a label of this task \(0 or DESC, .*, 5 or LOC\)\. --skip-bad/,
  );
  const scitail = { sentence1: "A", sentence2: "B", gold_label: "maybe" };
  await refused(
    load("scitail", folder({ "scitail/train.jsonl": JSON.stringify(scitail) }), "train"),
    /^data\/scitail\/train\.jsonl:1: "maybe" under "gold_label" is not a label of this task \(0 or entailment, 1 or neutral\)\./,
  );
  for (const label of ["null", "0.5", "[1]", '""', '"1.0"', "true"]) {
    const row = `{"premise":"A","hypothesis":"B","label":${label}}`;
    await refused(
      load("snli", folder({ "snli/train.jsonl": row }), "train"),
      /under "label" is not/,
    );
  }
});

/** Rows in other forms than the reference's, by task: what `to_json` writes today, and releases' own. */
const forms: readonly (readonly [task: string, row: object, source: string, target: string])[] = [
  // The classes were put in another order when the field was renamed; targets stay the reference's.
  ...[["ABBR", 2], ["ENTY", 1], ["DESC", 0], ["HUM", 3], ["LOC", 5], ["NUM", 4]].map(
    ([, target], i) =>
      [
        "trec",
        { text: "Why ?", coarse_label: i, fine_label: 40 },
        "trec sentence: Why ?",
        String(target),
      ] as const,
  ),
  ["trec", { text: "Why ?", "label-coarse": 4 }, "trec sentence: Why ?", "4"],
  [
    "sick",
    { id: "1", sentence_A: "A", sentence_B: "B", label: 2, entailment_AB: "A_contradicts_B" },
    "sick premise: A hypothesis: B",
    "2",
  ],
  [
    "superglue-boolq",
    { question: "q", passage: "P", idx: 3, label: true },
    "superglue-boolq question: q passage: P",
    "1",
  ],
  [
    "superglue-boolq",
    { question: "q", title: "T", answer: false, passage: "P" },
    "superglue-boolq question: q passage: P",
    "0",
  ],
  [
    "superglue-cb",
    { premise: "A", hypothesis: "B", label: "contradiction", idx: 0 },
    "superglue-cb premise: A hypothesis: B",
    "1",
  ],
  [
    "superglue-rte",
    { premise: "A", hypothesis: "B", label: "not_entailment", idx: 0 },
    "superglue-rte premise: A hypothesis: B",
    "1",
  ],
  [
    "snli",
    { sentence1: "A", sentence2: "B", gold_label: "contradiction" },
    "snli premise: A hypothesis: B",
    "2",
  ],
  [
    "scitail",
    { premise: "A", hypothesis: "B", label: "entails" },
    "scitail sentence1: A sentence2: B",
    "0",
  ],
  [
    "hellaswag",
    { ctx: "C", endings: ["a", "b", "c", "d"], label: "3" },
    "hellaswag ctx: C ending0: a ending1: b ending2: c ending3: d",
    "3",
  ],
  [
    "commonsense_qa",
    {
      question: "Q",
      question_concept: "c",
      choices: { label: ["B", "A", "C", "D", "E"], text: ["b", "a", "c", "d", "e"] },
      answerKey: "E",
    },
    "commonsense_qa question: Q A: a B: b C: c D: d E: e",
    "E",
  ],
  [
    "commonsense_qa",
    {
      question: {
        stem: "Q",
        choices: ["A", "B", "C", "D", "E"].map((label) => ({ label, text: label.toLowerCase() })),
      },
      answerKey: "B",
    },
    "commonsense_qa question: Q A: a B: b C: c D: d E: e",
    "B",
  ],
  ["imdb", { text: "T", label: "pos" }, "imdb T", "1"],
  ["scitldr", { source: ["One.", "Two."], target: ["Sum."] }, "summarize: One. Two.", "Sum."],
];

test("rows in the forms of today's data sets and of releases are read", async () => {
  for (const [name, row, source, target] of forms) {
    const file = `${name}/${exportedSplits(name).train}.jsonl`;
    const { splits } = await load(name, folder({ [file]: JSON.stringify(row) }), "train");
    assert.equal(splits.train, [{ task: name, source, target }], JSON.stringify(row));
  }
});

test("releases are read where their archives put them", async () => {
  const nli = JSON.stringify({ premise: "A", hypothesis: "B", label: "entailment" });
  const boolq = JSON.stringify({ question: "q", passage: "P", label: true });
  const places: [task: string, split: Split, path: string, row: string][] = [
    ["superglue-boolq", "validation", "BoolQ/val.jsonl", boolq],
    ["superglue-boolq", "validation", "boolq/dev.jsonl", boolq],
    ["superglue-cb", "train", "superglue/CB/train.jsonl", nli],
    ["superglue-rte", "test", "RTE/val.jsonl", nli],
    ["snli", "validation", "snli_1.0/snli_1.0_dev.jsonl", nli],
    ["anli", "train", "anli/train_r2.jsonl", nli],
    ["anli", "test", "anli_v1.0/R3/test.jsonl", nli],
    ["mnli", "test", "multinli_1.0/multinli_1.0_dev_matched.jsonl", nli],
    ["cola", "train", "glue_data/CoLA/train.tsv", "gj04\t1\t\tA sentence ."],
  ];
  for (const [name, split, path, row] of places) {
    const { splits } = await load(name, folder({ [path]: `${row}\n` }), split);
    assert.is(splits[split]!.length, 1, path);
  }
});

test("a target may be a list of texts, of which the first is learnt and any is right", async () => {
  const row = (target: unknown) => `${JSON.stringify({ source: ["One."], target })}\n`;
  const data = folder({
    "scitldr/SciTLDR-A/dev.jsonl.gz": await gzipped(row(["a", "b", "c"]) + row(["d"]) + row("e")),
    "SciTLDR-AIC/dev.jsonl": row(["not this"]),
    "scitldr/SciTLDR-A/train.jsonl": row([]),
    "scitldr/SciTLDR-A/test.jsonl": row(["a", 1]),
  });
  const { splits } = await load("scitldr", data, "validation");
  assert.equal(splits.validation!.map(({ target, references }) => [target, references]), [
    ["a", ["a", "b", "c"]],
    ["d", undefined],
    ["e", undefined],
  ]);
  for (const split of ["train", "test"] as const) {
    await refused(load("scitldr", data, split), /:1: expected a list of texts under "target"\./);
  }
});

test("what is not expected of a field is noted", async () => {
  for (
    const [field, note] of [["coarse_label", /numbered as in label-coarse/], [
      "label-coarse",
      /^$/,
    ]] as const
  ) {
    const ledger = new Ledger("trec");
    const data = folder({ "trec/train.jsonl": JSON.stringify({ text: "Why ?", [field]: 1 }) });
    await loadExported("trec", data, ["train"], { ledger });
    assert.match(ledger.files[0].note ?? "", note);
  }
});

test("rows without a label are left out and counted", async () => {
  const ledger = new Ledger("snli");
  const row = (label: object) => `${JSON.stringify({ premise: "A", hypothesis: "B", ...label })}\n`;
  const data = folder({
    "snli/train.jsonl": row({ label: -1 }) + row({ label: 1 }) + row({ gold_label: "-" }),
    "snli/test.jsonl": row({ label: -1 }),
  });
  await loadExported("snli", data, ["train"], { ledger });
  const { rows, unlabelled } = ledger.files[0];
  assert.equal([rows, unlabelled], [1, 2]);
  await refused(
    load("snli", data, "test"),
    /test\.jsonl has no examples: its 1 rows have no label/,
  );
});

test("labels stand in a file of their own, or in the rows", async () => {
  const social = JSON.stringify({
    context: "c",
    question: "q",
    answerA: "a",
    answerB: "b",
    answerC: "d",
  });
  const release = await load(
    "social_i_qa",
    folder({
      "socialiqa-train-dev/dev.jsonl": `${social}\n${social}\n`,
      "socialiqa-train-dev/dev-labels.lst": "3\n1\n",
    }),
    "test",
  );
  assert.equal(release.splits.test!.map(({ target }) => target), ["3", "1"]);

  const row = (more: object) =>
    `${JSON.stringify({ obs1: "a", obs2: "b", hyp1: "c", hyp2: "d", ...more })}\n\n`;
  const apart = folder({
    "art/train.jsonl": row({}) + row({}),
    "art/train-labels.lst": "1\r\n2\r\n\r\n",
  });
  const { splits } = await load("art", apart, "train");
  assert.equal(splits.train!.map(({ target }) => target), ["1", "2"]);
  const within = await load("art", folder({ "art/train.jsonl": row({ label: 2 }) }), "train");
  assert.equal(within.splits.train!.map(({ target }) => target), ["2"]);
  await refused(
    load("art", folder({ "art/train.jsonl": row({}) }), "train"),
    /^data\/art\/train\.jsonl:1 has no "label", and there is no data\/art\/train-labels\.lst\.$/,
  );
});

testOnRealData(
  test,
  ["data/anli", "data/art"],
  "reads the releases' files to the last row",
  async () => {
    const counts = async (name: string, ...splits: Split[]) => {
      const { splits: loaded } = await load(name, realData, ...splits);
      return splits.map((split) => loaded[split]!.length);
    };
    assert.equal(await counts("anli", "validation", "test"), [2000, 2000]);
    assert.equal(await counts("art", "train", "validation", "test"), [3, 2, 2]);
  },
);

test.run();
