/**
 * Tables of rows, in whichever of the common kinds of files: JSON lines, a JSON list, CSV, TSV and Parquet.
 *
 * A file's kind is told by its name alone; the text kinds may be gzipped.
 */

import { UserError } from "../../errors.ts";
import { type CsvRow, csvRows } from "../csv.ts";
import { isJsonObject, parseWithSource } from "../../io/json.ts";
import type { DataRow } from "../formats.ts";
import { BadRow } from "../ledger.ts";
import { openParquet, type RowGroupFilter } from "../parquet.ts";
import { decodeLines, decodeText } from "../text.ts";
import type { DataFiles } from "./files.ts";

/** A row, which is looked at when it is asked for. */
export interface TableRow {
  /** What to call it in errors: file and line, or file and number. */
  readonly place: string;
  /** What it has by column. @throws {BadRow} where it is no row */
  read(): DataRow;
}

/** A file of rows. */
export interface Table {
  /** The file's path. */
  readonly path: string;
  /** The columns of the file, or of its first row where each row names its own. */
  readonly columns: readonly string[];
  /**
   * The rows, once, with at least these columns where they have them. Rows that `where` does not accept may
   * be passed over.
   */
  rows(columns: readonly string[], where?: RowGroupFilter): AsyncGenerator<TableRow>;
  /** Lets the file go, where its rows are not read to their end. */
  close(): Promise<unknown>;
}

/** How a table is read. */
export interface TableOptions {
  /** Whether cells of CSV and TSV may be quoted; they may unless told. */
  readonly quotes?: boolean;
}

type Open = (files: DataFiles, path: string, options: TableOptions) => Promise<Table>;

const kinds: Readonly<Record<string, Open>> = {
  jsonl: openLines,
  ndjson: openLines,
  json: openJson,
  csv: (files, path, { quotes = true }) => openCells(files, path, { quotes }),
  tsv: (files, path, { quotes = true }) => openCells(files, path, { quotes, delimiter: "\t" }),
  parquet: openRowGroups,
};

/** The endings of the names of files that can be read. */
export const TABLE_ENDINGS: readonly string[] = Object.keys(kinds).flatMap((kind) =>
  kind === "parquet" ? [`.${kind}`] : [`.${kind}`, `.${kind}.gz`]
);

/** Whether a file's name says that it is a table. */
export function isTable(path: string): boolean {
  return TABLE_ENDINGS.some((ending) => path.toLowerCase().endsWith(ending));
}

/**
 * Opens a table.
 *
 * @throws {UserError} for a file that is not there, of no kind that is known, or without rows
 */
export async function openTable(
  files: DataFiles,
  path: string,
  options: TableOptions = {},
): Promise<Table> {
  if (!await files.exists(path)) throw new UserError(`there is no file ${path}`);
  const ending = TABLE_ENDINGS.find((ending) => path.toLowerCase().endsWith(ending));
  if (ending === undefined) {
    throw new UserError(
      `${path} is of no kind that can be read, by its name: that must end with ${
        TABLE_ENDINGS.join(", ")
      }`,
    );
  }
  return await kinds[ending.split(".")[1]](files, path, options);
}

/** Objects one a line; blank lines are none. */
async function openLines(files: DataFiles, path: string): Promise<Table> {
  const lines = decodeLines(await files.stream(path), path);
  async function* read(): AsyncGenerator<TableRow> {
    let number = 0;
    for await (const line of lines) {
      const place = `${path}:${++number}`;
      if (line.trim() === "") continue;
      yield { place, read: () => asRow(parseJson(line, place), place) };
    }
  }
  return await fromRows(path, read());
}

/** A list of objects, or, as files of that name often have it, objects one a line. */
async function openJson(files: DataFiles, path: string): Promise<Table> {
  if (!await beginsWith("[", decodeText(await files.stream(path), path))) {
    try {
      return await openLines(files, path);
    } catch (error) {
      if (!(error instanceof BadRow)) throw error;
      throw new UserError(
        `${path} is neither a list of rows, as [{"text": "…", "label": "…"}, …], nor rows one a line`,
      );
    }
  }
  const text = (await Array.fromAsync(decodeText(await files.stream(path), path))).join("");
  const list = parseList(text, path);
  async function* read(): AsyncGenerator<TableRow> {
    for (const [i, row] of list.entries()) {
      const place = `${path}, item ${i + 1}`;
      yield { place, read: () => asRow(row, place) };
    }
  }
  return await fromRows(path, read());
}

async function beginsWith(character: string, text: AsyncIterable<string>): Promise<boolean> {
  for await (const piece of text) {
    if (piece.trim() !== "") return piece.trimStart().startsWith(character);
  }
  return false;
}

/** A table whose rows name their columns themselves; the first that can be read tells them. */
async function fromRows(path: string, rows: AsyncGenerator<TableRow>): Promise<Table> {
  const passed: TableRow[] = [];
  let columns: string[] | undefined;
  for (let next; columns === undefined && !(next = await rows.next()).done;) {
    passed.push(next.value);
    columns = columnsOf(next.value);
  }
  if (passed.length === 0) throw new UserError(`${path} has no rows`);
  if (columns === undefined) passed[0].read(); // throws
  return {
    path,
    columns: columns!,
    async *rows() {
      yield* passed;
      yield* rows;
    },
    close: () => rows.return(undefined),
  };
}

function columnsOf(row: TableRow): string[] | undefined {
  try {
    return Object.keys(row.read());
  } catch (error) {
    if (error instanceof BadRow) return undefined;
    throw error;
  }
}

async function openCells(
  files: DataFiles,
  path: string,
  dialect: { readonly delimiter?: string; readonly quotes: boolean },
): Promise<Table> {
  const rows = csvRows(await files.stream(path), path, dialect);
  const header = await rows.next();
  if (header.done) throw new UserError(`${path} is empty: its first line names the columns`);
  const columns = header.value.read().map((name) => name.trim());
  const first = await rows.next();
  if (first.done) {
    throw new UserError(
      `${path} has no rows but that which names the columns (${columns.join(", ")})`,
    );
  }
  async function* read(wanted: readonly string[]): AsyncGenerator<TableRow> {
    const twice = wanted.find((name) => columns.indexOf(name) !== columns.lastIndexOf(name));
    if (twice !== undefined) {
      throw new UserError(`${path} has two columns "${twice}": give each a name of its own`);
    }
    const named = ({ place, read }: CsvRow): TableRow => ({
      place,
      read() {
        const cells = read();
        if (cells.length === columns.length) {
          return Object.fromEntries(columns.map((name, i) => [name, cells[i]]));
        }
        throw new BadRow(
          place,
          `there are ${cells.length} cells where the header has ${columns.length}: quote the cells that ` +
            `contain the character between them`,
          "columns",
        );
      },
    });
    yield named(first.value);
    for await (const row of rows) yield named(row);
  }
  return { path, columns, rows: read, close: () => rows.return(undefined) };
}

async function openRowGroups(files: DataFiles, path: string): Promise<Table> {
  const file = await openParquet(await files.open(path));
  if (file.rowCount === 0) throw new UserError(`${path} has no rows`);
  async function* read(
    wanted: readonly string[],
    where?: RowGroupFilter,
  ): AsyncGenerator<TableRow> {
    let number = 0;
    for await (const row of file.rows(wanted, where)) {
      yield { place: `${path}, row ${++number}`, read: () => row };
    }
  }
  return { path, columns: file.columns, rows: read, close: () => Promise.resolve() };
}

/** What a number looks like that may be written otherwise than it stands there: broken, or long. */
const ODD_NUMBER = /[:[,]\s*-?\d+(?:[.eE]|(?<=\d{15})|(?<=-0))/;

/** Parses JSON. Numbers that would be written otherwise than they stand there (1.0, 1e3) become text. */
function parseJson(text: string, place: string): unknown {
  try {
    if (!ODD_NUMBER.test(text)) return JSON.parse(text); // several times as fast
    return parseWithSource(
      text,
      (_, value, { source }) =>
        typeof value === "number" && String(value) !== source ? source : value,
    );
  } catch (error) {
    const reason = (error as Error).message.replace(/\s+/g, " ");
    throw new BadRow(place, `not valid JSON, since ${reason}`, "not JSON");
  }
}

function parseList(text: string, path: string): unknown[] {
  try {
    return parseJson(text, path) as unknown[]; // It begins with a bracket.
  } catch (error) {
    throw new UserError((error as Error).message, { cause: error }); // All of it is no row to be left out.
  }
}

function asRow(value: unknown, place: string): DataRow {
  if (isJsonObject(value)) return value;
  throw new BadRow(place, "expected a JSON object", "not JSON");
}
