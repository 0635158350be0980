/**
 * The one copying kernel, for windows and gatherings that cannot share memory.
 */

import source from "../../../shaders/copy.wgsl" with { type: "text" };
import { linearGrid } from "../dispatch.ts";
import type { Dispatch, Tensor } from "../tensor.ts";

/** Copies `count` elements between tensors of one dtype, from and to element offsets. */
export function copyDispatch(
  from: Tensor,
  to: Tensor,
  count: number,
  { sourceOffset = 0, resultOffset = 0 } = {},
): Dispatch {
  return {
    shader: { name: "copy", source },
    entry: to.dtype === "f16" ? "halves" : "words",
    uniforms: { count, source_offset: sourceOffset, result_offset: resultOffset },
    bindings: { source: from, result: to },
    // One invocation a word; halves at an odd offset touch one word more than they fill.
    workgroups: linearGrid(to.dtype === "f16" ? Math.floor(count / 2) + 1 : count),
  };
}
