/** The readers of tasks beyond GLUE, but for those of reading. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { exportedSplits, exportedTaskNames } from "../../src/data/exported.ts";
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
  ...Object.fromEntries(exportedTaskNames.map((name) => {
    const file = `${name}/${exportedSplits(name).train}.jsonl`;
    return [name, { [file]: `${JSON.stringify(referenceFormats[name].example)}\n` }];
  })),
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
      /^Task superglue-cb needs data\/superglue-cb\/train\.jsonl \(or \.jsonl\.gz\), which is not there: a line of JSON for each example with the fields premise, hypothesis, label, as Hugging Face's load_dataset\("super_glue", "cb"\)\["train"\]\.to_json writes it; --data takes the folder that holds superglue-cb\.$/,
    "wmt16-en-ro":
      /with the fields translation, as Hugging Face's load_dataset\("wmt16", "ro-en"\)/,
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

  const trec = (row: object) =>
    load("trec", folder({ "trec/test.jsonl": JSON.stringify(row) }), "test");
  await refused(
    trec({ text: "Why?" }),
    /^data\/trec\/test\.jsonl:1: expected text or a number under "label-coarse"\.$/,
  );
  await refused(trec({ text: 3, "label-coarse": 3 }), /:1: expected text under "text"\.$/);
  await refused(
    trec({ text: "Why?", "label-coarse": 6 }),
    /:1: "6" is not a label of this task \(0, 1, 2, 3, 4, 5\)\.$/,
  );
  const scitail = { sentence1: "A", sentence2: "B", gold_label: "maybe" };
  await refused(
    load("scitail", folder({ "scitail/train.jsonl": JSON.stringify(scitail) }), "train"),
    /^data\/scitail\/train\.jsonl:1: "maybe" is not a label of this task\.$/,
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
