/**
 * Where data files are read from, so that readers run wherever there is text: on a disk, in a page.
 */

/** A folder of text files. Paths are relative to it, with forward slashes. */
export interface TextSource {
  /** What the user called this folder, for messages. */
  readonly root: string;
  /** The bytes of a file, as they come. */
  stream(path: string): Promise<ReadableStream<Uint8Array<ArrayBuffer>>>;
  /** Whether there is such a file. */
  exists(path: string): Promise<boolean>;
}
