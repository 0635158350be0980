/**
 * The reference's text-to-text formats: how a row of each data set becomes a source and a target.
 *
 * Invariants: rows have the fields of the Hugging Face data set of the task, whatever file they are read
 * from; text is passed on as it stands, quotes and doubled spaces included.
 */

import { UserError } from "../errors.ts";

/** A row of a data set: its fields by name, as JSON has them. */
export type DataRow = Readonly<Record<string, unknown>>;

/** How a task's rows become text. Fields are paths: `answers.text.0` is the first text of `answers`. */
interface Format {
  /** What the source begins with; the task's name unless given. */
  readonly prefix?: string;
  /** The parts of the source after that, joined by spaces: what each is called, and its field. */
  readonly parts: readonly (readonly [label: string, field: string])[];
  /** The field of the target. */
  readonly target: string;
  /** What becomes of it, if it is not passed on. Without a result it is none that the field may have. */
  readonly convert?: (value: string) => string | undefined;
}

/** Parts that are called as their fields. */
const named = (...fields: string[]): Format["parts"] => fields.map((field) => [`${field}:`, field]);

const labelled = (...fields: string[]): Format => ({ parts: named(...fields), target: "label" });

const summary = (text: string, target: string): Format => ({
  prefix: "summarize:",
  parts: [["", text]],
  target,
});

const languages: Readonly<Record<string, string>> = {
  cs: "Czech",
  en: "English",
  fi: "Finnish",
  hi: "Hindi",
  nl: "Dutch",
  ro: "Romanian",
};

const translation = (from: string, to: string): Format => ({
  prefix: `Translate ${languages[from]} to ${languages[to]}`,
  parts: [["", `translation.${from}`]],
  target: `translation.${to}`,
});

const classIndex = (...classes: string[]) => (label: string) => {
  const index = classes.indexOf(label);
  return index < 0 ? undefined : String(index);
};

const premises = labelled("premise", "hypothesis");
const sentences = labelled("sentence1", "sentence2");
const sentence = labelled("sentence");
const reading = named("question", "context");

const formats: Readonly<Record<string, Format>> = {
  "superglue-boolq": labelled("question", "passage"),
  "superglue-cb": premises,
  "superglue-rte": premises,
  paws: sentences,
  imdb: { parts: [["", "text"]], target: "label" },
  snli: premises,
  scitail: { ...sentences, target: "gold_label", convert: classIndex("entailment", "neutral") },
  trec: { parts: [["sentence:", "text"]], target: "label-coarse" },
  yelp_polarity: { parts: [["sentence:", "text"]], target: "label" },
  "wmt16-ro-en": translation("ro", "en"),
  // The reference translates into Hindi, whatever the task is called.
  "wmt14-hi-en": translation("en", "hi"),
  "wmt16-en-ro": translation("en", "ro"),
  "wmt16-en-cs": translation("en", "cs"),
  "wmt16-en-fi": translation("en", "fi"),
  "iwslt2017-ro-nl": translation("ro", "nl"),
  "iwslt2017-en-nl": translation("en", "nl"),
  cola: sentence,
  sst2: sentence,
  stsb: { ...sentences, convert: (score) => roundScore(Number(score)) },
  mrpc: sentences,
  qqp: labelled("question1", "question2"),
  mnli: premises,
  qnli: labelled("question", "sentence"),
  rte: sentences,
  wnli: sentences,
  social_i_qa: {
    ...labelled("question", "context", "answerA", "answerB", "answerC"),
    convert: (label) => label.trimEnd(),
  },
  cosmos_qa: labelled("question", "context", "answer0", "answer1", "answer2", "answer3"),
  winogrande: { parts: named("sentence", "option1", "option2"), target: "answer" },
  hellaswag: {
    parts: [["ctx:", "ctx"], ...numbered("ending", "endings", 4)],
    target: "label",
  },
  commonsense_qa: {
    parts: [
      ["question:", "question"],
      ...["A", "B", "C", "D", "E"].map((letter, i) => [`${letter}:`, `choices.text.${i}`] as const),
    ],
    target: "answerKey",
  },
  sick: { ...premises, convert: classIndex("ENTAILMENT", "NEUTRAL", "CONTRADICTION") },
  anli: premises,
  art: {
    parts: [
      ...numbered("observation ", "observation_", 2),
      ...numbered("hypothesis ", "hypothesis_", 2),
    ],
    target: "label",
  },
  squad: { parts: reading, target: "answers.text.0" },
  mrqa_reg: { prefix: "mrqa", parts: reading, target: "answers.0" },
  xsum: summary("document", "summary"),
  cnn_dailymail: summary("article", "highlights"),
  wiki_lingua_english_en: summary("source", "target"),
};

/** Parts with a number each: from 1, the field's number after its name, or from 0, a list's item. */
function numbered(label: string, field: string, count: number): [string, string][] {
  const isList = !field.endsWith("_");
  return Array.from(
    { length: count },
    (_, i) =>
      isList ? [`${label}${i}:`, `${field}.${i}`] : [`${label}${i + 1}:`, `${field}${i + 1}`],
  );
}

/** The tasks that have a format. */
export const formattedTaskNames: readonly string[] = Object.keys(formats);

/** The fields that a task's rows must have, the target last. */
export function fieldsOf(task: string): string[] {
  const { parts, target } = formats[task];
  const paths = [...parts.map(([, field]) => field), target];
  return [...new Set(paths.map((path) => path.split(".")[0]))];
}

/**
 * The source and target of a row.
 *
 * @param task one of `formattedTaskNames`
 * @param place what the row is called in errors: its file and line
 * @throws {UserError} for a field that is missing or no text
 */
export function formatRow(
  task: string,
  row: DataRow,
  place: string,
): { readonly source: string; readonly target: string } {
  const { prefix = task, parts, target, convert = (value) => value } = formats[task];
  const words = parts.flatMap(([label, field]) => {
    const text = fieldAt(row, field);
    if (typeof text !== "string") throw new UserError(`${place}: expected text under "${field}".`);
    return label === "" ? [text] : [label, text];
  });
  const value = fieldAt(row, target);
  if (typeof value !== "string" && typeof value !== "number") {
    throw new UserError(`${place}: expected text or a number under "${target}".`);
  }
  const converted = convert(String(value));
  if (converted === undefined) {
    throw new UserError(`${place}: "${value}" is not a label of this task.`);
  }
  return { source: [prefix, ...words].join(" "), target: converted };
}

function fieldAt(row: unknown, path: string): unknown {
  return path.split(".").reduce<unknown>(
    (value, key) =>
      typeof value === "object" && value !== null
        ? (value as Record<string, unknown>)[key]
        : undefined,
    row,
  );
}

/** A similarity score as text: its float32 value to one decimal, ties to even as in NumPy. */
export function roundScore(score: number): string {
  const tenths = Math.fround(score) * 10;
  const below = Math.floor(tenths);
  const isTie = tenths - below === 0.5;
  const rounded = isTie ? below + below % 2 : Math.round(tenths);
  return (rounded / 10).toFixed(1);
}
