/** Questions about contexts: SQuAD, and MRQA in chunks and whole. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { Ledger } from "../../src/data/ledger.ts";
import { loadReading } from "../../src/data/reading.ts";
import { loadDatasets } from "../../src/data/tasks.ts";
import type { TextSource } from "../../src/data/source.ts";
import type { Dataset, Example, Split } from "../../src/data/types.ts";
import { bySubtask } from "../../src/data/units.ts";
import { UserError } from "../../src/errors.ts";
import { createTokenizer } from "../../src/text/tokenizer.ts";
import tokenizerJson from "../fixtures/tokenizer.json" with { type: "json" };
import { folder, gzipped, realData, referenceFormats } from "./folder.ts";
import { testOnRealData } from "../real-data.ts";

const test = suite("reading");

const tokenizer = createTokenizer(tokenizerJson);

async function load(
  name: string,
  data: TextSource,
  splits: Split[],
  { maxSourceLength = 64, filterNulls = false } = {},
): Promise<Dataset> {
  const chunks = { tokenizer, maxSourceLength };
  const request = { tasks: [name], data, splits: () => splits, chunks, filterNulls };
  return (await loadDatasets(request))[0];
}

async function refused(loading: Promise<unknown>, pattern: RegExp): Promise<void> {
  const error = await loading.then(() => undefined, (error) => error);
  assert.instance(error, UserError);
  assert.match(error.message, pattern);
}

const squad = (context: string, ...questions: object[]) =>
  JSON.stringify({ data: [{ paragraphs: [{ context, qas: questions }] }] });

const why = {
  id: "i1",
  question: "Why ?",
  answers: [{ text: "ans one", answer_start: 0 }, { text: "ans two", answer_start: 0 }],
};

/** MRQA's own form. */
const mrqa = (...contexts: object[]) =>
  [{ header: { dataset: "some" } }, ...contexts].map((line) => `${JSON.stringify(line)}\n`).join(
    "",
  );

const where = {
  context: "The creature fled. It was seen in the woods, and never again.",
  qas: [{
    qid: "q1",
    question: "Where was it?",
    answers: ["in the woods", "the woods"],
    detected_answers: [{ text: "the woods", char_spans: [[34, 42]] }],
  }],
};

test("a question's source has its whole context, its target is the first answer", async () => {
  for (
    const [name, path, task] of [
      ["squad", "squad/train-v1.1.json", "squad"],
      ["mrqa_reg", "mrqa/SQuAD/train.json", "SQuAD"],
    ]
  ) {
    const { splits } = await load(name, folder({ [path]: squad("Ctx .", why) }), ["train"]);
    const { src_texts: source, tgt_texts: target } = referenceFormats[name];
    const question = { id: "i1", answers: ["ans one", "ans two"] };
    assert.equal(splits.train, [{ task, source, target, question }]);
  }
});

const none = {
  id: "i2",
  question: "Who ?",
  answers: [],
  plausible_answers: [{ text: "Ctx", answer_start: 0 }],
  is_impossible: true,
};

test("the empty text answers a question of SQuAD 2.0 that has no answer", async () => {
  const text = squad("Ctx .", { ...why, is_impossible: false }, none);
  for (const file of ["train-v1.1.json", "train-v2.0.json"]) {
    const ledger = new Ledger("squad");
    const data = folder({ [`squad/${file}`]: text });
    const { task, splits } = await loadReading("squad", data, ["train"], { ledger });
    assert.equal(splits.train!.map(({ target, question }) => [target, question!.answers]), [
      ["ans one", ["ans one", "ans two"]],
      ["", [""]],
    ]);
    assert.is(task.mayBeEmpty, true);
    const { path, rows, unanswerable } = ledger.files[0];
    assert.equal([path, rows, unanswerable], [`squad/${file}`, 2, 1]);
  }
  // Left out of what is trained on by --filter-nulls.
  const data = folder({ "squad_v2/train-v2.0.json": text, "squad/dev-v2.0.json": text });
  const { splits } = await load("squad", data, ["train", "test"], { filterNulls: true });
  assert.equal([splits.train!.length, splits.test!.length], [1, 2]);
  // In chunks no part of the context has an answer.
  const chunks = await load("mrqa", folder({ "mrqa/SQuAD/train.json": text }), ["train"]);
  assert.equal(chunks.splits.train!.map(({ target, question }) => [target, question!.answers[0]]), [
    ["", "ans one"],
    ["", ""],
  ]);
  const both = squad("Ctx .", { ...why, is_impossible: true });
  await refused(
    load("squad", folder({ "squad/train-v1.1.json": both }), ["train"]),
    /qas\[0\]: the question is "is_impossible", but has answers\. --skip-bad/,
  );
});

test("SQuAD's JSON may begin with a byte-order mark, be gzipped, and number its questions", async () => {
  const text = squad("Ctx .", { ...why, id: 17 });
  for (
    const files of [
      { "squad/train-v1.1.json": `\uFEFF${text}` },
      { "squad/train-v1.1.json.gz": await gzipped(text) },
    ]
  ) {
    const { splits } = await load("squad", folder(files), ["train"]);
    assert.equal(splits.train!.map(({ question }) => question!.id), ["17"]);
  }
});

test("v1.1 goes before 2.0, and both before a part of SQuAD", async () => {
  const text = squad("Ctx .", why);
  const ledger = new Ledger("squad");
  const data = folder({
    "squad/train-v2.0.json": text,
    "squad/train-v1.1.json": text,
    "squad/dev-v2.0.json": text,
    "xquad-en/xquad.en.json": text,
  });
  await loadReading("squad", data, ["train", "validation", "test"], { ledger });
  assert.equal(ledger.files.map(({ path, splits, others }) => [path, splits, others]), [
    ["squad/train-v1.1.json", ["train"], ["squad/train-v2.0.json"]],
    ["squad/dev-v2.0.json", ["validation", "test"], []],
  ]);
});

test("rows of one question, as to_json writes them, are read", async () => {
  const row = {
    id: "i1",
    title: "T",
    question: "Where ?",
    context: where.context,
    answers: { text: ["the woods"], answer_start: [34] },
  };
  const unanswerable = { ...row, id: "i2", answers: { text: [], answer_start: [] } };
  const rows = [row, unanswerable].map((row) => `${JSON.stringify(row)}\n`).join("");
  const { splits } = await load("squad", folder({ "squad/train.jsonl": rows }), ["train"]);
  assert.equal(splits.train!.map(({ target, question }) => [target, question]), [
    ["the woods", { id: "i1", answers: ["the woods"] }],
    ["", { id: "i2", answers: [""] }],
  ]);
  const mrqaRow = {
    subset: "SQuAD",
    context: where.context,
    qid: "q1",
    question: "Where was it?",
    detected_answers: { text: ["the woods"], char_spans: [{ start: [34], end: [42] }] },
    answers: ["in the woods", "the woods"],
  };
  const flat = folder({ "mrqa/train/SQuAD.jsonl": `${JSON.stringify(mrqaRow)}\n` });
  const published = folder({ "mrqa/train/SQuAD.jsonl": mrqa(where) });
  for (const name of ["mrqa", "mrqa_reg"]) {
    const texts = async (data: TextSource) =>
      (await load(name, data, ["train"], { maxSourceLength: 40 })).splits.train!
        .map(({ source, target, question }) => ({ source, target, question }));
    assert.equal(await texts(flat), await texts(published));
  }
});

test("a bad question is left out by itself where that is wanted, a bad line of MRQA whole", async () => {
  const ledger = new Ledger("squad", true);
  const text = squad("Ctx .", why, { ...why, answers: [] });
  await loadReading("squad", folder({ "squad/train-v1.1.json": text }), ["train"], { ledger });
  assert.equal(ledger.files[0].rows, 1);
  assert.equal(ledger.files[0].bad, [
    { where: "data[0], paragraphs[0], qas[1]", fault: "question" },
  ]);
  const lines = new Ledger("mrqa_reg", true);
  const data = folder({ "mrqa/train/SQuAD.jsonl": `${mrqa(where)}{"cut": \n\n` });
  await loadReading("mrqa_reg", data, ["train"], { ledger: lines });
  assert.equal(lines.files[0].rows, 1);
  assert.equal(lines.files[0].bad, [{ where: "line 3", fault: "not JSON" }]);
});

test("gzip files of several members are read whole", async () => {
  const parts = [mrqa(where), mrqa(where, where).split("\n").slice(1).join("\n")];
  const members = await Promise.all(parts.map(gzipped));
  const data = folder({
    "mrqa/train/SQuAD.jsonl.gz": new Uint8Array(await new Blob(members).arrayBuffer()),
  });
  const { splits } = await load("mrqa_reg", data, ["train"]);
  assert.is(splits.train!.length, 3);
});

test("MRQA's files are read as published, gzipped, its sets are sub-tasks", async () => {
  const data = folder({
    "mrqa/train/NewsQA.jsonl.gz": await gzipped(mrqa(where)),
    "mrqa/train/SQuAD.jsonl": mrqa(where, where),
    "mrqa/dev/SQuAD.jsonl": mrqa(where),
    "mrqa/dev/DuoRC.ParaphraseRC.jsonl": mrqa(where),
  });
  const dataset = await load("mrqa_reg", data, ["train", "validation", "test"]);
  const tasks = (split: Split) => dataset.splits[split]!.map(({ task }) => task);
  assert.equal(tasks("train"), ["NewsQA", "SQuAD", "SQuAD"]);
  assert.equal(tasks("validation"), ["SQuAD"]);
  assert.equal(tasks("test"), ["DuoRC.ParaphraseRC"]);
  const parts = bySubtask(dataset, "train");
  assert.equal(parts.map(({ task }) => task.name), ["NewsQA", "SQuAD"]);
  assert.equal(parts.map(({ splits }) => splits.train!.length), [1, 2]);
  assert.equal(bySubtask(dataset, "test").map(({ task }) => task.name), ["DuoRC.ParaphraseRC"]);
});

test("chunks fill the longest source, overlap, and together are the context", async () => {
  const data = folder({ "mrqa/train/SQuAD.jsonl": mrqa(where) });
  const maxSourceLength = 48;
  const { splits: { train = [] } } = await load("mrqa", data, ["train"], { maxSourceLength });
  const prompt = tokenizer.encode("question: Where was it? context: ").slice(0, -1);
  const whole = tokenizer.encode(where.context).slice(0, -1);
  const room = maxSourceLength - prompt.length - 1, step = room - maxSourceLength / 4;
  assert.is(train.length, Math.ceil((whole.length - room) / step) + 1);
  train.forEach((example, i) => {
    const part = whole.slice(i * step, i * step + room);
    assert.equal(example.sourceIds, [...prompt, ...part, tokenizer.eosId]);
    assert.is(example.question, train[0].question);
  });
  assert.equal(train[0].question, { id: "q1", answers: ["in the woods", "the woods"] });
});

test("a chunk's target is the answer that is in it, or nothing", async () => {
  const data = folder({
    "mrqa/train/SQuAD.jsonl": mrqa(where),
    "mrqa/dev/SQuAD.jsonl": mrqa(where),
  });
  const options = { maxSourceLength: 34 };
  const { splits: { train = [] } } = await load("mrqa", data, ["train"], options);
  const answered = train.filter(({ target }) => target === "the woods");
  assert.ok(answered.length > 0 && answered.length < train.length);
  for (const { source, target } of train) {
    const [, part] = source.split(" context: ");
    assert.ok(where.context.includes(part));
    assert.is(target, part.includes("the woods") ? "the woods" : "");
  }
  const filtered = await load("mrqa", data, ["train", "validation"], {
    ...options,
    filterNulls: true,
  });
  assert.equal(filtered.splits.train, answered);
  assert.is(filtered.splits.validation!.length, train.length);
});

test("a question that is longer than the source leaves room for some of the context", async () => {
  const long = { ...where, qas: [{ ...where.qas[0], question: "why ".repeat(99) }] };
  const data = folder({ "mrqa/train/SQuAD.jsonl": mrqa(long) });
  const { splits: { train = [] } } = await load("mrqa", data, ["train"], { maxSourceLength: 16 });
  const lengths = train.map(({ sourceIds }) => sourceIds!.length);
  assert.is(Math.max(...lengths), 16);
  assert.ok(train.some(({ source }: Example) => source.endsWith("again.")));
});

test("a limit counts questions, not chunks", async () => {
  const many = { ...where, qas: [0, 1, 2, 3].map((i) => ({ ...where.qas[0], qid: `q${i}` })) };
  const data = folder({ "mrqa/train/SQuAD.jsonl": mrqa(many) });
  const [{ splits: { train = [] } }] = await loadDatasets({
    tasks: ["mrqa"],
    data,
    splits: () => ["train"],
    chunks: { tokenizer, maxSourceLength: 32 },
    trainLimit: 2,
  });
  const ids = train.map(({ question }) => question!.id);
  assert.is(new Set(ids).size, 2);
  assert.ok(train.length > 2);
});

test("what is missing or malformed is refused by file, place and fault", async () => {
  await refused(
    load("squad", folder({}), ["train"]),
    /^Task squad needs data\/squad\/train-v1\.1\.json \(or squad\/train-v2\.0\.json\), /,
  );
  await refused(
    load("mrqa", folder({}), ["train"]),
    /^Task mrqa needs data\/mrqa\/train\/HotpotQA\.jsonl\.gz, or another of HotpotQA, .* there is none; --data takes the folder that holds mrqa\.$/,
  );
  const reading = (text: string) =>
    load("squad", folder({ "squad/train-v1.1.json": text }), ["train"]);
  const file = "^data/squad/train-v1\\.1\\.json";
  await refused(reading("{"), new RegExp(`${file} is not SQuAD's JSON: `));
  await refused(reading('{"data": 1}'), new RegExp(`${file}: expected a list under "data"\\.$`));
  await refused(
    reading('{"data": [null]}'),
    new RegExp(`${file}, data\\[0\\]: expected a list under "paragraphs"\\.$`),
  );
  await refused(
    reading(squad("Ctx .", why, { ...why, answers: [] })),
    new RegExp(
      `${file}, data\\[0\\], paragraphs\\[0\\], qas\\[1\\]: the question has no answer, and does not say ` +
        `"is_impossible": true as in SQuAD 2\\.0\\. --skip-bad`,
    ),
  );
  await refused(reading('{"data": []}'), new RegExp(`${file} has no questions\\.$`));

  const line = (context: object) =>
    load("mrqa", folder({ "mrqa/train/SQuAD.jsonl": mrqa(where, context) }), ["train"]);
  await refused(
    line({ qas: [] }),
    /^data\/mrqa\/train\/SQuAD\.jsonl:3: expected text under "context"\. --skip-bad/,
  );
  const detected_answers = [{ text: "x", char_spans: [[1, 2, 3]] }];
  await refused(
    line({ ...where, qas: [{ ...where.qas[0], detected_answers }] }),
    /jsonl:3, qas\[0\], detected_answers\[0\]: expected a list of pairs of numbers under "char_spans"\. --skip-bad/,
  );
});

testOnRealData(
  test,
  ["data/xquad-en", "data/mrqa-ood"],
  "real questions are read, and their answers found in chunks",
  async () => {
    const xquad = await load("squad", realData, ["validation", "test"]);
    assert.equal(Object.values(xquad.splits).map(({ length }) => length), [1190, 1190]);
    assert.is((await load("mrqa_reg", realData, ["test"])).splits.test!.length, 126);
    const { splits: { test: chunks = [] } } = await load("mrqa", realData, ["test"], {
      maxSourceLength: 512,
    });
    const answered = new Set<string>(), asked = new Set<string>();
    for (const { question, source, target, sourceIds } of chunks) {
      asked.add(question!.id);
      assert.ok(sourceIds!.length <= 512);
      if (target === "") continue;
      answered.add(question!.id);
      // As in the reference, an answer may reach over a chunk's end by its last character.
      assert.ok(source.includes(target.slice(0, -1)));
    }
    assert.is(asked.size, 126);
    assert.is(answered.size, 126);
  },
);

test.run();
