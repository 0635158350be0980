/**
 * The one copying kernel, for windows and gatherings that cannot share memory.
 */

import source from "../../../shaders/copy.wgsl" with { type: "text" };
import { linearGrid } from "../dispatch.ts";
import type { Dispatch, Tensor } from "../tensor.ts";

/** Copies `count` elements between tensors of any dtype, from and to element offsets. */
export function copyDispatch(
  from: Tensor,
  to: Tensor,
  count: number,
  { sourceOffset = 0, resultOffset = 0 } = {},
): Dispatch {
  return {
    shader: { name: "copy", source },
    uniforms: { count, source_offset: sourceOffset, result_offset: resultOffset },
    bindings: { source: from, result: to },
    workgroups: linearGrid(count),
  };
}
