/**
 * The reference's text-to-text formats: what a row of each data set is called, part by part.
 *
 * Invariant: a field's first name is that of today's Hugging Face data set; the others are those of older
 * versions of it, of the reference's own files, and of the data's own releases.
 */

import {
  anyText,
  classIndex,
  letters,
  numberBetween,
  numbers,
  type Reading,
  renumbered,
} from "./labels.ts";

/** A part of a source: what it is called, the fields that may hold it, and how it is made text. */
export interface Part {
  readonly label: string;
  readonly fields: readonly string[];
  /** Text where it is not told otherwise. */
  readonly read?: (value: unknown) => string | undefined;
}

/** A field that may hold the target, and what becomes of it. */
export interface TargetField extends Reading {
  readonly field: string;
  /** What a user may not expect of it. */
  readonly note?: string;
}

/** How a task's rows become text. Fields are paths: `answers.text.0` is the first text of `answers`. */
export interface Format {
  /** What the source begins with; the task's name unless given. */
  readonly prefix?: string;
  /** The parts of the source after that, joined by spaces. */
  readonly parts: readonly Part[];
  /** Where the target is; the first of them that a row has. */
  readonly target: readonly TargetField[];
  /** Whether a target may be a list of texts, of which any is right. */
  readonly hasReferences?: boolean;
}

/** A part that is called as its first field, or as `label` says. */
function part(fields: string | readonly string[], label?: string): Part {
  const names = [fields].flat();
  return { label: label ?? `${names[0]}:`, fields: names };
}

const named = (...fields: (string | string[])[]): Part[] => fields.map((field) => part(field));

const target = (field: string, reading: Reading): TargetField[] => [{ field, ...reading }];

const labelled = (parts: readonly Part[], reading: Reading): Format => ({
  parts,
  target: target("label", reading),
});

const summary = (text: string, of: string): Format => ({
  prefix: "summarize:",
  parts: [part(text, "")],
  target: target(of, anyText),
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
  parts: [part([`translation.${from}`, from], "")],
  target: [`translation.${to}`, to].map((field) => ({ field, ...anyText })),
});

const entailed = classIndex(["entailment", "not_entailment"]);
const threeWay = classIndex([["entailment", "e"], ["neutral", "n"], ["contradiction", "c"]]);
const sentiment = classIndex([["negative", "neg"], ["positive", "pos"]]);

// SICK's and SciTail's second names are those of SNLI, in whose form both were also published.
const premises = named("premise", "hypothesis");
const twoSentences = named(["sentence1", "premise"], ["sentence2", "hypothesis"]);
const sentences = named("sentence1", "sentence2");
const reading = named("question", "context");

/** Sentences as one text. */
const joined = (value: unknown): string | undefined =>
  Array.isArray(value) && value.every((item) => typeof item === "string")
    ? value.join(" ")
    : typeof value === "string"
    ? value
    : undefined;

/** A question by itself, or with its choices as in CommonsenseQA's release. */
const stem = (value: unknown): string | undefined =>
  typeof value === "string" ? value : (value as { stem?: string } | null)?.stem;

/** The text of a choice: of `{label: […], text: […]}`, or of `[{label, text}, …]` in the release. */
const choice = (letter: string, index: number) => (value: unknown): string | undefined => {
  if (Array.isArray(value)) return value.find((one) => one?.label === letter)?.text;
  const { label, text } = (value ?? {}) as { label?: unknown; text?: unknown };
  if (!Array.isArray(text)) return undefined;
  return text[Array.isArray(label) ? label.indexOf(letter) : index];
};

/** Parts with a number each: from 1, the field's number after its name, or from 0, a list's item. */
const items = (field: string, label: string, count: number): Part[] =>
  Array.from({ length: count }, (_, i) => part(`${field}.${i}`, `${label}${i}:`));

/** For each task its format. */
export const formats: Readonly<Record<string, Format>> = {
  "superglue-boolq": {
    parts: named("question", "passage"),
    target: [
      { field: "label", ...classIndex(["false", "true"]) },
      { field: "answer", ...classIndex(["false", "true"]) },
    ],
  },
  "superglue-cb": labelled(premises, classIndex(["entailment", "contradiction", "neutral"])),
  "superglue-rte": labelled(named(["premise", "sentence1"], ["hypothesis", "sentence2"]), entailed),
  paws: labelled(sentences, numbers(2)),
  imdb: labelled([part("text", "")], sentiment),
  snli: {
    parts: named(["premise", "sentence1"], ["hypothesis", "sentence2"]),
    target: [{ field: "label", ...threeWay }, { field: "gold_label", ...threeWay }],
  },
  scitail: {
    parts: twoSentences,
    target: ["gold_label", "label"].map((field) => ({
      field,
      ...classIndex([["entailment", "entails"], "neutral"]),
    })),
  },
  trec: {
    parts: [part("text", "sentence:")],
    target: [
      // Another order since 2022; the targets stay in the reference's, which is that of `label-coarse`.
      {
        field: "coarse_label",
        note: "classes numbered as in label-coarse",
        ...renumbered(["ABBR", "ENTY", "DESC", "HUM", "LOC", "NUM"], [2, 1, 0, 3, 5, 4]),
      },
      {
        field: "label-coarse",
        ...classIndex(["DESC", "ENTY", "ABBR", "HUM", "NUM", "LOC"]),
      },
    ],
  },
  yelp_polarity: labelled([part("text", "sentence:")], sentiment),
  "wmt16-ro-en": translation("ro", "en"),
  // The reference translates into Hindi, whatever the task is called.
  "wmt14-hi-en": translation("en", "hi"),
  "wmt16-en-ro": translation("en", "ro"),
  "wmt16-en-cs": translation("en", "cs"),
  "wmt16-en-fi": translation("en", "fi"),
  "iwslt2017-ro-nl": translation("ro", "nl"),
  "iwslt2017-en-nl": translation("en", "nl"),
  cola: labelled(named("sentence"), classIndex(["unacceptable", "acceptable"])),
  sst2: labelled(named("sentence"), sentiment),
  stsb: {
    parts: sentences,
    target: ["label", "score"].map((field) => ({ field, ...numberBetween(0, 5, roundScore) })),
  },
  mrpc: labelled(sentences, classIndex(["not_equivalent", "equivalent"])),
  qqp: {
    parts: named("question1", "question2"),
    target: ["label", "is_duplicate"].map((field) => ({
      field,
      ...classIndex(["not_duplicate", "duplicate"]),
    })),
  },
  mnli: {
    parts: named(["premise", "sentence1"], ["hypothesis", "sentence2"]),
    target: [{ field: "label", ...threeWay }, { field: "gold_label", ...threeWay }],
  },
  qnli: labelled(named("question", "sentence"), entailed),
  rte: labelled(twoSentences, entailed),
  wnli: labelled(sentences, classIndex(["not_entailment", "entailment"])),
  social_i_qa: labelled(
    named("question", "context", "answerA", "answerB", "answerC"),
    classIndex(["A", "B", "C"], 1),
  ),
  cosmos_qa: labelled(
    named("question", "context", "answer0", "answer1", "answer2", "answer3"),
    numbers(4),
  ),
  winogrande: {
    parts: named("sentence", "option1", "option2"),
    target: target("answer", numbers(2, 1)),
  },
  hellaswag: labelled([part("ctx"), ...items("endings", "ending", 4)], numbers(4)),
  commonsense_qa: {
    parts: [
      { ...part("question"), read: stem },
      ...["A", "B", "C", "D", "E"].map((letter, i): Part => ({
        label: `${letter}:`,
        fields: ["choices", "question.choices"],
        read: choice(letter, i),
      })),
    ],
    target: target("answerKey", letters("A", "B", "C", "D", "E")),
  },
  sick: {
    parts: [
      part(["sentence_A", "premise"], "premise:"),
      part(["sentence_B", "hypothesis"], "hypothesis:"),
    ],
    target: ["label", "entailment_label"].map((field) => ({ field, ...threeWay })),
  },
  anli: labelled([part(["premise", "context"], "premise:"), part("hypothesis")], threeWay),
  art: labelled(
    [
      ...[1, 2].map((i) => part([`observation_${i}`, `obs${i}`], `observation ${i}:`)),
      ...[1, 2].map((i) => part([`hypothesis_${i}`, `hyp${i}`], `hypothesis ${i}:`)),
    ],
    numbers(2, 1),
  ),
  squad: { parts: reading, target: target("answers.text.0", anyText) },
  mrqa_reg: { prefix: "mrqa", parts: reading, target: target("answers.0", anyText) },
  xsum: summary("document", "summary"),
  cnn_dailymail: summary("article", "highlights"),
  wiki_lingua_english_en: summary("source", "target"),
  scitldr: {
    ...summary("source", "target"),
    parts: [{ label: "", fields: ["source"], read: joined }],
    hasReferences: true,
  },
};

/** A similarity score as text: its float32 value to one decimal, ties to even as in NumPy. */
export function roundScore(score: number): string {
  const tenths = Math.fround(score) * 10;
  const below = Math.floor(tenths);
  const isTie = tenths - below === 0.5;
  const rounded = isTie ? below + below % 2 : Math.round(tenths);
  return (rounded / 10).toFixed(1);
}
