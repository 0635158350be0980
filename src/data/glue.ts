/**
 * The GLUE tasks, from the files GLUE itself distributes.
 *
 * Invariant: class indices are those of the Hugging Face `glue` data sets. GLUE's own test files have no labels, so, as in the
 * reference, the test split is the validation split (for MNLI: mismatched validates, matched tests).
 */

import { suggestion, UserError } from "../errors.ts";
import { formatRow } from "./formats.ts";
import { locate } from "./locate.ts";
import { readJsonLines, readTsv, type Row } from "./rows.ts";
import type { TextSource } from "./source.ts";
import type { Dataset, Example, MetricName, Split, TaskSpecification } from "./types.ts";

interface GlueTask {
  readonly description: string;
  /** Its folder in GLUE. */
  readonly folder: string;
  /** For each split, the files that may hold it; the first that exists is read. */
  readonly files: Readonly<Record<Split, readonly string[]>>;
  /** The columns' names, for files that have no header. */
  readonly header?: readonly string[];
  /** Each field of a row, and its TSV column. JSON lines use the field's name. */
  readonly fields: readonly (readonly [field: string, column: string])[];
  readonly labelColumn: string;
  /** Labels in the files in order of class index, or `score` for a number from 0 to 5. */
  readonly classes: readonly string[] | "score";
  readonly metrics: readonly MetricName[];
}

const files = (train: string[], validation: string[], test = validation) => ({
  train,
  validation,
  test,
});
const usualFiles = files(["train.tsv", "train.jsonl"], ["dev.tsv", "dev.jsonl"]);
const matched = ["dev_matched.tsv", "dev_matched.jsonl"];
const mismatched = ["dev_mismatched.tsv", "dev_mismatched.jsonl"];

const tasks: Readonly<Record<string, GlueTask>> = {
  cola: {
    description: "Is an English sentence acceptable?",
    folder: "CoLA",
    files: usualFiles,
    header: ["source", "label", "star", "sentence"],
    fields: [["sentence", "sentence"]],
    labelColumn: "label",
    classes: ["0", "1"],
    metrics: ["matthews"],
  },
  sst2: {
    description: "Is a phrase of a film review positive?",
    folder: "SST-2",
    files: usualFiles,
    fields: [["sentence", "sentence"]],
    labelColumn: "label",
    classes: ["0", "1"],
    metrics: ["accuracy"],
  },
  stsb: {
    description: "How similar in meaning are two sentences, from 0 to 5?",
    folder: "STS-B",
    files: usualFiles,
    fields: [["sentence1", "sentence1"], ["sentence2", "sentence2"]],
    labelColumn: "score",
    classes: "score",
    metrics: ["pearson", "spearman"],
  },
  mrpc: {
    description: "Do two news sentences say the same?",
    folder: "MRPC",
    files: usualFiles,
    fields: [["sentence1", "#1 String"], ["sentence2", "#2 String"]],
    labelColumn: "Quality",
    classes: ["0", "1"],
    metrics: ["f1", "accuracy"],
  },
  rte: {
    description: "Does one text follow from another?",
    folder: "RTE",
    files: usualFiles,
    fields: [["sentence1", "sentence1"], ["sentence2", "sentence2"]],
    labelColumn: "label",
    classes: ["entailment", "not_entailment"],
    metrics: ["accuracy"],
  },
  qnli: {
    description: "Does a sentence answer a question?",
    folder: "QNLI",
    files: usualFiles,
    fields: [["question", "question"], ["sentence", "sentence"]],
    labelColumn: "label",
    classes: ["entailment", "not_entailment"],
    metrics: ["accuracy"],
  },
  qqp: {
    description: "Do two questions ask the same?",
    folder: "QQP",
    files: usualFiles,
    fields: [["question1", "question1"], ["question2", "question2"]],
    labelColumn: "is_duplicate",
    classes: ["0", "1"],
    metrics: ["f1", "accuracy"],
  },
  mnli: {
    description: "Does a hypothesis follow from a premise, stay open, or contradict it?",
    folder: "MNLI",
    // A train_10k.jsonl is a sample; who made one beside train.tsv wants it, or has no other.
    files: files(
      ["train_10k.jsonl", "train.tsv", "train.jsonl"],
      [...mismatched, ...matched],
      [...matched, ...mismatched],
    ),
    fields: [["premise", "sentence1"], ["hypothesis", "sentence2"]],
    labelColumn: "gold_label",
    classes: ["entailment", "neutral", "contradiction"],
    metrics: ["accuracy"],
  },
  wnli: {
    description: "Does a sentence follow from one whose pronoun it explains?",
    folder: "WNLI",
    files: usualFiles,
    fields: [["sentence1", "sentence1"], ["sentence2", "sentence2"]],
    labelColumn: "label",
    classes: ["0", "1"],
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
  const labels = classes.map((_, index) => String(index));
  return { ...specification, labels, answerLength: labels };
}

/**
 * Reads a GLUE task from its folder in `source` (or in `source`'s folder `glue`).
 *
 * @param splits which to read; all of them unless told
 * @throws UserError when the task is unknown, a file is missing, or a row malformed
 */
export async function loadTask(
  name: string,
  source: TextSource,
  splits: readonly Split[] = ["train", "validation", "test"],
): Promise<Dataset> {
  const task = lookUp(name);
  const read = new Map<string, Example[]>();
  const loaded: Partial<Record<Split, Example[]>> = {};
  for (const split of splits) {
    const { folder, files } = task;
    const paths = files[split].flatMap((file) => [`${folder}/${file}`, `glue/${folder}/${file}`]);
    const path = await locate(name, source, paths);
    if (!read.has(path)) {
      const text = await source.read(path);
      read.set(path, readExamples(name, task, text, path, `${source.root}/${path}`));
    }
    loaded[split] = read.get(path)!;
  }
  return { task: glueTask(name), splits: loaded };
}

function lookUp(name: string): GlueTask {
  if (Object.hasOwn(tasks, name)) return tasks[name];
  throw new UserError(
    `There is no GLUE task "${name}"${suggestion(name, glueTaskNames)}; ` +
      `known tasks: ${glueTaskNames.join(", ")}.`,
  );
}

function readExamples(
  name: string,
  task: GlueTask,
  text: string,
  path: string,
  location: string,
): Example[] {
  const isJson = path.endsWith(".jsonl");
  const columns = task.fields.map(([field, column]) => isJson ? field : column);
  const labelColumn = isJson ? "label" : task.labelColumn;
  const needed = [...columns, labelColumn];
  const rows = isJson
    ? readJsonLines(text, location, needed)
    : readTsv(text, location, needed, task.header);
  if (rows.length === 0) throw new UserError(`${location} has no examples.`);

  return rows.map((row) => {
    const place = `${location}:${row.line}`;
    const fields = task.fields.map(([field], i) => {
      const value = row.cells[columns[i]];
      if (value.trim() === "") {
        throw new UserError(`${place}: the column "${columns[i]}" is empty.`);
      }
      return [field, value];
    });
    const label = readLabel(row, labelColumn, task.classes, place);
    return { task: name, ...formatRow(name, { ...Object.fromEntries(fields), label }, place) };
  });
}

/** The index of a row's class, or its score. */
function readLabel(
  { cells }: Row,
  column: string,
  classes: readonly string[] | "score",
  place: string,
): number {
  const label = cells[column].trim();
  if (classes === "score") {
    const score = Number(label);
    if (label !== "" && score >= 0 && score <= 5) return score;
    throw new UserError(`${place}: "${label}" is not a score from 0 to 5.`);
  }
  const index = classes.indexOf(label);
  if (index >= 0) return index;
  throw new UserError(
    `${place}: "${label}" is not a label of this task (${classes.join(", ")}).`,
  );
}
