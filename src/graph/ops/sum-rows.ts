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
  applyAll,
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
  kernel: ({ inputs: [values], outputs: [sums] }, gpu) => {
    const { rows, columns } = matrixShape(values);
    return sumRowsDispatches([{ values, columns, sums }], { instances: 1, rows }, gpu);
  },
};

const sumInstanceRowsOp: Op<null> = {
  name: "sum instance rows",
  shape(inputs) {
    const [instances, rows] = inputs[0].shape;
    const fits = ({ shape, dtype }: Tensor) =>
      dtype === "f32" && shape.length === 3 && shape[0] === instances && shape[1] === rows;
    if (!inputs.every(fits)) {
      const message = "needs f32 [instances, rows, columns], the same of both but for the columns";
      throw new ShapeError("sumInstanceRows", message, inputs);
    }
    return inputs.map(({ shape }) => ({ shape: [instances, shape[2]], dtype: "f32" }));
  },
  kernel: ({ inputs, outputs }, gpu) => {
    const [instances, rows] = inputs[0].shape;
    const sums = inputs.map((values, i) => ({
      values,
      columns: values.shape[2],
      sums: outputs[i],
    }));
    return sumRowsDispatches(sums, { instances, rows }, gpu);
  },
};

/** x [..., N] → [N]: the sum over all leading axes. */
export function sumRows(x: Tensor): Tensor {
  return apply(sumRowsOp, [x], null);
}

/** x [B, T, N], y [B, T, M] → [B, N], [B, M]: the sums over the rows of each instance, in one dispatch. */
export function sumInstanceRows(x: Tensor, y: Tensor): [Tensor, Tensor] {
  const [xSums, ySums] = applyAll(sumInstanceRowsOp, [x, y], null);
  return [xSums, ySums];
}

/** Rows to be summed: `values` [instances, rows, columns], `sums` [instances, columns]. */
interface Sum {
  readonly values: Tensor | Scratch;
  readonly columns: number;
  readonly sums: Tensor;
}

/** The dispatches that write the column sums of one tensor, or of two. */
export function sumRowsDispatches(
  sums: readonly Sum[],
  { instances, rows }: { instances: number; rows: number },
  gpu: Gpu,
): Dispatch[] {
  const width = sums.some(({ columns }) => widthOf(columns) === 1) ? 1 : 4;
  const elements = sums.map(({ columns }) => columns / width);
  const limit = gpu.isCpu ? GROUP_ROWS.cpu : GROUP_ROWS.gpu;
  const sliceRows = rows > limit ? limit / 8 : rows;
  const slices = Math.ceil(rows / sliceRows);
  const targets = sums.map(({ columns, sums }) =>
    slices === 1 ? sums : { scratchBytes: 4 * instances * slices * columns }
  );
  const groups = total(elements.map((count) => Math.ceil(count / GROUP_COLUMNS)));
  const [first, other] = sums;
  const dispatch: Dispatch = {
    shader: withLanes(widen(shader, width), gpu),
    uniforms: {
      instances,
      rows,
      columns: elements[0],
      other_columns: elements[1] ?? 0,
      slices,
      slice_rows: sliceRows,
    },
    bindings: {
      values: first.values,
      sums: targets[0],
      ...(other && { other_values: other.values, other_sums: targets[1] }),
    },
    workgroups: linearGrid(instances * slices * groups, 1),
    flops: instances * rows * total(sums.map(({ columns }) => columns)),
  };
  if (slices === 1) return [dispatch];
  const rest = sums.map((sum, i) => ({ ...sum, values: targets[i] }));
  return [dispatch, ...sumRowsDispatches(rest, { instances, rows: slices }, gpu)];
}

function total(counts: readonly number[]): number {
  return counts.reduce((sum, count) => sum + count, 0);
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
