/** Files as own tasks need them: a source of text that also lists folders and reads files at any place. */

import type { ByteSource } from "../../io/source.ts";

/** Files by their paths. */
export interface DataFiles {
  /** The bytes of a file, as they come. */
  stream(path: string): Promise<ReadableStream<Uint8Array<ArrayBuffer>>>;
  /** Random access to a file. */
  open(path: string): Promise<ByteSource>;
  /** The names in a folder; undefined where there is no folder. */
  list(path: string): Promise<readonly string[] | undefined>;
  /** Whether there is a file or folder. */
  exists(path: string): Promise<boolean>;
}
