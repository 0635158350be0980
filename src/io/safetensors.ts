/**
 * The safetensors format: an 8-byte little-endian header length, a JSON header, then raw tensor data.
 *
 * A file is either taken whole or refused: every rule is checked (see `header.ts`) before a single
 * tensor is read, so a hostile or truncated file can never alias, overrun or silently drop a weight.
 * Files are laid out as the reference implementation does (widest type first, then by name, header
 * padded to 8 bytes), so that writing what was read gives back the same bytes.
 */

import { UserError } from "../errors.ts";
import {
  bfloat16ToFloat32,
  float16ToFloat32,
  float32ToBfloat16,
  float32ToFloat16,
} from "./half.ts";
import {
  type Dtype,
  dtypeBytes,
  elementCount,
  parseSafetensorsHeader,
  PREFIX_BYTES,
  safetensorsDataStart,
} from "./header.ts";
import { layOutSafetensors } from "./safetensors-writer.ts";
import type { ByteSource, StoredTensor } from "./source.ts";

/** A tensor as it lies in a file: little-endian, row-major. */
export interface SafeTensor {
  readonly dtype: Dtype;
  readonly shape: readonly number[];
  /** The bytes; after reading, a view into the file's bytes at whatever alignment the file has. */
  readonly data: Uint8Array;
}

/**
 * The tensors of a safetensors file, in the order of their data. Only the header is read.
 *
 * @throws UserError naming file and tensor if any rule of the format is broken
 */
export async function openSafetensors(source: ByteSource): Promise<Map<string, StoredTensor>> {
  const { name: file, size } = source;
  const prefix = await source.read(0, Math.min(PREFIX_BYTES, size));
  const start = await source.read(0, safetensorsDataStart(prefix, size, file));
  const { dataStart, tensors } = parseSafetensorsHeader(start, size, file);
  return new Map(
    Array.from(tensors, ([name, { dtype, shape, begin, end }]) => {
      const first = dataStart + begin;
      const readPart = (from: number, to: number) => source.read(first + from, first + to);
      return [name, { dtype, shape, readPart, read: () => readPart(0, end - begin) }];
    }),
  );
}

/**
 * The tensors of a safetensors file in memory, in the order of their data.
 *
 * @param bytes the whole file
 * @param file its name, for error messages
 * @throws UserError naming file and tensor if any rule of the format is broken
 */
export function readSafetensors(bytes: Uint8Array, file: string): Map<string, SafeTensor> {
  const { dataStart, tensors } = parseSafetensorsHeader(bytes, bytes.length, file);
  return new Map(
    Array.from(tensors, ([name, { dtype, shape, begin, end }]) => [
      name,
      { dtype, shape, data: bytes.subarray(dataStart + begin, dataStart + end) },
    ]),
  );
}

/**
 * A safetensors file of `tensors`. The same tensors and metadata give the same bytes whatever their
 * order in the map.
 */
export function writeSafetensors(
  tensors: ReadonlyMap<string, SafeTensor>,
  metadata?: Readonly<Record<string, string>>,
): Uint8Array {
  for (const [name, { dtype, shape, data }] of tensors) {
    if (elementCount(shape) * dtypeBytes(dtype) !== data.length) {
      throw new Error(`tensor ${name}: ${data.length} bytes are not ${dtype} of shape [${shape}]`);
    }
  }
  const { header, names, dataBytes } = layOutSafetensors(tensors, metadata);
  const file = new Uint8Array(header.length + dataBytes);
  file.set(header);
  let offset = header.length;
  for (const name of names) {
    const { data } = tensors.get(name)!;
    file.set(data, offset);
    offset += data.length;
  }
  return file;
}

/**
 * The values of an F32, F16 or BF16 tensor. F32 data that happens to be aligned is not copied: treat
 * the result as read-only.
 *
 * @throws UserError naming the tensor if its dtype is none of these
 */
export function toFloat32(tensor: SafeTensor, name: string): Float32Array {
  const { buffer, byteOffset, byteLength } = aligned(tensor.data, dtypeBytes(tensor.dtype));
  switch (tensor.dtype) {
    case "F32":
      return new Float32Array(buffer, byteOffset, byteLength / 4);
    case "F16":
      return float16ToFloat32(new Uint16Array(buffer, byteOffset, byteLength / 2));
    case "BF16":
      return bfloat16ToFloat32(new Uint16Array(buffer, byteOffset, byteLength / 2));
    default:
      throw new UserError(
        `tensor ${name} is ${tensor.dtype} where F32, F16 or BF16 is needed: convert the file first`,
      );
  }
}

/** The values of an F32, F16 or BF16 tensor in a file. @throws UserError as {@linkcode toFloat32} */
export async function readFloat32(tensor: StoredTensor, name: string): Promise<Float32Array> {
  return toFloat32({ dtype: tensor.dtype, shape: tensor.shape, data: await tensor.read() }, name);
}

/** The bit patterns of an F16 tensor in a file. */
export async function readFloat16(tensor: StoredTensor): Promise<Uint16Array> {
  const { buffer, byteOffset, byteLength } = aligned(await tensor.read(), dtypeBytes("F16"));
  return new Uint16Array(buffer, byteOffset, byteLength / 2);
}

/** The values of an I32 tensor, read-only as those of {@linkcode toFloat32}. */
export function toInt32(tensor: SafeTensor, name: string): Int32Array {
  if (tensor.dtype !== "I32") {
    throw new UserError(`tensor ${name} is ${tensor.dtype} where I32 is needed`);
  }
  const { buffer, byteOffset, byteLength } = aligned(tensor.data, 4);
  return new Int32Array(buffer, byteOffset, byteLength / 4);
}

/** A tensor to write, its `values` rounded to nearest if `dtype` is narrower than F32. */
export function fromFloat32(
  values: Float32Array,
  shape: readonly number[],
  dtype: "F32" | "F16" | "BF16" = "F32",
): SafeTensor {
  const stored = dtype === "F32"
    ? values
    : dtype === "F16"
    ? float32ToFloat16(values)
    : float32ToBfloat16(values);
  return { dtype, shape, data: bytesOf(stored) };
}

/** An I32 tensor to write. */
export function fromInt32(values: Int32Array, shape: readonly number[]): SafeTensor {
  return { dtype: "I32", shape, data: bytesOf(values) };
}

function bytesOf(array: ArrayBufferView): Uint8Array {
  return new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
}

/** `bytes` itself where a typed array of this element size can view it, otherwise a copy. */
function aligned(bytes: Uint8Array, elementBytes: number): Uint8Array {
  return bytes.byteOffset % elementBytes === 0 ? bytes : bytes.slice();
}
