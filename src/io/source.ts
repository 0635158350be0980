/**
 * Files and tensors that are read piece by piece.
 *
 * A checkpoint may be larger than memory: its formats therefore ask for the bytes they need, and what
 * they return are tensors that have not been read yet.
 */

import { type Dtype, dtypeBytes, elementCount } from "./header.ts";

/** Random access to the bytes of a file, wherever it is. */
export interface ByteSource {
  /** What the user calls it, for error messages. */
  readonly name: string;
  /** In bytes. */
  readonly size: number;
  /** The bytes from `begin` to `end` (exclusive), all of them; a view that the caller may keep. */
  read(begin: number, end: number): Promise<Uint8Array>;
}

/** A tensor in a file, of which only the description has been read. */
export interface StoredTensor {
  readonly dtype: Dtype;
  readonly shape: readonly number[];
  /** Its elements: row-major, contiguous, little-endian. Every call reads the file again. */
  read(): Promise<Uint8Array>;
}

/** What {@linkcode StoredTensor.read} gives, in bytes. */
export function byteLength({ dtype, shape }: Pick<StoredTensor, "dtype" | "shape">): number {
  return elementCount(shape) * dtypeBytes(dtype);
}

/** A file that is in memory already. */
export function bytesSource(name: string, bytes: Uint8Array): ByteSource {
  return {
    name,
    size: bytes.length,
    read: (begin, end) => Promise.resolve(bytes.subarray(begin, end)),
  };
}
