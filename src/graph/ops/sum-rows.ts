/**
 * Sums over rows, for gradients of whatever is shared by all rows.
 *
 * The order of the additions depends on the shape and on the kind of adapter alone: the same inputs give
 * the same bits.
 */

import source from "../../../shaders/sum-rows.wgsl" with { type: "text" };
import type { Gpu } from "../../gpu/device.ts";
import { linearGrid } from "../dispatch.ts";
import { widen, widthOf } from "../element.ts";
import { withLanes } from "../lanes.ts";
import {
  apply,
  type Dispatch,
  matrixShape,
  type Op,
  type Scratch,
  ShapeError,
  type Tensor,
} from "../tensor.ts";
import { broadcastRows } from "./broadcast-rows.ts";

const shader = { name: "sum-rows", source };

/** Elements of a row that a workgroup sums: COLUMNS of the shader. */
const GROUP_COLUMNS = 2;

/** Rows that one workgroup sums in no more time than another dispatch would take. */
const GROUP_ROWS = { cpu: 16384, gpu: 8192 };

/** How rows are cut into slices. */
export interface Slices {
  readonly slices: number;
  /** Rows per slice; the last slice may have fewer. */
  readonly sliceRows: number;
}

const sumRowsOp: Op<null> = {
  name: "sum rows",
  shape([x]) {
    if (x.dtype !== "f32" || x.shape.length < 1) {
      throw new ShapeError("sumRows", "needs f32 with at least one axis", [x]);
    }
    return [{ shape: x.shape.slice(-1), dtype: "f32" }];
  },
  gradient: ({ inputs: [x] }, [dy]) => [broadcastRows(dy!, x.shape.slice(0, -1))],
  kernel: ({ inputs: [x], outputs: [sums] }, gpu) => {
    return sumRowsDispatches(x, { instances: 1, ...matrixShape(x) }, sums, gpu);
  },
};

const sumInstanceRowsOp: Op<null> = {
  name: "sum instance rows",
  shape([x]) {
    if (x.dtype !== "f32" || x.shape.length !== 3) {
      throw new ShapeError("sumInstanceRows", "needs f32 [instances, rows, columns]", [x]);
    }
    return [{ shape: [x.shape[0], x.shape[2]], dtype: "f32" }];
  },
  kernel: ({ inputs: [x], outputs: [sums] }, gpu) => {
    const [instances, rows, columns] = x.shape;
    return sumRowsDispatches(x, { instances, rows, columns }, sums, gpu);
  },
};

/** x [..., N] → [N]: the sum over all leading axes. */
export function sumRows(x: Tensor): Tensor {
  return apply(sumRowsOp, [x], null);
}

/** x [B, T, N] → [B, N]: the sum over the rows of each instance. */
export function sumInstanceRows(x: Tensor): Tensor {
  return apply(sumInstanceRowsOp, [x], null);
}

/** The dispatches that write the column sums of `values` [instances, rows, columns] to `sums` [instances, columns]. */
export function sumRowsDispatches(
  values: Tensor | Scratch,
  { instances, rows, columns }: { instances: number; rows: number; columns: number },
  sums: Tensor,
  gpu: Gpu,
): Dispatch[] {
  const width = widthOf(columns);
  const elements = columns / width;
  const limit = gpu.isCpu ? GROUP_ROWS.cpu : GROUP_ROWS.gpu;
  const sliceRows = rows > limit ? limit / 8 : rows;
  const slices = Math.ceil(rows / sliceRows);
  const target = slices === 1 ? sums : { scratchBytes: 4 * instances * slices * columns };
  const dispatch: Dispatch = {
    shader: withLanes(widen(shader, width), gpu),
    uniforms: { instances, rows, columns: elements, slices, slice_rows: sliceRows },
    bindings: { values, sums: target },
    workgroups: linearGrid(instances * slices * Math.ceil(elements / GROUP_COLUMNS), 1),
    flops: instances * rows * columns,
  };
  if (slices === 1) return [dispatch];
  return [dispatch, ...sumRowsDispatches(target, { instances, rows: slices, columns }, sums, gpu)];
}

/**
 * For kernels with one invocation per element of a slice: slices long enough to be worth another dispatch, and short enough for the adapter.
 *
 * A CPU adapter walks down one slice after another: a short one leaves the rows, on which the next
 * neighbours go on, in the cache. A GPU runs tens of thousands of invocations at once, and waits for every
 * step of a long one.
 *
 * @param elements invocations per slice
 */
export function sliceRowsFor(rows: number, elements: number, isCpu: boolean): Slices {
  const work = rows * elements;
  const sliceRows = isCpu ? 16 : Math.max(32, Math.ceil(work / 65536));
  if (rows < 64 || (isCpu && work <= 16384)) return { slices: 1, sliceRows: rows };
  return { slices: Math.ceil(rows / sliceRows), sliceRows };
}
