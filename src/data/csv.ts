/**
 * Comma-separated values, and values separated by other characters, by the rules of RFC 4180.
 *
 * Quotes inside a cell that does not begin with one mean themselves, as Python's `csv` and pandas have it.
 * A cell that begins with one ends with one: else it would swallow what comes after, up to the next quote.
 */

import { UserError } from "../errors.ts";
import { BadRow } from "./ledger.ts";
import { decodeText } from "./text.ts";

/** A row, which is looked at when it is asked for. */
export interface CsvRow {
  /** What to call it in errors: file and the line that it begins on. */
  readonly place: string;
  /** Its cells. @throws {BadRow} for one whose quotes do not fit */
  read(): readonly string[];
}

/** How a file is to be read. */
export interface CsvDialect {
  /** What stands between two cells; the comma, semicolon or tab that the header has, unless told. */
  readonly delimiter?: string;
  /** Whether cells may be quoted; unless told they may. */
  readonly quotes?: boolean;
}

/** What csv-parse gives for a record with `info` and `raw`. */
interface ParsedRecord {
  readonly record: string[];
  /** As it stands, with the line ends before it and the first character of that after it. */
  readonly raw: string;
}

/**
 * The rows of a file, the header as the first of them. Blank lines are no rows.
 *
 * @param name what the file is called in errors
 * @throws {UserError} naming the line that is no row
 */
export async function* csvRows(
  bytes: ReadableStream<Uint8Array<ArrayBuffer>>,
  name: string,
  { delimiter, quotes = true }: CsvDialect = {},
): AsyncGenerator<CsvRow> {
  const [{ parse }, { Buffer }] = await Promise.all([
    import("csv-parse/stream"),
    import("node:buffer"),
  ]);
  const text = await peek(decodeText(bytes, name));
  const between = delimiter ?? delimiterOf(text.beginning);
  const parser = parse({
    delimiter: between,
    quote: quotes ? '"' : null,
    record_delimiter: ["\r\n", "\n", "\r"],
    info: true,
    raw: true,
    relax_quotes: true,
    relax_column_count: true,
    skip_empty_lines: true,
  }) as unknown as TransformStream<Uint8Array, ParsedRecord>;
  const encoded = ReadableStream.from(text.pieces).pipeThrough(
    new TransformStream<string, Uint8Array>({
      transform: (piece, controller) => controller.enqueue(Buffer.from(piece)),
    }),
  );

  let line = 1;
  try {
    for await (const { record, raw } of encoded.pipeThrough(parser)) {
      // Of the line ends between rows csv-parse keeps one character each.
      const [blank] = /^[\r\n]*/.exec(raw)!;
      const text = raw.slice(blank.length).replace(/[\r\n]$/, "");
      const inside = text.match(/\r\n|\r|\n/g)?.length ?? 0;
      const place = `${name}:${line + blank.length}`;
      line += blank.length + inside + 1;
      if (record.length === 1 && record[0].trim() === "") continue;
      const isLoose = quotes && hasLooseQuote(text, between);
      // What a quote has swallowed is more than a row.
      if (isLoose && inside > 0) throw new UserError(`${place}: ${LOOSE}`);
      yield {
        place,
        read() {
          if (isLoose) throw new BadRow(place, LOOSE, "columns");
          return record;
        },
      };
    }
  } catch (error) {
    if ((error as { code?: string }).code !== "CSV_QUOTE_NOT_CLOSED") throw error;
    throw new UserError(`${name}:${line}: ${LOOSE}`);
  }
}

const LOOSE =
  "a cell begins with a quote that is not closed at its end: double the quotes in it and " +
  'close it, or say "quotes": false in a task file if quotes mean themselves';

/** Whether a cell of a row begins with a quote that another ends before the cell's own end. */
function hasLooseQuote(row: string, delimiter: string): boolean {
  if (!row.includes('"')) return false;
  for (let at = 0; at < row.length; at++) {
    if (row[at] === '"') {
      at++;
      for (let end; (end = row.indexOf('"', at)) >= 0 && row[end + 1] === '"';) at = end + 2;
      at = row.indexOf('"', at) + 1;
      if (at === 0 || (at < row.length && row[at] !== delimiter)) return true;
    } else {
      const next = row.indexOf(delimiter, at);
      if (next < 0) return false;
      at = next;
    }
  }
  return false;
}

/** The text up to the end of its first line, and all of it again. */
async function peek(text: AsyncGenerator<string>) {
  const read: string[] = [];
  for (let next; !read.at(-1)?.includes("\n") && !(next = await text.next()).done;) {
    read.push(next.value);
  }
  async function* pieces() {
    yield* read;
    yield* text;
  }
  return { beginning: read.join("").split("\n")[0], pieces: pieces() };
}

/** The first of comma, tab and semicolon that a header has. */
function delimiterOf(header: string): string {
  return [",", "\t", ";"].find((character) => header.includes(character)) ?? ",";
}
