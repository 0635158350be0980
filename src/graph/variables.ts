/**
 * Making, filling and reading the memory that outlives runs.
 *
 * The host computes in f32: what is stored as f16 is rounded here on its way in and widened on its way
 * out.
 */

import { UserError } from "../errors.ts";
import { checked, type Gpu } from "../gpu/device.ts";
import { READBACK, STORAGE } from "../gpu/usage.ts";
import { float16ToFloat32, float32ToFloat16 } from "../io/half.ts";
import type { Variable } from "./leaves.ts";
import { align } from "./memory.ts";
import type { HostArray } from "./program.ts";
import { byteLength, type DType, elementBytes, type Shape, size } from "./tensor.ts";

/** A new variable, all zeros. Throws a `UserError`-like GPU error where memory is short. */
export function createVariable(
  gpu: Gpu,
  name: string,
  shape: Shape,
  dtype: DType = "f32",
): Variable {
  const bytes = align(byteLength({ shape, dtype }));
  const limit = gpu.limits.maxStorageBufferBindingSize;
  if (bytes > limit) {
    throw new Error(
      `The tensor "${name}" [${shape.join(", ")}] has ${bytes} bytes; ` +
        `${gpu.adapterName} binds at most ${limit} at once.`,
    );
  }
  const buffer = gpu.device.createBuffer({ label: name, size: bytes, usage: STORAGE });
  return { name, shape, dtype, buffer };
}

/**
 * Overwrites elements of a variable, from `offset` on.
 *
 * @param values of the variable's type; for f16 either its bit patterns or floats, which are rounded to
 * nearest, ties to even
 * @param offset in elements; f16 is written in pairs, but for an odd one at the variable's end
 * @throws {UserError} naming the variable where a float is beyond f16's range
 */
export function writeVariable(
  gpu: Gpu,
  variable: Variable,
  values: HostArray | Uint16Array,
  offset = 0,
): void {
  const { name, shape, dtype, buffer } = variable;
  const stored = dtype === "f16" && values instanceof Float32Array
    ? roundToHalf(name, values)
    : values;
  const bytes = elementBytes(dtype);
  const end = offset + stored.length, total = size(shape);
  const inWords = bytes * offset % 4 === 0 && (bytes * end % 4 === 0 || end === total);
  if (stored.BYTES_PER_ELEMENT !== bytes || end > total || !inWords) {
    throw new Error(
      `"${name}" ${dtype}[${shape.join(", ")}] cannot take ${values.length} elements of ` +
        `${values.BYTES_PER_ELEMENT} bytes at ${offset}.`,
    );
  }
  const words = wholeWords(stored);
  gpu.device.queue.writeBuffer(
    buffer,
    bytes * offset,
    words.buffer as ArrayBuffer,
    words.byteOffset,
    words.byteLength,
  );
}

/**
 * Bit patterns of the nearest f16, ties to even.
 *
 * @throws {UserError} with the name that is given here where a float is beyond f16's range
 */
export function roundToHalf(name: string, values: Float32Array): Uint16Array {
  const bits = float32ToFloat16(values);
  const infinite = Math.max(bits.indexOf(0x7c00), bits.indexOf(0xfc00));
  if (infinite >= 0) {
    throw new UserError(
      `"${name}" has the value ${values[infinite]}, and f16 ends at ±65504; store it as f32.`,
    );
  }
  return bits;
}

/** With a zero after an odd number of halves: WebGPU copies multiples of four bytes. */
export function wholeWords<T extends HostArray>(values: T | Uint16Array): T | Uint16Array {
  if (values.byteLength % 4 === 0) return values;
  const padded = new Uint16Array(values.length + 1);
  padded.set(values);
  return padded;
}

/** Elements of a variable. */
export interface VariableRange {
  readonly variable: Variable;
  /** In elements; in f16 an even one. */
  readonly offset: number;
  readonly length: number;
}

/** The values of variables, in one copy and one wait; those of f16 as f32. */
export function readVariables(gpu: Gpu, variables: readonly Variable[]): Promise<HostArray[]> {
  const whole = (variable: Variable) => ({ variable, offset: 0, length: size(variable.shape) });
  return readRanges(gpu, variables.map(whole));
}

/** The values of parts of variables, in one copy and one wait; those of f16 as f32. */
export async function readRanges(
  gpu: Gpu,
  ranges: readonly VariableRange[],
): Promise<HostArray[]> {
  let total = 0;
  const copies = ranges.map(({ variable: { dtype, buffer }, offset, length }) => {
    const bytes = elementBytes(dtype) * length, start = total;
    total += align(bytes);
    return { dtype, buffer, from: elementBytes(dtype) * offset, start, bytes };
  });
  if (total === 0) return [];
  const staging = await checked(gpu, "reading variables", () => {
    const buffer = gpu.device.createBuffer({ label: "readback", size: total, usage: READBACK });
    const encoder = gpu.device.createCommandEncoder();
    for (const { buffer: source, from, start, bytes } of copies) {
      encoder.copyBufferToBuffer(source, from, buffer, start, Math.ceil(bytes / 4) * 4);
    }
    gpu.device.queue.submit([encoder.finish()]);
    return buffer;
  });
  await staging.mapAsync(1); // GPUMapMode.READ
  const range = staging.getMappedRange();
  const values = copies.map(({ dtype, start, bytes }) => {
    const copied = range.slice(start, start + bytes);
    switch (dtype) {
      case "f32":
        return new Float32Array(copied);
      case "f16":
        return float16ToFloat32(new Uint16Array(copied));
      case "i32":
        return new Int32Array(copied);
      case "u32":
        return new Uint32Array(copied);
    }
  });
  staging.destroy();
  gpu.assertHealthy("reading variables");
  return values;
}
