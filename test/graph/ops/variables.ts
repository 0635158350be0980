/**
 * Variables for tests of ops that overwrite them.
 */

import type { Gpu } from "../../../src/gpu/device.ts";
import { STORAGE } from "../../../src/gpu/usage.ts";
import { read } from "../../../src/graph/leaves.ts";
import type { HostArray } from "../../../src/graph/program.ts";
import type { Shape, Tensor } from "../../../src/graph/tensor.ts";

/** The leaf of a new variable that holds `values`. */
export function variable(gpu: Gpu, name: string, shape: Shape, values: HostArray): Tensor {
  const size = Math.ceil(values.byteLength / 256) * 256;
  const buffer = gpu.device.createBuffer({ label: name, size, usage: STORAGE });
  gpu.device.queue.writeBuffer(buffer, 0, values as BufferSource);
  const dtype = values instanceof Float32Array
    ? "f32"
    : values instanceof Int32Array
    ? "i32"
    : "u32";
  return read({ name, shape, dtype, buffer });
}
