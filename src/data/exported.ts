/**
 * Tasks whose data sets are read from JSON lines: as Hugging Face's `datasets` library writes them with
 * `to_json`, in a folder of the task's name, or as their own release has them.
 *
 * Invariant: a row that lacks a field is an error. Only rows whose label is -1, which stands for none (785
 * of SNLI's training set), are left out, and counted; the reference trains on the text "-1".
 */

import { UserError } from "../errors.ts";
import { fieldsOf, formatRow, isUnlabelled, noteOf } from "./formats.ts";
import { type FileRecord, Ledger } from "./ledger.ts";
import { labelledRows } from "./labels-apart.ts";
import { jsonRows, plainOrGzipped } from "./lines.ts";
import { findFirst, type Found } from "./locate.ts";
import type { TextSource } from "./source.ts";
import type { Dataset, Example, MetricName, Split, TaskSpecification } from "./types.ts";

interface ExportedTask {
  readonly description: string;
  /** The data set as `load_dataset` wants it. */
  readonly dataset: string;
  readonly metrics: readonly MetricName[];
  readonly labels?: readonly string[];
  readonly answerLength?: number | readonly string[];
  readonly beams?: number;
  /** The data set's split that is read for each of ours. */
  readonly splits: Readonly<Record<Split, string>>;
  /** Folders that may hold it beside that of its name. */
  readonly folders?: readonly string[];
  /** What its release calls the files of its splits. */
  readonly files?: Readonly<Record<string, string>>;
  /** Whether its release has labels in a file of their own. */
  readonly labelsApart?: boolean;
}

const own = { train: "train", validation: "validation", test: "test" };
/** Of data sets whose test labels are secret, and of those without a validation split. */
const testedOnValidation = { ...own, test: "validation" };
const validatedOnTest = { ...own, validation: "test" };

/** Where SuperGLUE's release has a task, and where people put it. */
const superGlue = (folder: string): string[] =>
  ["", "superglue/", "super_glue/", "SuperGLUE/"].map((above) => `${above}${folder}`);

const digits = (count: number, from = 0): string[] =>
  Array.from({ length: count }, (_, i) => String(from + i));

function choice(
  description: string,
  dataset: string,
  splits: ExportedTask["splits"],
  labels: readonly string[],
  answerLength = labels,
): ExportedTask {
  return { description, dataset, splits, metrics: ["accuracy"], labels, answerLength };
}

function translation(description: string, dataset: string): ExportedTask {
  return { description, dataset, splits: own, metrics: ["bleu"], answerLength: 300, beams: 4 };
}

function summary(description: string, dataset: string, beams: number): ExportedTask {
  return {
    description,
    dataset,
    splits: own,
    metrics: ["rouge_1", "rouge_2", "rouge_l", "rouge_lsum"],
    answerLength: 60,
    beams,
  };
}

const tasks: Readonly<Record<string, ExportedTask>> = {
  "superglue-boolq": {
    ...choice(
      "Is the answer to a question about a passage yes?",
      '"aps/super_glue", "boolq"',
      testedOnValidation,
      digits(2),
    ),
    folders: [...superGlue("BoolQ"), "boolq"],
  },
  "superglue-cb": {
    ...choice(
      "Is the writer of a text committed to a clause in it?",
      '"aps/super_glue", "cb"',
      testedOnValidation,
      digits(3),
    ),
    folders: superGlue("CB"),
  },
  "superglue-rte": {
    ...choice(
      "Does one text follow from another?",
      '"aps/super_glue", "rte"',
      testedOnValidation,
      digits(2),
    ),
    folders: superGlue("RTE"),
  },
  paws: choice(
    "Do two sentences of much the same words say the same?",
    '"google-research-datasets/paws", "labeled_final"',
    own,
    digits(2),
  ),
  imdb: choice("Is a film review positive?", '"stanfordnlp/imdb"', validatedOnTest, digits(2)),
  snli: {
    ...choice("Does a caption follow from another?", '"stanfordnlp/snli"', own, digits(3)),
    folders: ["snli_1.0", "snli/snli_1.0"],
    files: { train: "snli_1.0_train", validation: "snli_1.0_dev", test: "snli_1.0_test" },
  },
  scitail: choice(
    "Does an answer to a school question follow from a text?",
    '"allenai/scitail", "snli_format"',
    own,
    digits(2),
  ),
  trec: choice(
    "What kind of thing does a question ask for?",
    '"CogComp/trec"',
    validatedOnTest,
    digits(6),
  ),
  yelp_polarity: choice(
    "Is a review of a business positive?",
    '"fancyzhx/yelp_polarity"',
    validatedOnTest,
    digits(2),
  ),
  sick: choice("Does one caption follow from another?", '"RobZamp/sick"', own, digits(3)),
  social_i_qa: {
    ...choice(
      "What answers a question about people in a situation?",
      '"allenai/social_i_qa"',
      testedOnValidation,
      digits(3, 1),
      digits(3),
    ),
    folders: ["socialiqa-train-dev"],
    labelsApart: true,
  },
  cosmos_qa: choice(
    "What answers a question about what a story leaves unsaid?",
    '"allenai/cosmos_qa"',
    testedOnValidation,
    digits(4),
  ),
  winogrande: {
    ...choice(
      "Which of two names fills a gap?",
      '"allenai/winogrande", "winogrande_l"',
      testedOnValidation,
      digits(2, 1),
    ),
    folders: ["winogrande_1.1"],
    files: { train: "train_l" },
  },
  hellaswag: {
    ...choice("How does a scene go on?", '"Rowan/hellaswag"', testedOnValidation, digits(4)),
    files: { train: "hellaswag_train", validation: "hellaswag_val" },
  },
  commonsense_qa: {
    ...choice(
      "Which of five words answers a question?",
      '"tau/commonsense_qa"',
      testedOnValidation,
      ["A", "B", "C", "D", "E"],
    ),
    files: { train: "train_rand_split", validation: "dev_rand_split" },
  },
  "wmt16-ro-en": translation("Translate Romanian to English.", '"wmt/wmt16", "ro-en"'),
  "wmt14-hi-en": translation("Translate English to Hindi.", '"wmt/wmt14", "hi-en"'),
  "wmt16-en-ro": translation("Translate English to Romanian.", '"wmt/wmt16", "ro-en"'),
  "wmt16-en-cs": translation("Translate English to Czech.", '"wmt/wmt16", "cs-en"'),
  "wmt16-en-fi": translation("Translate English to Finnish.", '"wmt/wmt16", "fi-en"'),
  "iwslt2017-ro-nl": translation(
    "Translate Romanian to Dutch.",
    '"IWSLT/iwslt2017", "iwslt2017-ro-nl"',
  ),
  "iwslt2017-en-nl": translation(
    "Translate English to Dutch.",
    '"IWSLT/iwslt2017", "iwslt2017-en-nl"',
  ),
  xsum: summary("Sum up a news article in one sentence.", '"EdinburghNLP/xsum"', 6),
  cnn_dailymail: summary(
    "Sum up a news article in a few sentences.",
    '"abisee/cnn_dailymail", "3.0.0"',
    4,
  ),
  scitldr: {
    ...summary(
      "Sum up a scientific paper in a sentence or two.",
      '"allenai/scitldr", "Abstract"',
      4,
    ),
    folders: ["A", "AIC", "FullText"].flatMap((part) =>
      ["scitldr/", "", "scitldr/SciTLDR-Data/", "SciTLDR-Data/"].map((above) =>
        `${above}SciTLDR-${part}`
      )
    ),
  },
  wiki_lingua_english_en: summary(
    "Sum up a how-to guide.",
    '"GEM/gem", "wiki_lingua_english_en"',
    4,
  ),
};

/** The names `loadExported` knows. */
export const exportedTaskNames: readonly string[] = Object.keys(tasks);

/** What such a task is, without its examples. */
export function exportedTask(name: string): TaskSpecification {
  const {
    dataset: _,
    splits: __,
    folders: ___,
    files: ____,
    labelsApart: _____,
    ...specification
  } = tasks[name];
  return { name, ...specification };
}

/** A task's data set, as `load_dataset` wants it. */
export function exportedDataset(name: string): string {
  return tasks[name].dataset;
}

/** The split of its data set that is read for each of a task's. */
export function exportedSplits(name: string): Readonly<Record<Split, string>> {
  return tasks[name].splits;
}

/** What a split is called in files beside its own name. */
const fileNames: Readonly<Record<string, readonly string[]>> = {
  train: ["train"],
  validation: ["validation", "valid", "val", "dev"],
  test: ["test"],
};

/**
 * Reads one of these tasks from its folder in `source`.
 *
 * @param options `ledger` keeps what was read
 * @throws {UserError} when a file is missing, which says what it must hold, or a row malformed
 */
export async function loadExported(
  name: string,
  source: TextSource,
  splits: readonly Split[],
  { ledger = new Ledger(name) }: { readonly ledger?: Ledger } = {},
): Promise<Dataset> {
  const loaded: Partial<Record<Split, Example[]>> = {};
  for (const split of splits) {
    const found = await find(name, source, tasks[name].splits[split]);
    loaded[split] = await ledger.examples(
      found,
      split,
      (record) => readSplit(name, found.source, record),
    );
  }
  return { task: exportedTask(name), splits: loaded };
}

/** The file of a split: in the folder of the task's name before those of releases. */
async function find(name: string, source: TextSource, split: string): Promise<Found> {
  const { dataset, folders = [], files = {} } = tasks[name];
  const names = [...fileNames[split], ...split in files ? [files[split]] : []];
  const paths = [name, ...folders].flatMap((folder) =>
    names.flatMap((file) => plainOrGzipped(`${folder}/${file}.jsonl`))
  );
  const found = await findFirst(source, paths);
  if (found !== undefined) return found;
  const elsewhere = folders.length > 0
    ? `, or its release's file in ${source.root}/${folders[0]}`
    : "";
  throw new UserError(
    `Task ${name} needs ${source.root}/${name}/${split}.jsonl (or .jsonl.gz)${elsewhere}, which is ` +
      `not there: a line of JSON for each example with the fields ${
        fieldsOf(name).join(", ")
      }, as ` +
      `Hugging Face's load_dataset(${dataset})["${split}"].to_json writes it; --data takes the ` +
      `folder that holds ${name}.`,
  );
}

async function readSplit(
  name: string,
  source: TextSource,
  record: FileRecord,
): Promise<Example[]> {
  const examples: Example[] = [];
  const read = tasks[name].labelsApart ? labelledRows : jsonRows;
  for await (const row of read(source, record.path)) {
    const { line, place } = row;
    const example = record.attempt(`line ${line}`, () => {
      const fields = row.fields();
      if (isUnlabelled(name, fields)) return record.unlabelled++, undefined;
      record.note ??= noteOf(name, fields);
      return { task: name, ...formatRow(name, fields, place) };
    });
    if (example) record.rows = examples.push(example);
  }
  record.requireRows();
  return examples;
}
