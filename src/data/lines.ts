/**
 * The lines of text files, one at a time, plain or gzipped: data sets may be larger than the longest
 * string that there can be.
 *
 * Invariant: lines of nothing but blanks are passed over, so that none at a file's end ends a run; they
 * count in line numbers.
 */

import { UserError } from "../errors.ts";
import { isJsonObject } from "../io/json.ts";
import type { DataRow } from "./formats.ts";
import { BadRow } from "./ledger.ts";
import type { TextSource } from "./source.ts";
import { decodeLines } from "./text.ts";

/** Paths of a file that may be gzipped: the plain one first. */
export function plainOrGzipped(path: string): string[] {
  return [path, `${path}.gz`];
}

/**
 * The lines of a UTF-8 file of `source`, without their ends and without a byte-order mark.
 *
 * @throws {UserError} for what is no UTF-8, and for a gzip file that is not whole
 */
export async function* lines(source: TextSource, path: string): AsyncGenerator<string> {
  yield* decodeLines(await source.stream(path), `${source.root}/${path}`);
}

/** A row of a file, which is looked at when it is asked for. */
export interface Row {
  /** Its line, from 1. */
  readonly line: number;
  /** What to call it in errors: file and line. */
  readonly place: string;
  /** Its fields. @throws {BadRow} where the line is none */
  fields(): DataRow;
}

/** The objects of a file of JSON lines. */
export async function* jsonRows(source: TextSource, path: string): AsyncGenerator<Row> {
  let line = 0;
  for await (const text of lines(source, path)) {
    const place = `${source.root}/${path}:${++line}`;
    if (text.trim() !== "") yield { line, place, fields: () => parseObject(text, place) };
  }
}

function parseObject(text: string, place: string): DataRow {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    // Said below.
  }
  if (isJsonObject(value)) return value;
  // Python's `json` writes these, which are none of JSON's numbers.
  const [word] = /(?<=[:,[]\s*)-?(?:NaN|Infinity)(?=\s*[,}\]])/.exec(text) ?? [];
  throw new BadRow(
    place,
    `expected a JSON object on a line of its own${word ? `, and ${word} is no JSON` : ""}`,
    "not JSON",
  );
}

/**
 * The rows of a file of tab-separated values. Quote characters mean themselves.
 *
 * @param columns those that are needed; a row's fields are these
 * @param header the columns' names when the file's first line does not hold them
 * @throws {UserError} when a column is not there
 */
export async function* tsvRows(
  source: TextSource,
  path: string,
  columns: readonly string[],
  header?: readonly string[],
): AsyncGenerator<Row> {
  let names = header, line = 0;
  const location = `${source.root}/${path}`;
  for await (const text of lines(source, path)) {
    const place = `${location}:${++line}`;
    if (/^ *$/.test(text)) continue;
    const cells = text.split("\t");
    if (names === undefined) {
      names = cells;
      requireColumns(names, columns, place);
      continue;
    }
    const here = names;
    const fields = () => {
      if (cells.length === here.length) {
        return Object.fromEntries(columns.map((name) => [name, cells[here.indexOf(name)]]));
      }
      throw new BadRow(
        place,
        `expected ${here.length} tab-separated columns (${here.join(", ")}), found ${cells.length}`,
        "columns",
      );
    };
    yield { line, place, fields };
  }
  if (names === undefined) requireColumns([], columns, `${location}:1`);
}

function requireColumns(
  names: readonly string[],
  needed: readonly string[],
  place: string,
): void {
  const missing = needed.find((name) => !names.includes(name));
  if (missing === undefined) return;
  throw new UserError(
    `${place}: there is no column "${missing}"; the header has ${names.join(", ") || "nothing"}.`,
  );
}
