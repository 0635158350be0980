/** Files of own tasks in memory, and the Parquet fixtures. */

import type { DataFiles } from "../../../src/data/own/files.ts";
import { bytesSource } from "../../../src/io/source.ts";
import { UserError } from "../../../src/errors.ts";

type Bytes = Uint8Array<ArrayBuffer>;

/** Files by their paths, in folders that follow from these. Those in `parquet/` are the fixtures. */
export function memoryFiles(files: Record<string, string | Bytes>): DataFiles {
  const content = async (path: string): Promise<Bytes> => {
    if (path.startsWith("parquet/")) {
      return await Deno.readFile(new URL(`../../fixtures/${path}`, import.meta.url));
    }
    const file = files[path];
    if (file === undefined) throw new Error(`${path} is not there`);
    return typeof file === "string" ? new TextEncoder().encode(file) : file;
  };
  const inside = (folder: string) =>
    Object.keys(files).filter((path) => path.startsWith(`${folder}/`))
      .map((path) => path.slice(folder.length + 1).split("/")[0]);
  return {
    // In small pieces, so that letters and line ends fall between them.
    stream: async (path) => ReadableStream.from(pieces(await content(path))),
    open: async (path) => bytesSource(path, await content(path)),
    list: (path) => {
      const names = [...new Set(inside(path))];
      return Promise.resolve(names.length > 0 ? names.sort() : undefined);
    },
    exists: (path) =>
      Promise.resolve(path in files || path.startsWith("parquet/") || inside(path).length > 0),
  };
}

function* pieces(bytes: Bytes): Generator<Bytes> {
  for (let begin = 0; begin < bytes.length; begin += 5) yield bytes.slice(begin, begin + 5);
}

/** The sentence with which `work` is refused. */
export async function refusal(work: () => unknown): Promise<string> {
  try {
    await work();
  } catch (error) {
    if (error instanceof UserError) return error.message;
    throw error;
  }
  throw new Error("nothing was refused");
}
