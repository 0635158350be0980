/**
 * Making, filling and reading the memory that outlives runs.
 */

import { checked, type Gpu } from "../gpu/device.ts";
import { READBACK, STORAGE } from "../gpu/usage.ts";
import type { Variable } from "./leaves.ts";
import { align } from "./memory.ts";
import type { HostArray } from "./program.ts";
import { byteLength, type DType, type Shape } from "./tensor.ts";

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

/** Overwrites elements of a variable, from `offset` on. */
export function writeVariable(
  gpu: Gpu,
  variable: Variable,
  values: HostArray,
  offset = 0,
): void {
  const bytes = byteLength(variable);
  if (4 * offset + values.byteLength > bytes) {
    throw new Error(
      `"${variable.name}" [${
        variable.shape.join(", ")
      }] cannot take ${values.length} elements at ${offset}.`,
    );
  }
  gpu.device.queue.writeBuffer(
    variable.buffer,
    4 * offset,
    values.buffer as ArrayBuffer,
    values.byteOffset,
    values.byteLength,
  );
}

/** The values of variables, in one copy and one wait. */
export async function readVariables(
  gpu: Gpu,
  variables: readonly Variable[],
): Promise<HostArray[]> {
  const total = variables.reduce((sum, variable) => sum + variable.buffer.size, 0);
  if (total === 0) return [];
  const staging = await checked(gpu, "reading variables", () => {
    const buffer = gpu.device.createBuffer({ label: "readback", size: total, usage: READBACK });
    const encoder = gpu.device.createCommandEncoder();
    let offset = 0;
    for (const { buffer: source } of variables) {
      encoder.copyBufferToBuffer(source, 0, buffer, offset, source.size);
      offset += source.size;
    }
    gpu.device.queue.submit([encoder.finish()]);
    return buffer;
  });
  await staging.mapAsync(1); // GPUMapMode.READ
  const range = staging.getMappedRange();
  let offset = 0;
  const values = variables.map((variable) => {
    const start = offset;
    offset += variable.buffer.size;
    const bytes = range.slice(start, start + byteLength(variable));
    if (variable.dtype === "f32") return new Float32Array(bytes);
    return variable.dtype === "i32" ? new Int32Array(bytes) : new Uint32Array(bytes);
  });
  staging.destroy();
  gpu.assertHealthy("reading variables");
  return values;
}
