/**
 * Which columns of a table become source and target, and how.
 *
 * Text is passed on as it stands; numbers, `true` and `false` as JSON writes them. A column may be a path:
 * `answers.text` is the `text` of `answers`.
 */

import { suggestion, UserError } from "../../errors.ts";
import type { DataRow } from "../formats.ts";
import { BadRow } from "../ledger.ts";
import type { OwnTask } from "./definition.ts";

/** How rows become text. */
export interface Columns {
  /** Pieces of the source: literal text, or a column. */
  readonly source: readonly Piece[];
  readonly target: string;
  /** The columns as a task names them. */
  readonly named: NonNullable<OwnTask["columns"]>;
  /** For people: `"question" → "answer"`. */
  readonly description: string;
}

interface Piece {
  readonly text?: string;
  readonly column?: string;
}

/** What a row says: a source, and targets of which any is right. */
export interface RowText {
  readonly source: string;
  readonly targets: readonly string[];
}

/** Pairs of columns that are taken where nobody names any; the first that a file has. */
const USUAL: readonly (readonly [source: string, target: string])[] = [
  ["source", "target"],
  ["input", "output"],
  ["text", "label"],
  ["text", "sentiment"],
  ["review", "sentiment"],
  ["sentence", "label"],
  ["question", "answer"],
  ["prompt", "completion"],
  ["document", "summary"],
  ["article", "highlights"],
  ["text", "summary"],
  ["text", "target"],
];

/**
 * The columns that a task takes of a file.
 *
 * @param there the columns that the file has
 * @param path the file, for errors
 * @throws {UserError} for a column that is not there, and when none is named and the file has no usual ones
 */
export function chooseColumns(
  { name, template, columns = {} }: OwnTask,
  there: readonly string[],
  path: string,
): Columns {
  const has = (column: string) => there.includes(column) || there.includes(column.split(".")[0]);
  const parsed = template === undefined ? undefined : parseTemplate(template, name);
  const named = [
    ...parsed?.flatMap(({ column }) => column ?? []) ?? [],
    ...Object.values(columns),
  ];
  for (const column of named) {
    if (has(column)) continue;
    throw new UserError(
      `${path} has no column "${column}"${suggestion(column, there)}; it has ${list(there)}: ` +
        `say with --source-column, --target-column or --template which to take`,
    );
  }
  // With a template or a name on one side, the other is the first usual one that there is, in any case.
  const actual = new Map(there.map((column) => [column.toLowerCase(), column]));
  const usual = USUAL.map(([source, target]) => ({
    source: columns.source ?? actual.get(source),
    target: columns.target ?? actual.get(target),
  }));
  const { source, target } = usual.find(({ source, target }) => {
    return (parsed ?? source) !== undefined && target !== undefined && source !== target;
  }) ?? columns;
  if (target === undefined || (template === undefined && source === undefined)) {
    throw new UserError(
      `${path} has the columns ${
        list(there)
      }: say with --source-column and --target-column (or in a task ` +
        `file) which of them ${name} takes`,
    );
  }
  const pieces = parsed ?? [{ column: source! }];
  if (template === undefined && source === target) {
    throw new UserError(
      `"${target}" of ${name} is both the source and the target: name two columns`,
    );
  }
  const taken = { ...(template === undefined && source !== undefined && { source }), target };
  const description = `${template === undefined ? `"${source}"` : "template"} → "${target}"`;
  return { source: pieces, target, named: taken, description };
}

/** The columns of a file that are needed. */
export function neededColumns(
  { source, target }: Columns,
  there: readonly string[],
): readonly string[] {
  const paths = [...source.flatMap(({ column }) => column ?? []), target];
  return [...new Set(paths.map((path) => there.includes(path) ? path : path.split(".")[0]))];
}

/**
 * The texts of a row.
 *
 * @param place what the row is called in errors
 * @throws {BadRow} for a value that is missing, empty or no text
 */
export function readTexts({ source, target }: Columns, row: DataRow, place: string): RowText {
  const parts = source.map(({ text, column }) => text ?? textAt(row, column!, place));
  const columns = source.flatMap(({ column }) => column ?? []);
  const isEmpty = source.every(({ column }, i) => column === undefined || parts[i].trim() === "");
  if (isEmpty) throw new BadRow(place, `${list(columns)} is empty`, "empty text");
  return { source: parts.join(""), targets: targetsAt(row, target, place) };
}

function targetsAt(row: DataRow, column: string, place: string): string[] {
  const value = valueAt(row, column, place);
  const values = Array.isArray(value) ? value : [value];
  if (values.length === 0) throw new BadRow(place, `"${column}" is an empty list`, "empty text");
  const texts = values.map((value) => asText(value, column, place));
  if (texts.some((text) => text.trim() === "")) {
    throw new BadRow(
      place,
      `"${column}" is empty, and an answer never is: write a word for it`,
      "empty text",
    );
  }
  return texts;
}

function textAt(row: DataRow, column: string, place: string): string {
  return asText(valueAt(row, column, place), column, place);
}

function asText(value: unknown, column: string, place: string): string {
  if (typeof value === "string") return value;
  if (typeof value === "number" || typeof value === "boolean") return String(value);
  if (value === null) throw new BadRow(place, `"${column}" is null`, "a field");
  const [key] = Object.keys(Object(value));
  const hint = key !== undefined && !ArrayBuffer.isView(value) ? `, as ${column}.${key} is` : "";
  throw new BadRow(
    place,
    `"${column}" is no text but ${
      Array.isArray(value) ? "a list" : "an object"
    }: take a column that is ` +
      `text${hint}`,
    "a field",
  );
}

/** What stands at a path: a column of just that name, or a part of one. */
function valueAt(row: DataRow, path: string, place: string): unknown {
  if (Object.hasOwn(row, path)) return row[path];
  let value: unknown = row;
  for (const key of path.split(".")) {
    if (typeof value !== "object" || value === null || !Object.hasOwn(value, key)) {
      throw new BadRow(
        place,
        `there is no "${path}"${suggestion(path, Object.keys(row))}; there is ${
          list(Object.keys(row)) || "nothing"
        }`,
        "a field",
      );
    }
    value = (value as Record<string, unknown>)[key];
  }
  return value;
}

/** Cuts a template at its columns. Doubled braces are braces. */
function parseTemplate(template: string, name: string): Piece[] {
  const pieces: Piece[] = [];
  const parts = template.matchAll(/\{\{|\}\}|\{([^{}]+)\}|[{}]|[^{}]+/g);
  for (const [part, column] of parts) {
    if (part === "{" || part === "}") {
      throw new UserError(
        `the template of ${name} has a single ${part}: columns are named as {question}, and doubled ` +
          `braces are braces`,
      );
    }
    if (column !== undefined) pieces.push({ column });
    else pieces.push({ text: part === "{{" || part === "}}" ? part[0] : part });
  }
  if (pieces.some(({ column }) => column !== undefined)) return pieces;
  throw new UserError(
    `the template of ${name} names no column: write one in braces, as {question}`,
  );
}

const list = (columns: readonly string[]): string =>
  columns.map((column) => `"${column}"`).join(", ");
