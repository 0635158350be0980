/** Data files for readers: in memory, as a page has them, or the real ones. */

import type { TextSource } from "../../src/data/source.ts";
import { realPath } from "../real-data.ts";

/** A folder of files held in memory. */
export function folder(files: Record<string, string | Uint8Array<ArrayBuffer>>): TextSource {
  return {
    root: "data",
    stream: (path) => Promise.resolve(new Blob([files[path]]).stream()),
    exists: (path) => Promise.resolve(path in files),
  };
}

/** A text as a gzip file. */
export async function gzipped(text: string): Promise<Uint8Array<ArrayBuffer>> {
  const stream = new Blob([text]).stream().pipeThrough(new CompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** The data sets as they are published, for `testOnRealData`. */
export const realData: TextSource = {
  root: realPath("data"),
  stream: async (path) => (await Deno.open(realPath(`data/${path}`))).readable,
  exists: (path) => Deno.stat(realPath(`data/${path}`)).then(() => true, () => false),
};

/** What the reference makes of an example of each task. */
export const referenceFormats: Readonly<
  Record<string, {
    readonly example: Readonly<Record<string, unknown>>;
    readonly src_texts: string;
    readonly tgt_texts: string;
    readonly metrics: readonly string[];
    readonly in_small_split_list: boolean;
    readonly in_large_split_list: boolean;
  }>
> = JSON.parse(
  await Deno.readTextFile(new URL("../fixtures/task-formats.json", import.meta.url)),
);
