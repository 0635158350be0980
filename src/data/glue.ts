/**
 * The GLUE tasks, from the files GLUE itself distributes.
 *
 * Invariant: class indices are those of the Hugging Face `glue` data sets. GLUE's own test files have no labels, so, as in the
 * reference, the test split is the validation split (for MNLI: mismatched validates, matched tests).
 */

import { suggestion, UserError } from "../errors.ts";
import { type DataRow, formatRow, isUnlabelled } from "./formats.ts";
import { BadRow, type FileRecord, Ledger } from "./ledger.ts";
import { jsonRows, plainOrGzipped, tsvRows } from "./lines.ts";
import { findFirst, type Found, locate } from "./locate.ts";
import type { TextSource } from "./source.ts";
import type { Dataset, Example, MetricName, Split, TaskSpecification } from "./types.ts";

interface GlueTask {
  readonly description: string;
  /** Its folder in GLUE. */
  readonly folder: string;
  /** The folder of a release of its own. */
  readonly release?: string;
  /**
   * For each split, names of the files that may hold it, without their ends: the first that exists is
   * read. Names of a later group hold another split, which stands for a missing one.
   */
  readonly files: Readonly<Record<Split, readonly (readonly string[])[]>>;
  /** The columns' names, for files that have no header. */
  readonly header?: readonly string[];
  /** Each text of a row, and its TSV column. JSON lines have the fields of the Hugging Face data set. */
  readonly fields: readonly (readonly [field: string, column: string])[];
  readonly labelColumn: string;
  /** Number of classes, or `score` for a number from 0 to 5. */
  readonly classes: number | "score";
  readonly metrics: readonly MetricName[];
}

const dev = [["dev", "validation"]];
const files = { train: [["train"]], validation: dev, test: dev };
const matched = ["dev_matched", "validation_matched", "multinli_1.0_dev_matched"];
const mismatched = ["dev_mismatched", "validation_mismatched", "multinli_1.0_dev_mismatched"];

const tasks: Readonly<Record<string, GlueTask>> = {
  cola: {
    description: "Is an English sentence acceptable?",
    folder: "CoLA",
    files,
    header: ["source", "label", "star", "sentence"],
    fields: [["sentence", "sentence"]],
    labelColumn: "label",
    classes: 2,
    metrics: ["matthews"],
  },
  sst2: {
    description: "Is a phrase of a film review positive?",
    folder: "SST-2",
    files,
    fields: [["sentence", "sentence"]],
    labelColumn: "label",
    classes: 2,
    metrics: ["accuracy"],
  },
  stsb: {
    description: "How similar in meaning are two sentences, from 0 to 5?",
    folder: "STS-B",
    files,
    fields: [["sentence1", "sentence1"], ["sentence2", "sentence2"]],
    labelColumn: "score",
    classes: "score",
    metrics: ["pearson", "spearman"],
  },
  mrpc: {
    description: "Do two news sentences say the same?",
    folder: "MRPC",
    files,
    fields: [["sentence1", "#1 String"], ["sentence2", "#2 String"]],
    labelColumn: "Quality",
    classes: 2,
    metrics: ["f1", "accuracy"],
  },
  rte: {
    description: "Does one text follow from another?",
    folder: "RTE",
    files,
    fields: [["sentence1", "sentence1"], ["sentence2", "sentence2"]],
    labelColumn: "label",
    classes: 2,
    metrics: ["accuracy"],
  },
  qnli: {
    description: "Does a sentence answer a question?",
    folder: "QNLI",
    files,
    fields: [["question", "question"], ["sentence", "sentence"]],
    labelColumn: "label",
    classes: 2,
    metrics: ["accuracy"],
  },
  qqp: {
    description: "Do two questions ask the same?",
    folder: "QQP",
    files,
    fields: [["question1", "question1"], ["question2", "question2"]],
    labelColumn: "is_duplicate",
    classes: 2,
    metrics: ["f1", "accuracy"],
  },
  mnli: {
    description: "Does a hypothesis follow from a premise, stay open, or contradict it?",
    folder: "MNLI",
    release: "multinli_1.0",
    files: {
      train: [["train", "multinli_1.0_train", "train_10k"]], // the last is a sample
      validation: [mismatched, matched],
      test: [matched, mismatched],
    },
    fields: [["premise", "sentence1"], ["hypothesis", "sentence2"]],
    labelColumn: "gold_label",
    classes: 3,
    metrics: ["accuracy"],
  },
  wnli: {
    description: "Does a sentence follow from one whose pronoun it explains?",
    folder: "WNLI",
    files,
    fields: [["sentence1", "sentence1"], ["sentence2", "sentence2"]],
    labelColumn: "label",
    classes: 2,
    metrics: ["accuracy"],
  },
};

const scores = Array.from({ length: 26 }, (_, i) => (i / 5).toFixed(1));

/** The names `loadTask` knows. */
export const glueTaskNames: readonly string[] = Object.keys(tasks);

/** What a GLUE task is, without its examples. @throws UserError for a name it does not know */
export function glueTask(name: string): TaskSpecification {
  const { description, classes, metrics } = lookUp(name);
  const specification = { name, description, metrics };
  // The scores that the reference takes for all there are: 0.0, 0.2, … 5.0.
  if (classes === "score") return { ...specification, answerLength: scores };
  const labels = Array.from({ length: classes }, (_, index) => String(index));
  return { ...specification, labels, answerLength: labels };
}

/**
 * Reads a GLUE task from its folder in `source` (or in `source`'s folder `glue`).
 *
 * @param splits which to read; all of them unless told
 * @param options `ledger` keeps what was read
 * @throws UserError when the task is unknown, a file is missing, or a row malformed
 */
export async function loadTask(
  name: string,
  source: TextSource,
  splits: readonly Split[] = ["train", "validation", "test"],
  { ledger = new Ledger(name) }: { readonly ledger?: Ledger } = {},
): Promise<Dataset> {
  const task = lookUp(name);
  const loaded: Partial<Record<Split, Example[]>> = {};
  for (const split of splits) {
    const found = await find(name, task, source, split);
    loaded[split] = await ledger.examples(
      found,
      split,
      (record) => readExamples(name, task, found.source, record),
    );
  }
  return { task: glueTask(name), splits: loaded };
}

/** The file of a split: TSV before JSON lines, plain before gzipped. */
async function find(
  name: string,
  { folder, release, files }: GlueTask,
  source: TextSource,
  split: Split,
): Promise<Found> {
  const folders = [
    ...["", "glue/", "glue_data/"].flatMap((above) => [`${above}${folder}`, `${above}${name}`]),
    ...release ? [release] : [],
  ];
  const formsOf = (file: string) =>
    [`${file}.tsv`, `${file}.jsonl`].flatMap(plainOrGzipped)
      .flatMap((file) => folders.map((folder) => `${folder}/${file}`));
  for (const group of files[split]) {
    const found = await findFirst(source, group.flatMap(formsOf));
    if (found) return found;
  }
  const [first] = files[split][0];
  return await locate(name, source, [
    `${folder}/${first}.tsv`,
    `glue/${folder}/${first}.tsv`,
    `${folder}/${first}.jsonl`,
  ]);
}

function lookUp(name: string): GlueTask {
  if (Object.hasOwn(tasks, name)) return tasks[name];
  throw new UserError(
    `There is no GLUE task "${name}"${suggestion(name, glueTaskNames)}; ` +
      `known tasks: ${glueTaskNames.join(", ")}.`,
  );
}

async function readExamples(
  name: string,
  task: GlueTask,
  source: TextSource,
  record: FileRecord,
): Promise<Example[]> {
  const { path } = record;
  const isJson = /\.jsonl(\.gz)?$/.test(path);
  const columns = [...task.fields.map(([, column]) => column), task.labelColumn];
  const rows = isJson ? jsonRows(source, path) : tsvRows(source, path, columns, task.header);
  const examples: Example[] = [];
  for await (const row of rows) {
    const example = record.attempt(`line ${row.line}`, () => {
      const cells = row.fields();
      const fields = isJson ? cells : renamed(task, cells);
      if (isUnlabelled(name, fields)) return record.unlabelled++, undefined;
      for (const [field, column] of task.fields) {
        const value = fields[field];
        if (typeof value !== "string" || value.trim() !== "") continue;
        const what = isJson ? `field "${field}"` : `column "${column}"`;
        throw new BadRow(row.place, `the ${what} is empty`, "empty text");
      }
      return { task: name, ...formatRow(name, fields, row.place) };
    });
    if (example) record.rows = examples.push(example);
  }
  record.requireRows();
  return examples;
}

/** A row of TSV with the fields of the Hugging Face data set. */
function renamed({ fields, labelColumn }: GlueTask, cells: DataRow): DataRow {
  return {
    ...Object.fromEntries(fields.map(([field, column]) => [field, cells[column]])),
    label: cells[labelColumn],
  };
}
