/**
 * Helpers with which ops describe their dispatches.
 */

import { size, type Tensor } from "./tensor.ts";

/** Invocations per workgroup of the kernels that handle one element (or row) per invocation. */
export const WORKGROUP_SIZE = 64;

/** The largest number of workgroups in one dimension that every adapter allows. */
const MAX_WORKGROUPS = 65535;

/**
 * Workgroups for `invocations` independent invocations, folded into x and y where x alone would be too
 * long. In the shader: `index = id.y * (workgroups.x * WORKGROUP_SIZE) + id.x`, then a bounds check.
 */
export function linearGrid(
  invocations: number,
  workgroupSize = WORKGROUP_SIZE,
): [number, number, number] {
  const groups = Math.max(1, Math.ceil(invocations / workgroupSize));
  const y = Math.ceil(groups / MAX_WORKGROUPS);
  return [Math.ceil(groups / y), y, 1];
}

/** Workgroups for a kernel with one invocation per element of a tensor, `width` elements each. */
export function elementGrid(tensor: Tensor, width = 1): [number, number, number] {
  return linearGrid(Math.ceil(size(tensor.shape) / width));
}
