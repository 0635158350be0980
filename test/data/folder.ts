/** Data files for readers: in memory, as a page has them, or the real ones beside this repository. */

import type { TextSource } from "../../src/data/source.ts";

/** A folder of files held in memory. */
export function folder(files: Record<string, string | Uint8Array<ArrayBuffer>>): TextSource {
  return {
    root: "data",
    read: (path) => new Blob([files[path]]).text(),
    stream: (path) => Promise.resolve(new Blob([files[path]]).stream()),
    exists: (path) => Promise.resolve(path in files),
  };
}

/** A text as a gzip file. */
export async function gzipped(text: string): Promise<Uint8Array<ArrayBuffer>> {
  const stream = new Blob([text]).stream().pipeThrough(new CompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

const real = new URL("../../../shared/data/", import.meta.url);
const isThere = (path: string) => Deno.stat(new URL(path, real)).then(() => true, () => false);

/** The real files, which are too large, and partly not free enough, for this repository. */
export const realData: TextSource = {
  root: "shared/data",
  read: (path) => Deno.readTextFile(new URL(path, real)),
  stream: async (path) => (await Deno.open(new URL(path, real))).readable,
  exists: isThere,
};

/** Whether they are there. */
export const hasRealData = await isThere("glue/RTE/train.tsv");

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
