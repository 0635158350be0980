/**
 * How many invocations share the work on one row, where a kernel gives each row a workgroup.
 */

import type { Gpu } from "../gpu/device.ts";
import { withConstants } from "./constants.ts";
import type { Shader } from "./tensor.ts";

/** On a GPU: enough to hide the latency of memory; the least of the largest workgroups is 256. */
const GPU_LANES = 256;

/** On a CPU adapter: about its SIMD width, where barriers cost little. */
const CPU_LANES = 8;

/** The shader with the workgroup size that suits the adapter as its constant LANES. */
export function withLanes(shader: Shader, { isCpu }: Gpu): Shader {
  return withConstants(shader, { LANES: isCpu ? CPU_LANES : GPU_LANES });
}
