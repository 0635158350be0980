/**
 * Metrics and what goes before them, on given predictions and targets: all on the host.
 */

import { cutContext } from "../data/chunks.ts";
import { roundScore } from "../data/format-table.ts";
import { mixtureWeights } from "../data/mixture.ts";
import { bestOverAnswers, surest } from "../metrics/answers.ts";
import { accuracy, binaryF1, matthews } from "../metrics/classification.ts";
import { pearson, spearman } from "../metrics/correlation.ts";
import { parseInteger, parseReal } from "../metrics/numbers.ts";
import { stem } from "../metrics/porter.ts";
import { type Overlap, rougeL, rougeLsum, rougeN } from "../metrics/rouge.ts";
import { exactMatch, normalizeAnswer, tokenF1 } from "../metrics/squad.ts";
import { type Check, Comparison, notChecked, outcomes, TOLERANCES } from "./comparison.ts";
import type { Fields } from "./json.ts";

type TextMetric = (prediction: string, target: string) => number;

/** Compares what a section holds. */
type Section = (comparison: Comparison, record: Fields, name: string) => void;

const rouge: Readonly<Record<string, (prediction: string, target: string) => Overlap>> = {
  rouge1: (prediction, target) => rougeN(1, prediction, target),
  rouge2: (prediction, target) => rougeN(2, prediction, target),
  rougeL,
  rougeLsum,
};

/** A metric over predictions and targets, whose value is in the field `value`. */
function pairs<T extends number | string>(
  metric: (predictions: readonly T[], targets: readonly T[]) => number,
  value: string,
): Section {
  return (comparison, record, name) => {
    for (const [i, given] of record.list(name).entries()) {
      const [predictions, targets] = [given.scalars("predictions"), given.scalars("targets")];
      const result = metric(predictions as T[], targets as T[]);
      comparison.value(`case ${i}`, result, given.number(value));
    }
  };
}

const compareNumbers: Section = (comparison, record, name) => {
  for (const given of record.fields(name).list("cases")) {
    const text = given.text("input"), title = JSON.stringify(text);
    comparison.value(`${title} as integer`, parseInteger(text), given.number("string_to_int"));
    comparison.value(`${title} as real`, parseReal(text), given.number("string_to_float"));
  }
};

const compareAnswers: Section = (comparison, record, name) => {
  for (const given of record.list(name)) {
    const [prediction, target] = [given.text("prediction"), given.text("ground_truth")];
    const title = JSON.stringify(prediction);
    for (const side of ["prediction", "ground_truth"]) {
      const normalized = normalizeAnswer(given.text(side));
      comparison.text(`${title}, ${side}`, normalized, given.text(`normalized_${side}`));
    }
    comparison.value(`${title}, F1`, tokenF1(prediction, target), given.number("f1"));
    const isMatch = Number(given.flag("exact_match"));
    comparison.value(`${title}, exact match`, exactMatch(prediction, target), isMatch);
  }
};

const compareMeanAnswers: Section = (comparison, record, name) => {
  const given = record.list("squad_pairs");
  const mean = (metric: TextMetric) =>
    given.reduce(
      (sum, pair) => sum + metric(pair.text("prediction"), pair.text("ground_truth")),
      0,
    ) /
    given.length;
  comparison.value("exact match", mean(exactMatch), record.fields(name).number("em"));
  comparison.value("F1", mean(tokenF1), record.fields(name).number("f1"));
};

const compareEvaluation: Section = (comparison, record, name) => {
  const given = record.fields(name), predictions = given.fields("predictions");
  const questions = given.list("dataset").flatMap((text) => text.list("paragraphs"))
    .flatMap((paragraph) => paragraph.list("qas"));
  for (const [title, metric] of [["exact_match", exactMatch], ["f1", tokenF1]] as const) {
    const scores = questions.map((question) => {
      const id = question.text("id");
      if (!predictions.has(id)) return 0;
      const answers = question.list("answers").map((answer) => answer.text("text"));
      return bestOverAnswers(metric, predictions.text(id), answers);
    });
    const mean = 100 * scores.reduce((sum, value) => sum + value, 0) / scores.length;
    comparison.value(title, mean, given.fields("result").number(title));
  }
};

/** Each question's answers are those of the parts of its context. */
const compareChosenAnswers: Section = (comparison, record, name) => {
  const given = record.fields(name);
  const answers = given.fields("answers"), predictions = given.fields("predictions");
  const questions = answers.names.filter((id) => predictions.has(id));
  for (const [title, metric] of [["exact_match", exactMatch], ["f1", tokenF1]] as const) {
    const scores = questions.map((id) => {
      const { text } = surest(predictions.pairs(id).map(([text, nll]) => ({ text, nll })));
      return bestOverAnswers(metric, text, answers.texts(id));
    });
    const mean = 100 * scores.reduce((sum, value) => sum + value, 0) / scores.length;
    comparison.value(title, mean, given.fields("result").number(title));
  }
};

/** The contexts' ids and offsets are given, so that no tokenizer decides. */
const compareChunks: Section = (comparison, record, name) => {
  for (const [i, given] of record.list(name).entries()) {
    const answers = given.texts("answers");
    const spans = given.list("char_spans").flatMap((span, answer) => {
      const ends = span.numbers("end");
      return span.numbers("start").map((start, j) => ({ start, end: ends[j], answer }));
    });
    const prompt = given.numbers("prompt_ids"), context = given.numbers("context_ids_with_eos");
    const offsets = given.rows("context_offsets").slice(0, -1);
    const chunks = cutContext(offsets, spans, {
      length: given.number("max_length") - prompt.length - 1,
      overlap: given.number("stride"),
    }).filter(({ answer }) => answer !== undefined || !given.flag("filter_nulls"));
    const expected = given.list("chunks");
    comparison.value(`case ${i}, chunks`, chunks.length, expected.length);
    for (const [j, { begin, end, answer }] of chunks.entries()) {
      const title = `case ${i}, chunk ${j}`, ids = expected[j]?.numbers("input_ids") ?? [];
      comparison.tensor(
        `${title}, ids`,
        [...prompt, ...context.slice(begin, end), context.at(-1)!],
        { shape: [ids.length], values: ids },
      );
      const text = answer === undefined ? "" : answers[answer];
      comparison.text(`${title}, answer`, text, expected[j]?.text("answer") ?? "");
    }
  }
};

/** Labels are f32 by the time that the reference rounds them. */
const compareRounding: Section = (comparison, record, name) => {
  for (const given of record.list(name)) {
    const label = given.number("label");
    comparison.text(`${label}`, roundScore(label), given.text("text_float32"));
  }
};

/** The reference's even sampler has no temperature: it is the limit of a very high one. */
const compareWeights: Section = (comparison, record, name) => {
  for (const [i, given] of record.list(name).entries()) {
    const temperature = given.has("temperature") ? given.number("temperature") : Infinity;
    const weights = mixtureWeights(given.numbers("dataset_sizes"), temperature);
    comparison.tensor(`case ${i}`, weights, given.tensor("weights"));
  }
};

const compareRouge: Section = (comparison, record, name) => {
  for (const given of record.list(name)) {
    const [prediction, target] = [given.text("prediction"), given.text("target")];
    const scores = given.fields("scores");
    for (const variant of scores.names) {
      const expected = scores.fields(variant),
        title = `${variant} of ${JSON.stringify(prediction)}`;
      if (!Object.hasOwn(rouge, variant)) {
        comparison.fail(`${title} is unknown to this build`);
        continue;
      }
      const { precision, recall, f1 } = rouge[variant](prediction, target);
      comparison.value(`precision of ${title}`, precision, expected.number("precision"));
      comparison.value(`recall of ${title}`, recall, expected.number("recall"));
      comparison.value(`F1 of ${title}`, f1, expected.number("fmeasure"));
    }
  }
};

const compareMeanRouge: Section = (comparison, record, name) => {
  const given = record.list("rouge_pairs"), means = record.fields(name).fields("mean_fmeasure");
  for (const [variant, metric] of Object.entries(rouge)) {
    const sum = given.reduce(
      (sum, pair) => sum + metric(pair.text("prediction"), pair.text("target")).f1,
      0,
    );
    comparison.value(variant, 100 * sum / given.length, means.number(variant));
  }
};

const compareStems: Section = (comparison, record, name) => {
  const stems = record.fields(name);
  for (const word of stems.names) comparison.text(word, stem(word), stems.text(word));
};

const sections: Readonly<Record<string, Section>> = {
  accuracy: pairs(accuracy<number | string>, "acc"),
  f1_score_with_invalid: pairs(binaryF1, "f1"),
  matthews_corrcoef: pairs(matthews, "mcc"),
  pearson_corrcoef: pairs(pearson, "value"),
  spearman_corrcoef: pairs(spearman, "value"),
  post_processors: compareNumbers,
  squad_pairs: compareAnswers,
  squad_metrics_over_all_pairs: compareMeanAnswers,
  squad_evaluate: compareEvaluation,
  mrqa_evaluate: compareChosenAnswers,
  chunk_sample: compareChunks,
  round_stsb_target: compareRounding,
  multitask_sampler: compareWeights,
  rouge_pairs: compareRouge,
  rouge_corpus: compareMeanRouge,
  porter_stemmer_nltk_extensions: compareStems,
};

/** Compares every section of `metrics.json`. */
export function checkMetrics(record: Fields): Check[] {
  return record.names.flatMap((name) => {
    const compare = Object.hasOwn(sections, name) ? sections[name] : undefined;
    if (!compare) return [notChecked(name, "this build has no counterpart of it")];
    const comparison = new Comparison(name, TOLERANCES.metric);
    compare(comparison, record, name);
    return outcomes([comparison]);
  });
}
