import source from "../../../shaders/rms-norm.wgsl" with { type: "text" };
import scaleGradientSource from "../../../shaders/rms-norm-scale-gradient.wgsl" with {
  type: "text",
};
import type { Gpu } from "../../gpu/device.ts";
import { linearGrid, WORKGROUP_SIZE } from "../dispatch.ts";
import { widen, widthOf } from "../element.ts";
import {
  apply,
  applyAll,
  type Dispatch,
  matrixShape,
  type Op,
  type Scratch,
  ShapeError,
  size,
  type Tensor,
} from "../tensor.ts";
import { addOp } from "./add.ts";
import { type DropoutMask, dropoutOp, dropoutUniforms } from "./dropout.ts";
import { sliceRowsFor, sumRowsDispatches } from "./sum-rows.ts";

const shader = { name: "rms-norm", source };
const scaleGradientShader = { name: "rms-norm-scale-gradient", source: scaleGradientSource };

interface Attributes {
  readonly epsilon: number;
  readonly dropout?: DropoutMask;
}

/**
 * Inputs: x, scale and, where a dropout was absorbed, its seed. Outputs: the normalized x, and 1 / rms of
 * every row, kept for the gradient.
 */
const rmsNormOp: Op<Attributes> = {
  name: "rms norm",
  shape([x, scale]) {
    const fits = scale.shape.length === 1 && scale.shape[0] === x.shape.at(-1);
    if (!fits || x.dtype !== "f32" || scale.dtype !== "f32") {
      throw new ShapeError("rmsNorm", "needs f32 [..., D] and a scale f32 [D]", [x, scale]);
    }
    return [{ shape: x.shape, dtype: "f32" }, { shape: x.shape.slice(0, -1), dtype: "f32" }];
  },
  gradient({ inputs: [x, scale], outputs: [, rstd] }, [dy], needed) {
    return [
      needed[0] ? apply(inputGradientOp, [x, scale, rstd, dy!], {}) : undefined,
      needed[1] ? apply(scaleGradientOp, [x, rstd, dy!], null) : undefined,
    ];
  },
  kernel({ inputs: [x, scale, seed], outputs: [normalized, rstd], attributes }, gpu) {
    const result = seed ? { seed, dropped: normalized } : { normalized };
    return [rowsDispatch("forward", x, attributes, gpu, { x, scale, ...result, rstd })];
  },
  absorb({ inputs, attributes }, { op, inputs: [, seed, ...sum], attributes: dropout }) {
    if (!dropsInPlace(op, sum, inputs[0]) || attributes.dropout) return undefined;
    return applyAll(rmsNormOp, [...inputs, seed], { ...attributes, dropout })[0].node;
  },
};

interface InputGradientAttributes {
  readonly residual?: boolean;
  readonly dropout?: DropoutMask;
}

/**
 * Inputs: x, scale, 1 / rms, the adjoint and, where they were taken in, the other summand of an addition and
 * the seed of a dropout. Outputs: the gradient (and sum), and the same after dropout.
 */
const inputGradientOp: Op<InputGradientAttributes> = {
  name: "rms norm input gradient",
  shape: ([{ shape }], { dropout }) => Array(dropout ? 2 : 1).fill({ shape, dtype: "f32" }),
  kernel({ inputs, outputs: [input_gradient, dropped], attributes }, gpu) {
    const [x, scale, forward_rstd, gradient, ...others] = inputs;
    const residual = attributes.residual ? others.shift() : undefined;
    const [seed] = others;
    const bindings = {
      x,
      scale,
      forward_rstd,
      gradient,
      input_gradient,
      ...(residual && { residual }),
      ...(dropped && { seed, dropped }),
    };
    return [rowsDispatch("backward_input", x, attributes, gpu, bindings)];
  },
  absorb({ inputs, outputs: [dx], attributes }, consumer) {
    if (consumer.op !== addOp || attributes.residual || attributes.dropout) return undefined;
    const other = consumer.inputs.find((tensor) => tensor !== dx);
    return other && apply(inputGradientOp, [...inputs, other], { residual: true }).node;
  },
  accompany({ inputs, attributes }, { op, inputs: [, seed, ...sum], attributes: dropout }) {
    if (!dropsInPlace(op, sum, inputs[0]) || attributes.dropout) return undefined;
    return applyAll(inputGradientOp, [...inputs, seed], { ...attributes, dropout })[0].node;
  },
};

/** Whether an op is a dropout, with nothing added, that the kernel of the rows of `x` can do. */
function dropsInPlace(op: unknown, sum: readonly Tensor[], x: Tensor): boolean {
  return op === dropoutOp && sum.length === 0 && widthOf(x.shape.at(-1)!) === 4;
}

const scaleGradientOp: Op<null> = {
  name: "rms norm scale gradient",
  shape: ([x]) => [{ shape: x.shape.slice(-1), dtype: "f32" }],
  kernel({ inputs: [x, rstd, gradient], outputs: [result] }, gpu) {
    const { rows, columns } = matrixShape(x);
    const width = widthOf(columns);
    const elements = columns / width;
    const { slices, sliceRows } = sliceRowsFor(rows, elements, gpu.isCpu);
    const sums = slices === 1 ? result : { scratchBytes: 4 * slices * columns };
    const products: Dispatch = {
      shader: widen(scaleGradientShader, width),
      uniforms: { rows, columns: elements, slices, slice_rows: sliceRows },
      bindings: { x, gradient, rstd, sums },
      workgroups: linearGrid(slices * elements),
      flops: 3 * rows * columns,
    };
    if (slices === 1) return [products];
    return [
      products,
      ...sumRowsDispatches(
        [{ values: sums, columns, sums: result }],
        { instances: 1, rows: slices },
        gpu,
      ),
    ];
  },
};

/**
 * Root mean square norm (Zhang & Sennrich 2019): x / sqrt(mean(x²) + epsilon) · scale, without a mean
 * subtraction or a bias, as in T5.
 *
 * @param x [..., D]
 * @param scale [D]
 * @returns [..., D]
 */
export function rmsNorm(x: Tensor, scale: Tensor, epsilon = 1e-6): Tensor {
  return applyAll(rmsNormOp, [x, scale], { epsilon })[0];
}

/** The dispatch that computes the norm, for ops that begin with one. */
export function normDispatch(
  x: Tensor,
  scale: Tensor,
  results: Readonly<Record<"normalized" | "rstd", Tensor | Scratch>>,
  epsilon: number,
  gpu: Gpu,
): Dispatch {
  return rowsDispatch("forward", x, { epsilon }, gpu, { x, scale, ...results });
}

/** Invocations that share a row of `elements` elements: a power of two, at most a workgroup. */
export function lanesFor(elements: number, isCpu: boolean): number {
  return isCpu ? 1 : Math.min(WORKGROUP_SIZE, 2 ** Math.ceil(Math.log2(elements)));
}

function rowsDispatch(
  entry: string,
  x: Tensor,
  { epsilon = 0, dropout }: { readonly epsilon?: number; readonly dropout?: DropoutMask },
  gpu: Gpu,
  bindings: Readonly<Record<string, Tensor | Scratch>>,
): Dispatch {
  const { rows, columns } = matrixShape(x);
  const width = widthOf(columns);
  const lanes = lanesFor(columns / width, gpu.isCpu);
  return {
    shader: widen(shader, width),
    entry,
    constants: {
      lanes,
      ...(bindings.residual && { has_residual: 1 }),
      ...(bindings.dropped && { has_dropout: 1 }),
    },
    uniforms: { rows, columns: columns / width, epsilon, ...dropoutUniforms(dropout) },
    bindings,
    workgroups: linearGrid(rows * lanes),
    flops: (entry === "forward" ? 4 : 8) * size(x.shape),
  };
}
