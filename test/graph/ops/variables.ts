/**
 * Variables for tests of ops that overwrite them, and of ops that read weights stored as f16.
 */

import type { Gpu } from "../../../src/gpu/device.ts";
import { read } from "../../../src/graph/leaves.ts";
import type { HostArray } from "../../../src/graph/program.ts";
import type { DType, Shape, Tensor } from "../../../src/graph/tensor.ts";
import { createVariable, writeVariable } from "../../../src/graph/variables.ts";
import { float16ToFloat32, float32ToFloat16 } from "../../../src/io/half.ts";
import { dtypeOf } from "./check.ts";

/** The leaf of a new variable that holds `values`, of their type unless another is given. */
export function variable(
  gpu: Gpu,
  name: string,
  shape: Shape,
  values: HostArray,
  dtype: DType = dtypeOf(values),
): Tensor {
  const variable = createVariable(gpu, name, shape, dtype);
  writeVariable(gpu, variable, values);
  return read(variable);
}

/** The nearest values that f16 has. */
export function roundedToHalf(values: Float32Array): Float32Array {
  return float16ToFloat32(float32ToFloat16(values));
}
