/**
 * Where the files inside a zip archive lie, for archives that store them uncompressed.
 *
 * Nothing is extracted: a stored file is a stretch of the archive, and is read as one.
 */

import { type Reader, ZipReader } from "@zip.js/zip.js/lib/zip-core-reader.js";
import { UserError } from "../errors.ts";
import type { ByteSource } from "./source.ts";

/** A file in an archive: offsets in the archive, in bytes. */
export interface ArchivedFile {
  readonly begin: number;
  readonly end: number;
}

/** Some 40,000 files; without a limit a directory that lies about its length would fill the memory. */
const maximumDirectoryBytes = 4 * 2 ** 20;

/**
 * Finds every file in an archive.
 *
 * @param refuse called with the reason if the archive is damaged, or if a file in it is compressed,
 * encrypted or there twice; it must throw a UserError
 * @returns the files by name, none of which overlap
 */
export async function openZip(
  source: ByteSource,
  refuse: (why: string) => never,
): Promise<Map<string, ArchivedFile>> {
  let failure: unknown;
  const reader = {
    size: source.size,
    async readUint8Array(begin: number, length: number) {
      if (length > maximumDirectoryBytes) refuse(`its directory has ${length} bytes`);
      try {
        return await source.read(begin, Math.min(begin + length, source.size));
      } catch (error) {
        failure = error;
        throw error;
      }
    },
  };

  const files = new Map<string, ArchivedFile>();
  try {
    // ZipReader asks no more of a Reader; the package's entry point for reading has no class to extend.
    const zip = new ZipReader(reader as unknown as Reader<ByteSource>);
    for await (const entry of zip.getEntriesGenerator()) {
      if (entry.directory) continue;
      const name = entry.filename;
      if (files.has(name)) refuse(`it has the file ${name} twice`);
      if (entry.encrypted) refuse(`its file ${name} is encrypted`);
      if (entry.compressionMethod !== 0 || entry.compressedSize !== entry.uncompressedSize) {
        refuse(`its file ${name} is compressed, where tensors are stored as they are`);
      }
      // Reads and checks the header that stands before the data, but not the data.
      await entry.getData(new WritableStream(), { checkOverlappingEntryOnly: true });
      const begin = entry.localDirectory!.dataOffset;
      files.set(name, { begin, end: begin + entry.uncompressedSize });
    }
  } catch (error) {
    if (error instanceof UserError || error === failure) throw error;
    refuse(`${(error as Error).message} in its zip archive (is it truncated?)`);
  }
  return files;
}
