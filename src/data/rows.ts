/**
 * Rows of text files, each with its line number: tab-separated values and JSON lines.
 *
 * Invariant: no row is skipped or mended; one that does not fit is an error naming file and line.
 */

import { UserError } from "../errors.ts";

/** A row: its cells by column name, and the line it stands on, from 1. */
export interface Row {
  readonly line: number;
  readonly cells: Readonly<Record<string, string>>;
}

/**
 * Reads tab-separated values. Quote characters mean themselves; a byte-order mark and carriage
 * returns before line ends are dropped.
 *
 * @param path the file's name, for messages
 * @param needed columns that must be there
 * @param header the columns' names when the file's first line does not hold them
 */
export function readTsv(
  text: string,
  path: string,
  needed: readonly string[],
  header?: readonly string[],
): Row[] {
  const lines = readLines(text);
  const names = header ?? lines[0]?.split("\t") ?? [];
  const missing = needed.find((name) => !names.includes(name));
  if (missing !== undefined) {
    throw new UserError(
      `${path}:1: there is no column "${missing}"; the header has ${
        names.join(", ") || "nothing"
      }.`,
    );
  }
  const indices = needed.map((name) => names.indexOf(name));
  const first = header ? 0 : 1;
  return lines.slice(first).map((content, i) => {
    const line = first + i + 1;
    const cells = content.split("\t");
    if (cells.length !== names.length) {
      throw new UserError(
        `${path}:${line}: expected ${names.length} tab-separated columns (${names.join(", ")}), ` +
          `found ${cells.length}.`,
      );
    }
    return { line, cells: Object.fromEntries(needed.map((name, j) => [name, cells[indices[j]]])) };
  });
}

/** Reads JSON lines: an object a line, with text under every key of `needed`. */
export function readJsonLines(text: string, path: string, needed: readonly string[]): Row[] {
  return readLines(text).map((content, i) => {
    const line = i + 1;
    const object = parseObject(content);
    if (object === undefined) {
      throw new UserError(`${path}:${line}: expected a JSON object on a line of its own.`);
    }
    const cells = needed.map((name) => {
      const value = object[name];
      if (typeof value !== "string") {
        throw new UserError(`${path}:${line}: expected text under "${name}".`);
      }
      return [name, value];
    });
    return { line, cells: Object.fromEntries(cells) };
  });
}

function parseObject(content: string): Record<string, unknown> | undefined {
  try {
    const value = JSON.parse(content);
    return typeof value === "object" && value !== null ? value : undefined;
  } catch {
    return undefined;
  }
}

/** The lines of a text file; a byte-order mark and carriage returns before line ends are dropped. */
export function readLines(text: string): string[] {
  const lines = text.replace(/^\uFEFF/, "").split(/\r?\n/);
  if (lines.at(-1) === "") lines.pop();
  return lines;
}
