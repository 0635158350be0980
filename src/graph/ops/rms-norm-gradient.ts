/**
 * The gradients of an RMS norm, with respect to its input and to its scale.
 */

import source from "../../../shaders/rms-norm-scale-gradient.wgsl" with { type: "text" };
import { linearGrid } from "../dispatch.ts";
import { widen, widthOf } from "../element.ts";
import { apply, applyAll, type Dispatch, matrixShape, type Op, type Tensor } from "../tensor.ts";
import { addOp } from "./add.ts";
import { type DropoutMask, dropoutOp } from "./dropout.ts";
import { normGradientDispatch } from "./rms-norm-kernel.ts";
import { sliceRowsFor, sumRowsDispatches } from "./sum-rows.ts";

const shader = { name: "rms-norm-scale-gradient", source };

/** What the gradient of a norm with respect to its input takes in. */
export interface NormGradient {
  readonly x: Tensor;
  readonly scale: Tensor;
  readonly rstd: Tensor;
  readonly residual: Tensor | undefined;
  readonly seed: Tensor | undefined;
  readonly dropout: DropoutMask | undefined;
}

interface InputGradientAttributes {
  readonly residual?: boolean;
  readonly dropout?: DropoutMask;
}

/**
 * Inputs: x, scale, 1 / rms, the adjoint and, where they were taken in, the other summand of an addition and
 * the seed of a dropout. Outputs: the gradient (and sum), and the same after dropout.
 */
export const normInputGradientOp: Op<InputGradientAttributes> = {
  name: "rms norm input gradient",
  shape: ([{ shape }], { dropout }) => Array(dropout ? 2 : 1).fill({ shape, dtype: "f32" }),
  kernel({ inputs, outputs: [result, dropped], attributes }, gpu) {
    const { x, scale, rstd, residual, seed } = normGradientOperands(inputs, attributes);
    const optional = { ...(residual && { residual }), ...(seed && { seed, dropped }) };
    const tensors = { x, scale, rstd, gradient: inputs[3], result, ...optional };
    return [normGradientDispatch(tensors, attributes.dropout, gpu)];
  },
  absorb({ inputs, outputs: [dx], attributes }, consumer) {
    if (consumer.op !== addOp || attributes.residual || attributes.dropout) return undefined;
    const other = consumer.inputs.find((tensor) => tensor !== dx);
    return other && apply(normInputGradientOp, [...inputs, other], { residual: true }).node;
  },
  accompany({ inputs, attributes }, { op, inputs: [, seed, ...sum], attributes: dropout }) {
    if (!dropsInPlace(op, sum, inputs[0]) || attributes.dropout) return undefined;
    return applyAll(normInputGradientOp, [...inputs, seed], { ...attributes, dropout })[0].node;
  },
};

/** What a node of `normInputGradientOp` has besides the adjoint, its fourth input. */
export function normGradientOperands(
  [x, scale, rstd, , ...others]: readonly Tensor[],
  attributes: InputGradientAttributes,
): NormGradient {
  const residual = attributes.residual ? others.shift() : undefined;
  const [seed] = others;
  return { x, scale, rstd, residual, seed, dropout: attributes.dropout };
}

/** Whether an op is a dropout, with nothing added, that the kernel of the rows of `x` can do. */
export function dropsInPlace(op: unknown, sum: readonly Tensor[], x: Tensor): boolean {
  return op === dropoutOp && sum.length === 0 && widthOf(x.shape.at(-1)!) === 4;
}

/** Inputs: x, 1 / rms, the adjoint. */
export const normScaleGradientOp: Op<null> = {
  name: "rms norm scale gradient",
  shape: ([x]) => [{ shape: x.shape.slice(-1), dtype: "f32" }],
  kernel({ inputs: [x, rstd, gradient], outputs: [result] }, gpu) {
    const { rows, columns } = matrixShape(x);
    const width = widthOf(columns);
    const elements = columns / width;
    const { slices, sliceRows } = sliceRowsFor(rows, elements, gpu.isCpu);
    const sums = slices === 1 ? result : { scratchBytes: 4 * slices * columns };
    const products: Dispatch = {
      shader: widen(shader, width),
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
