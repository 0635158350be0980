/** The readers of tasks beyond GLUE. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { loadDatasets } from "../../src/data/tasks.ts";
import type { TextSource } from "../../src/data/source.ts";
import type { Dataset, Split } from "../../src/data/types.ts";
import { UserError } from "../../src/errors.ts";
import { folder, hasRealData, realData, referenceFormats } from "./folder.ts";

const test = suite("readers");

async function load(name: string, data: TextSource, ...splits: Split[]): Promise<Dataset> {
  return (await loadDatasets({ tasks: [name], data, splits: () => splits }))[0];
}

async function refused(loading: Promise<unknown>, pattern: RegExp): Promise<void> {
  const error = await loading.then(() => undefined, (error) => error);
  assert.instance(error, UserError);
  assert.match(error.message, pattern);
}

const squad = (...questions: object[]) =>
  JSON.stringify({ data: [{ paragraphs: [{ context: "Ctx .", qas: questions }] }] });
const question = {
  id: "i1",
  question: "Why ?",
  answers: [{ text: "ans one", answer_start: 0 }, { text: "ans two", answer_start: 0 }],
};

/** For each task, a training set of one example with the texts of the reference's fixture. */
const oneExample: Record<string, Record<string, string>> = {
  anli: {
    "anli/R1/train.jsonl": JSON.stringify({ context: "P .", hypothesis: "H .", label: "n" }),
  },
  art: {
    "art/train.jsonl": JSON.stringify({ obs1: "ob1", obs2: "ob2", hyp1: "h1", hyp2: "h2" }),
    "art/train-labels.lst": "1\n",
  },
  squad: { "squad/train-v1.1.json": squad(question) },
  mrqa_reg: { "mrqa/SQuAD/train.json": squad(question) },
  xsum: { "xsum/train.jsonl": JSON.stringify({ document: "Doc text .", summary: "Sum ." }) },
  cnn_dailymail: {
    "cnn_dailymail/train.jsonl": JSON.stringify({ article: "Art text .", highlights: "High ." }),
  },
  wiki_lingua_english_en: {
    "wiki_lingua_english_en/train.jsonl": JSON.stringify({ source: "Src .", target: "Tgt ." }),
  },
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
    squad: /^Task squad needs data\/squad\/train-v1\.1\.json, /,
    mrqa_reg: /^Task mrqa_reg needs data\/mrqa\/HotpotQA\/train\.json \(or /,
    xsum: /^Task xsum needs data\/xsum\/train\.jsonl, /,
  };
  for (const [name, pattern] of Object.entries(wants)) {
    await refused(load(name, folder({}), "train"), pattern);
  }
});

test("a malformed row is refused by file, line and fault", async () => {
  const anli = (line: object) =>
    load("anli", folder({ "anli/R2/test.jsonl": JSON.stringify(line) }), "test");
  await refused(
    anli({ context: "P", hypothesis: "H", label: "m" }),
    /^data\/anli\/R2\/test\.jsonl:1: "m" is not a label of this task \(e, n, c\)\.$/,
  );
  await refused(anli({ context: "P", label: "e" }), /test\.jsonl:1: expected text under "hyp/);

  const art = { ...oneExample.art, "art/train-labels.lst": "1\n2\n" };
  await refused(
    load("art", folder(art), "train"),
    /^data\/art\/train-labels\.lst has 2 labels for the 1 rows of data\/art\/train\.jsonl\.$/,
  );
  const label = { ...oneExample.art, "art/train-labels.lst": "0\n" };
  await refused(load("art", folder(label), "train"), /train-labels\.lst:1: "0" is not a label/);

  const reading = (text: string) =>
    load("squad", folder({ "squad/train-v1.1.json": text }), "train");
  const not = "^data/squad/train-v1\\.1\\.json is not SQuAD v1\\.1's JSON: ";
  await refused(reading("{"), new RegExp(not));
  await refused(reading('{"data": 1}'), new RegExp(`${not}the file has no list "data"\\.$`));
  await refused(
    reading('{"data": [null]}'),
    new RegExp(`${not}data\\[0\\] has no list "paragraphs"\\.$`),
  );
  await refused(
    reading(squad(question, { ...question, answers: [] })),
    new RegExp(`${not}qas\\[1\\] of paragraphs\\[0\\] of data\\[0\\] has no answer\\.$`),
  );
  await refused(reading('{"data": []}'), new RegExp(`${not}it has no questions\\.$`));
});

(hasRealData ? test : test.skip)("reads the releases' files to the last row", async () => {
  const counts = async (name: string, ...splits: Split[]) => {
    const { splits: loaded } = await load(name, realData, ...splits);
    return splits.map((split) => loaded[split]!.length);
  };
  assert.equal(await counts("anli", "validation", "test"), [2000, 2000]);
  assert.equal(await counts("art", "train", "validation", "test"), [3, 2, 2]);
  assert.equal(await counts("squad", "validation", "test"), [1190, 1190]);
  assert.equal(await counts("mrqa_reg", "test"), [126]);
});

test.run();
