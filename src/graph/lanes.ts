/**
 * How many invocations share the work on one row, where a kernel gives each row a workgroup.
 */

import type { Gpu } from "../gpu/device.ts";
import type { Shader } from "./tensor.ts";

/** On a GPU: enough to hide the latency of memory; the least of the largest workgroups is 256. */
const GPU_LANES = 256;

/** On a CPU adapter: about its SIMD width, where barriers cost little. */
const CPU_LANES = 8;

/**
 * The shader with the workgroup size that suits the adapter, in place of its line `const LANES = 64u;`.
 * In the text, because the length of a workgroup's array must not be an override everywhere.
 */
export function withLanes({ name, source }: Shader, { isCpu }: Gpu): Shader {
  const lanes = isCpu ? CPU_LANES : GPU_LANES;
  return {
    name: `${name}-${lanes}`,
    source: source.replace("const LANES = 64u;", `const LANES = ${lanes}u;`),
  };
}
