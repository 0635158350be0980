/**
 * Rows whose labels stand in a file of their own, line by line, as in the releases of ART and Social IQa:
 * `train.jsonl` beside `train-labels.lst`.
 *
 * Invariant: a label is that of the row of the same number, blank lines not counted in either file.
 */

import { UserError } from "../errors.ts";
import { jsonRows, lines, type Row } from "./lines.ts";
import type { TextSource } from "./source.ts";

/**
 * The rows of a file of JSON lines, each with its `label`: its own, or that of the file beside it.
 *
 * @throws {UserError} when neither is there, or the two files differ in length
 */
export async function* labelledRows(source: TextSource, path: string): AsyncGenerator<Row> {
  const file = path.replace(/\.jsonl(\.gz)?$/, "-labels.lst");
  const location = `${source.root}/${file}`;
  const labels = await source.exists(file) ? await readLabels(source, file) : undefined;
  let count = 0;
  for await (const row of jsonRows(source, path)) {
    const label = labels?.[count++];
    if (labels && !label) {
      throw new UserError(
        `${location} has ${labels.length} labels, fewer than ${source.root}/${path} has rows.`,
      );
    }
    yield {
      ...row,
      place: label ? `${row.place} with ${location}:${label.line}` : row.place,
      fields() {
        const fields = row.fields();
        if (label !== undefined) return { label: label.text, ...fields };
        if ("label" in fields) return fields;
        throw new UserError(`${row.place} has no "label", and there is no ${location}.`);
      },
    };
  }
  if (labels === undefined || labels.length === count) return;
  throw new UserError(
    `${location} has ${labels.length} labels for the ${count} rows of ${source.root}/${path}.`,
  );
}

async function readLabels(source: TextSource, file: string) {
  const labels: { text: string; line: number }[] = [];
  let line = 0;
  for await (const text of lines(source, file)) {
    line++;
    if (text.trim() !== "") labels.push({ text, line });
  }
  return labels;
}
