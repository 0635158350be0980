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
  /** The bytes of {@linkcode read} from `begin` to `end` (exclusive); where they lie together in the file. */
  readPart?(begin: number, end: number): Promise<Uint8Array>;
}

/** Bytes of two tensors that are compared at a time. */
const COMPARED = 2 ** 24;

/** Whether two tensors have the same elements of one type. Reads little further than they are alike. */
export async function sameElements(a: StoredTensor, b: StoredTensor): Promise<boolean> {
  if (a === b) return true;
  if (a.dtype !== b.dtype || `${a.shape}` !== `${b.shape}`) return false;
  if (!a.readPart || !b.readPart) return sameBytes(await a.read(), await b.read());
  const total = byteLength(a);
  for (let begin = 0; begin < total; begin += COMPARED) {
    const end = Math.min(total, begin + COMPARED);
    if (!sameBytes(await a.readPart(begin, end), await b.readPart(begin, end))) return false;
  }
  return true;
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) {
    if (a[i] !== b[i]) return false;
  }
  return true;
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
