/** Parquet files: their columns' names and their rows, one row group after another. */

import type { AsyncBuffer } from "hyparquet";
import { UserError } from "../errors.ts";
import type { ByteSource } from "../io/source.ts";
import type { DataRow } from "./formats.ts";

/** A Parquet file of which only the description has been read. */
export interface ParquetFile {
  /** The names of its columns; one that has parts of its own (a struct, a list) counts once. */
  readonly columns: readonly string[];
  readonly rowCount: number;
  /**
   * Its rows, with the columns that are asked for: text as strings, whole numbers as numbers where they are
   * exact, structs as objects and lists as arrays.
   */
  rows(columns?: readonly string[], where?: RowGroupFilter): AsyncGenerator<DataRow>;
}

/** Passes over row groups in which no row has a value of a column that is wanted. */
export interface RowGroupFilter {
  readonly column: string;
  readonly accepts: (value: unknown) => boolean;
}

/** Opens a Parquet file. @throws {UserError} if it is none, or damaged */
export async function openParquet(source: ByteSource): Promise<ParquetFile> {
  const [{ parquetMetadataAsync, parquetReadObjects, parquetSchema }, { compressors }] =
    await Promise.all([import("hyparquet"), import("hyparquet-compressors")]);
  const file: AsyncBuffer = {
    byteLength: source.size,
    async slice(begin, end = source.size) {
      const bytes = await source.read(begin, end);
      return bytes.slice().buffer as ArrayBuffer;
    },
  };
  const metadata = await explain(source, () => parquetMetadataAsync(file));
  const columns = parquetSchema(metadata).children.map(({ element }) => element.name);

  async function* rows(
    wanted?: readonly string[],
    where?: RowGroupFilter,
  ): AsyncGenerator<DataRow> {
    let rowStart = 0;
    for (const { num_rows } of metadata.row_groups) {
      const rowEnd = rowStart + Number(num_rows);
      const range = { rowStart, rowEnd };
      rowStart = rowEnd;
      if (
        where &&
        !(await read(range, [where.column])).some((row) => where.accepts(row[where.column]))
      ) {
        continue;
      }
      for (const row of await read(range, wanted)) yield asJson(row) as DataRow;
    }
  }

  function read(range: { rowStart: number; rowEnd: number }, wanted?: readonly string[]) {
    const request = {
      file,
      metadata,
      compressors,
      ...range,
      ...(wanted && { columns: [...wanted] }),
    };
    return explain(source, () => parquetReadObjects(request));
  }
  return { columns, rowCount: Number(metadata.num_rows), rows };
}

/** Does `work` on a file; what the library complains of is said in one sentence that names the file. */
async function explain<T>(source: ByteSource, work: () => T | Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof UserError) throw error;
    const reason = (error as Error).message.replace(/^parquet\s*/i, "").replace(/\s+/g, " ");
    throw new UserError(`${source.name} cannot be read as Parquet: ${reason}`, { cause: error });
  }
}

/** A value as JSON would have it: of whole numbers of 64 bits those that are exact become numbers. */
function asJson(value: unknown): unknown {
  if (typeof value === "bigint") {
    const number = Number(value);
    return Number.isSafeInteger(number) ? number : String(value);
  }
  if (value instanceof Date) return value.toISOString();
  if (Array.isArray(value)) return value.map(asJson);
  if (typeof value !== "object" || value === null || ArrayBuffer.isView(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, part]) => [key, asJson(part)]));
}
