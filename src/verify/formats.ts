/**
 * The reference's tasks: what it makes of a row of each, how it divides and scores them, and how long
 * their answers may be.
 */

import { exportedSplits, exportedTaskNames } from "../data/exported.ts";
import { formatRow, formattedTaskNames } from "../data/formats.ts";
import { BadRow } from "../data/ledger.ts";
import { divisionOf } from "../data/splits.ts";
import { fileTask } from "../data/tasks.ts";
import type { MetricName } from "../data/types.ts";
import { type Check, Comparison, notChecked, outcomes, TOLERANCES } from "./comparison.ts";
import type { Fields } from "./json.ts";

/** Our metrics by the names of the reference's functions. */
const metrics: Readonly<Record<string, readonly MetricName[]>> = {
  accuracy: ["accuracy"],
  f1_score_with_invalid: ["f1"],
  matthews_corrcoef: ["matthews"],
  pearson_corrcoef: ["pearson"],
  spearman_corrcoef: ["spearman"],
  squad_metrics: ["token_f1", "exact_match"],
  rouge: ["rouge_1", "rouge_2", "rouge_l", "rouge_lsum"],
  bleu: ["bleu"],
};

/** Compares every task of `task_formats.json`. */
export function checkFormats(record: Fields): Check[] {
  const [texts, scoring, searching, dividing] = [
    "sources and targets of tasks",
    "metrics of tasks",
    "answer lengths and beams of tasks",
    "splits of tasks",
  ].map((title) => new Comparison(title, TOLERANCES.exact));
  const unknown: string[] = [];
  for (const name of record.names) {
    const given = record.fields(name), task = fileTask(name);
    if (task === undefined) {
      unknown.push(name);
      continue;
    }
    if (given.has("example")) compareTexts(texts, given, name);

    const expected = given.texts("metrics").flatMap((metric) => metrics[metric] ?? [metric]);
    scoring.text(`metrics of ${name}`, task.metrics.join(", "), expected.join(", "));

    const search = given.fields("task_specific_config_fixed_part");
    const { answerLength, beams = 1 } = task;
    searching.value(
      `beams of ${name}`,
      beams,
      search.has("num_beams") ? search.number("num_beams") : 1,
    );
    const length = search.has("max_length")
      ? search.spelled("max_length")
      : given.spelled("label_list");
    searching.text(`answer length of ${name}`, JSON.stringify(answerLength) ?? "", length);

    const division = divisionOf(name), isDivided = (way: string) => String(division === way);
    for (const [way, list] of [["halved", "small"], ["held out", "large"]]) {
      const isListed = given.flag(`in_${list}_split_list`);
      dividing.text(`whether ${name} is ${way}`, isDivided(way), String(isListed));
    }
    // Other readers take the files of releases, whose splits go by other names.
    if (!exportedTaskNames.includes(name)) continue;
    for (const [split, published] of Object.entries(exportedSplits(name))) {
      dividing.text(`${split} split of ${name}`, published, given.fields("split_map").text(split));
    }
  }
  return [
    ...outcomes([texts, scoring, searching, dividing]),
    ...unknown.map((name) => notChecked(`task ${name}`, "unknown to this build")),
  ];
}

function compareTexts(comparison: Comparison, given: Fields, name: string): void {
  if (!formattedTaskNames.includes(name)) return comparison.fail(`${name} has no format here`);
  const { source, target } = tryFormat(name, given);
  comparison.text(`source of ${name}`, source, given.text("src_texts"));
  comparison.text(`target of ${name}`, target, given.text("tgt_texts"));
}

/** What becomes of an example; a row that is refused differs from what the reference makes of it. */
function tryFormat(name: string, given: Fields): { source: string; target: string } {
  try {
    return formatRow(name, given.row("example"), given.file);
  } catch (error) {
    if (!(error instanceof BadRow)) throw error;
    return { source: error.message, target: error.message };
  }
}
