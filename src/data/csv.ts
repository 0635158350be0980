/**
 * Comma-separated values, and values separated by other characters, by the rules of RFC 4180.
 *
 * Quotes inside a cell that does not begin with one mean themselves, as Python's `csv` and pandas have it.
 * A quote that is never closed is an error: it would swallow the rows up to the next.
 */

import { UserError } from "../errors.ts";
import { decodeText } from "./text.ts";

/** A row with what it is called in errors: file and line. */
export interface CsvRow {
  readonly cells: readonly string[];
  readonly place: string;
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
  readonly raw: string;
  /** `lines`: that on which the record ends. */
  readonly info: { readonly lines: number };
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
  const parser = parse({
    delimiter: delimiter ?? delimiterOf(text.beginning),
    quote: quotes ? '"' : null,
    info: true,
    relax_quotes: true,
    relax_column_count: true,
    skip_empty_lines: true,
    raw: true,
  }) as unknown as TransformStream<Uint8Array, ParsedRecord>;
  const encoded = ReadableStream.from(text.pieces).pipeThrough(
    new TransformStream<string, Uint8Array>({
      transform: (piece, controller) => controller.enqueue(Buffer.from(piece)),
    }),
  );

  let breaks = 0; // CRLFs in cells, which csv-parse takes for two line ends each
  let last = 0; // the line that the last row ended on
  try {
    for await (const { record, raw, info } of encoded.pipeThrough(parser)) {
      const inside = record.map((cell) => cell.match(/\r?\n/g) ?? []).flat();
      breaks += inside.filter((end) => end.length === 2).length;
      const place = `${name}:${info.lines - breaks - inside.length}`;
      if (record.some(hasSwallowed) && !raw.includes('"""')) throw unclosed(place);
      last = info.lines - breaks;
      yield { cells: record, place };
    }
  } catch (error) {
    if ((error as { code?: string }).code !== "CSV_QUOTE_NOT_CLOSED") throw error;
    throw unclosed(`${name}:${last + 1}`);
  }
}

/**
 * Whether a cell has a line end after a quote that means itself: where the row has no doubled quote after
 * an opening one, that is the beginning of a cell whose end was looked for, up to the next quote.
 */
function hasSwallowed(cell: string): boolean {
  return /^"[^"]*\n/.test(cell);
}

function unclosed(place: string): UserError {
  return new UserError(
    `${place}: a cell begins with a quote that is not closed at its end: double the quotes in it and ` +
      `close it, or say "quotes": false in a task file if quotes mean themselves`,
  );
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
