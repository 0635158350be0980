/**
 * Linear layers of a matrix in slices, forward and back to their input, a product for each slice.
 *
 * The products work on columns of a common tensor in place, so nothing is copied; only the last sums of the
 * way back are of several products, one after the other.
 */

import {
  apply,
  isFloat,
  matrixShape,
  type Op,
  ShapeError,
  type Tensor,
  type TensorType,
} from "../tensor.ts";
import { matmulDispatches } from "./matmul-choice.ts";
import { layoutOf, type MatmulProblem } from "./matmul-problem.ts";

/** Inputs: x [..., depth], and the slices [·, depth] of the weight. */
const slicedLinearOp: Op<null> = {
  name: "sliced linear",
  halfInputs: "all",
  shape: (inputs) => {
    const [x, ...weights] = inputs;
    return [{ shape: [...x.shape.slice(0, -1), rowsOf(weights, x, inputs)], dtype: "f32" }];
  },
  kernel({ inputs: [x, ...weights], outputs: [result] }, gpu) {
    const { rows: m, columns: k } = matrixShape(x);
    const { columns } = matrixShape(result);
    let first = 0;
    return weights.flatMap((weight) => {
      const [n] = weight.shape;
      const problem = plain(m, n, k, true);
      const layout = { ...layoutOf(problem), resultRowStride: columns, resultOffset: first };
      first += n;
      return matmulDispatches({ ...problem, layout }, { a: x, b: weight, result }, gpu);
    });
  },
};

/** Inputs: the adjoint [..., rows of the weight] of such a layer, and the slices. */
const slicedLinearGradientOp: Op<null> = {
  name: "sliced linear gradient",
  halfInputs: "all",
  shape(inputs) {
    const [adjoint, ...weights] = inputs;
    const [first] = weights;
    const rows = rowsOf(weights, first, inputs);
    if (adjoint.shape.at(-1) !== rows) {
      throw new ShapeError("slicedLinearGradient", `the adjoint must be [..., ${rows}]`, inputs);
    }
    return [{ shape: [...adjoint.shape.slice(0, -1), first.shape[1]], dtype: "f32" }];
  },
  kernel({ inputs: [adjoint, ...weights], outputs: [result] }, gpu) {
    const { rows: m, columns } = matrixShape(adjoint);
    const { columns: n } = matrixShape(result);
    let first = 0;
    return weights.flatMap((weight, i) => {
      const [k] = weight.shape;
      const problem = plain(m, n, k, false);
      const layout = { ...layoutOf(problem), aRowStride: columns, aOffset: first };
      first += k;
      const epilogue = { accumulate: i > 0 };
      return matmulDispatches(
        { ...problem, layout, epilogue },
        { a: adjoint, b: weight, result },
        gpu,
      );
    });
  },
};

function plain(m: number, n: number, k: number, transposeB: boolean): MatmulProblem {
  return { batch: 1, m, n, k, transposeA: false, transposeB, aStride: 0, bStride: 0 };
}

/** Rows of the weight; a `ShapeError` where something does not fit. */
function rowsOf(
  weights: readonly Tensor[],
  like: TensorType,
  inputs: readonly Tensor[],
): number {
  const depth = like.shape.at(-1);
  const fit = weights.every(({ shape }) => shape.length === 2 && shape[1] === depth);
  if (inputs[0].dtype !== "f32" || !weights.every(isFloat) || !fit) {
    throw new ShapeError("slicedLinear", "it needs f32 and slices of a weight", inputs);
  }
  return weights.reduce((sum, { shape }) => sum + shape[0], 0);
}

/** x · weightᵀ of a weight [rows, depth] in slices. */
export function slicedLinear(x: Tensor, weights: readonly Tensor[]): Tensor {
  return apply(slicedLinearOp, [x, ...weights], null);
}

/** The adjoint of x, from that of `slicedLinear`'s result. */
export function slicedLinearGradient(adjoint: Tensor, weights: readonly Tensor[]): Tensor {
  return apply(slicedLinearGradientOp, [adjoint, ...weights], null);
}
