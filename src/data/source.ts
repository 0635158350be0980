/**
 * Where data files are read from, so that readers run wherever there is text: on a disk, in a page.
 */

/** A folder of text files. Paths are relative to it, with forward slashes. */
export interface TextSource {
  /** What the user called this folder, for messages. */
  readonly root: string;
  /** The folders that it is made of, where it is made of several: of equal paths the first one's counts. */
  readonly parts?: readonly TextSource[];
  /** The bytes of a file, as they come. */
  stream(path: string): Promise<ReadableStream<Uint8Array<ArrayBuffer>>>;
  /** Whether there is such a file. */
  exists(path: string): Promise<boolean>;
}
