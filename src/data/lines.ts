/**
 * The lines of text files, one at a time, plain or gzipped: data sets may be larger than the longest
 * string that there can be.
 */

import { UserError } from "../errors.ts";
import type { DataRow } from "./formats.ts";
import type { TextSource } from "./source.ts";

/** Paths of a file that may be gzipped: the plain one first. */
export function plainOrGzipped(path: string): string[] {
  return [path, `${path}.gz`];
}

/**
 * The lines of a UTF-8 file of `source`, without their ends and without a byte-order mark.
 *
 * @throws {UserError} when a file whose name ends with `.gz` is no whole gzip file
 */
export async function* lines(source: TextSource, path: string): AsyncGenerator<string> {
  const bytes = await source.stream(path);
  const plain = path.endsWith(".gz") ? bytes.pipeThrough(new DecompressionStream("gzip")) : bytes;
  let rest = "";
  try {
    for await (const text of plain.pipeThrough(new TextDecoderStream())) {
      const parts = (rest + text).split("\n");
      rest = parts.pop()!;
      for (const part of parts) yield part.replace(/\r$/, "");
    }
  } catch (error) {
    if (!path.endsWith(".gz") || !(error instanceof TypeError)) throw error;
    throw new UserError(`${source.root}/${path} is no whole gzip file: fetch it again.`);
  }
  if (rest !== "") yield rest;
}

/** A JSON object that is a line of a file. */
export interface JsonLine {
  readonly row: DataRow;
  /** What to call it in errors: file and line. */
  readonly place: string;
}

/**
 * The objects of a file of JSON lines.
 *
 * @throws {UserError} naming the line that is none
 */
export async function* jsonLines(source: TextSource, path: string): AsyncGenerator<JsonLine> {
  let line = 0;
  for await (const text of lines(source, path)) {
    const place = `${source.root}/${path}:${++line}`;
    yield { row: parseObject(text, place), place };
  }
}

function parseObject(text: string, place: string): DataRow {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    // Said below.
  }
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as DataRow;
  throw new UserError(`${place}: expected a JSON object on a line of its own.`);
}
