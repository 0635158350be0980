/**
 * Sums over rows, for gradients of whatever is shared by all rows.
 *
 * A long sum is cut into slices that are added in turn, in an order that depends on the shape and on the
 * kind of adapter alone: the same inputs give the same bits.
 */

import source from "../../../shaders/sum-rows.wgsl" with { type: "text" };
import type { Gpu } from "../../gpu/device.ts";
import { linearGrid } from "../dispatch.ts";
import { widen, widthOf } from "../element.ts";
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

/** How rows are cut into slices, each summed by one invocation per element of a row. */
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
    const { rows, columns } = matrixShape(x);
    return sumRowsDispatches(x, rows, columns, sums, gpu);
  },
};

/** x [..., N] → [N]: the sum over all leading axes. */
export function sumRows(x: Tensor): Tensor {
  return apply(sumRowsOp, [x], null);
}

/** The dispatches that write the column sums of `values` [rows, columns] to `sums` [columns]. */
export function sumRowsDispatches(
  values: Tensor | Scratch,
  rows: number,
  columns: number,
  sums: Tensor,
  gpu: Gpu,
): Dispatch[] {
  const width = widthOf(columns);
  const elements = columns / width;
  const { slices, sliceRows } = sliceRowsFor(rows, elements, gpu.isCpu);
  const target = slices === 1 ? sums : { scratchBytes: 4 * slices * columns };
  const dispatch: Dispatch = {
    shader: widen(shader, width),
    uniforms: { rows, columns: elements, slices, slice_rows: sliceRows },
    bindings: { values, sums: target },
    workgroups: linearGrid(slices * elements),
    flops: rows * columns,
  };
  if (slices === 1) return [dispatch];
  return [dispatch, ...sumRowsDispatches(target, slices, columns, sums, gpu)];
}

/**
 * Slices long enough to be worth another dispatch, and short enough for the adapter.
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
