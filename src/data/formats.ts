/**
 * How a row of each data set becomes a source and a target, in the reference's text-to-text formats
 * (`format-table.ts`), whatever file it was read from.
 *
 * Invariant: text is passed on as it stands, quotes and doubled spaces included.
 */

import { type Format, formats, type Part } from "./format-table.ts";
import { BadRow } from "./ledger.ts";

/** A row of a data set: its fields by name, as JSON has them. */
export type DataRow = Readonly<Record<string, unknown>>;

/** What becomes of a row. */
export interface Formatted {
  readonly source: string;
  readonly target: string;
  /** Every text that is right, the target first, where a row has several. */
  readonly references?: readonly string[];
}

/** What a user may not expect of how a task's rows, such as `row`, are read. */
export function noteOf(task: string, row: DataRow): string | undefined {
  return formats[task].target.find(({ field }) => row[field] !== undefined)?.note;
}

/** The tasks that have a format. */
export const formattedTaskNames: readonly string[] = Object.keys(formats);

/** The fields that a task's rows must have by their names of today, the target last. */
export function fieldsOf(task: string): string[] {
  const { parts, target } = formats[task];
  const paths = [...parts.map(({ fields }) => fields[0]), target[0].field];
  return [...new Set(paths.map((path) => path.split(".")[0]))];
}

/** Whether a row says by -1, as Hugging Face's data sets do, or "-", as SNLI does, that it has no label. */
export function isUnlabelled(task: string, row: DataRow): boolean {
  return formats[task].target.some(({ field, read }) => {
    const value = row[field];
    return (value === -1 || value === "-") && read(value) === undefined;
  });
}

/**
 * The source and target of a row.
 *
 * @param task one of `formattedTaskNames`
 * @param place what the row is called in errors: its file and line
 * @throws {BadRow} for a field that is missing, or has what it may not have
 */
export function formatRow(task: string, row: DataRow, place: string): Formatted {
  const format = formats[task];
  const { prefix = task, parts } = format;
  const words = parts.flatMap((part) => {
    const text = partOf(part, row, place);
    return part.label === "" ? [text] : [part.label, text];
  });
  return { source: [prefix, ...words].join(" "), ...targetOf(format, row, place) };
}

function partOf({ fields, read = asText }: Part, row: DataRow, place: string): string {
  const field = present(fields, row, place);
  const text = read(fieldAt(row, field));
  if (typeof text === "string") return text;
  throw new BadRow(place, `expected text under "${field}"`, "a field");
}

function targetOf(
  { target, hasReferences = false }: Format,
  row: DataRow,
  place: string,
): Pick<Formatted, "target" | "references"> {
  const name = present(target.map(({ field }) => field), row, place);
  const { field, read, expected } = target.find(({ field }) => field === name)!;
  const value = fieldAt(row, field);
  if (hasReferences && Array.isArray(value)) {
    const references = value.map((one) => read(one));
    const texts = references.filter((one) => one !== undefined);
    if (texts.length === 0 || texts.length < references.length) {
      throw new BadRow(place, `expected a list of texts under "${field}"`, "a field");
    }
    return { target: texts[0], ...(texts.length > 1 && { references: texts }) };
  }
  const text = read(value);
  if (text !== undefined) return { target: text };
  if (expected === "text") throw new BadRow(place, `expected text under "${field}"`, "a field");
  throw new BadRow(
    place,
    `${shown(value)} under "${field}" is not ${expected}`,
    "label",
  );
}

/** The first of some fields that a row has. */
function present(fields: readonly string[], row: DataRow, place: string): string {
  const found = fields.find((field) => fieldAt(row, field) !== undefined);
  if (found !== undefined) return found;
  const [first, ...others] = fields.map((field) => `"${field}"`);
  const known = others.length > 0 ? ` (or ${others.join(", ")})` : "";
  throw new BadRow(
    place,
    `there is no ${first}${known}; the row has ${Object.keys(row).join(", ") || "nothing"}`,
    "a field",
  );
}

const asText = (value: unknown): string | undefined =>
  typeof value === "string" ? value : undefined;

function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 40 ? `${text.slice(0, 40)}…` : text;
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
