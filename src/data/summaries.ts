/**
 * Summarisation, in the reference's format, from JSON lines with the fields of the Hugging Face data sets
 * of the same names: `xsum/train.jsonl`, `xsum/validation.jsonl`, `xsum/test.jsonl`.
 */

import { UserError } from "../errors.ts";
import { locate } from "./locate.ts";
import { readJsonLines } from "./rows.ts";
import type { TextSource } from "./source.ts";
import type { Dataset, Example, Split, TaskSpecification } from "./types.ts";

interface SummaryTask {
  readonly description: string;
  /** The fields of the text and of its summary. */
  readonly fields: readonly [text: string, summary: string];
}

const tasks: Readonly<Record<string, SummaryTask>> = {
  xsum: {
    description: "Sum up a news article in one sentence.",
    fields: ["document", "summary"],
  },
  cnn_dailymail: {
    description: "Sum up a news article in a few sentences.",
    fields: ["article", "highlights"],
  },
  wiki_lingua_english_en: {
    description: "Sum up a how-to guide.",
    fields: ["source", "target"],
  },
};

/** The names `loadSummaries` knows. */
export const summaryTaskNames: readonly string[] = Object.keys(tasks);

/**
 * Reads one of these tasks from its folder in `source`.
 *
 * @throws {UserError} when a file is missing, or a row malformed
 */
export async function loadSummaries(
  name: string,
  source: TextSource,
  splits: readonly Split[],
): Promise<Dataset> {
  const { description, fields: [text, summary] } = tasks[name];
  const task: TaskSpecification = {
    name,
    description,
    metrics: ["rouge_1", "rouge_2", "rouge_l"],
  };
  const loaded: Partial<Record<Split, Example[]>> = {};
  for (const split of splits) {
    const path = await locate(name, source, [`${name}/${split}.jsonl`]);
    const location = `${source.root}/${path}`;
    const rows = readJsonLines(await source.read(path), location, [text, summary]);
    if (rows.length === 0) throw new UserError(`${location} has no examples.`);
    loaded[split] = rows.map(({ cells }) => ({
      task: name,
      source: `summarize: ${cells[text]}`,
      target: cells[summary],
    }));
  }
  return { task, splits: loaded };
}
