/**
 * Variables for tests of ops that overwrite them.
 */

import type { Gpu } from "../../../src/gpu/device.ts";
import { read } from "../../../src/graph/leaves.ts";
import type { HostArray } from "../../../src/graph/program.ts";
import type { Shape, Tensor } from "../../../src/graph/tensor.ts";
import { createVariable, writeVariable } from "../../../src/graph/variables.ts";

/** The leaf of a new variable that holds `values`. */
export function variable(gpu: Gpu, name: string, shape: Shape, values: HostArray): Tensor {
  const dtype = values instanceof Float32Array
    ? "f32"
    : values instanceof Int32Array
    ? "i32"
    : "u32";
  const variable = createVariable(gpu, name, shape, dtype);
  writeVariable(gpu, variable, values);
  return read(variable);
}
