/**
 * Linear layers of a step of decoding: few rows, so that reading the weights and starting dispatches is
 * what costs. The norm before them, the gate or the residual after them, and layers that read the same x
 * are one dispatch.
 *
 * More rows than the kernels are for, and widths that are no multiples of four, go to the norm's and the
 * products' own kernels.
 */

import subgroupSource from "../../../shaders/step-linear-subgroup.wgsl" with { type: "text" };
import source from "../../../shaders/step-linear.wgsl" with { type: "text" };
import type { Gpu } from "../../gpu/device.ts";
import { withConstants } from "../constants.ts";
import { linearGrid } from "../dispatch.ts";
import { halve } from "../element.ts";
import {
  apply,
  type Dispatch,
  matrixShape,
  type Op,
  sameShape,
  type Scratch,
  type Shader,
  ShapeError,
  type Tensor,
} from "../tensor.ts";
import { geluGateDispatch } from "./gelu-gate.ts";
import { matmulDispatches } from "./matmul-choice.ts";
import { hasBroadcasts } from "./matmul-candidates.ts";
import { adapterOf } from "./matmul-dispatch.ts";
import { layoutOf, type MatmulProblem } from "./matmul-problem.ts";
import { normDispatch } from "./rms-norm-kernel.ts";
import { rmsNorm } from "./rms-norm.ts";
import { slicedLinear } from "./sliced-linear.ts";
import { slicesOf } from "./slices.ts";

/** What happens before and after the products; a gate and a residual exclude each other. */
export interface StepLinearOptions {
  /** RMS norm of x; none unless given. */
  readonly norm?: { readonly scale: Tensor; readonly epsilon: number };
  /** Whether two weights make one result: gelu(x · w₀ᵀ) · (x · w₁ᵀ). */
  readonly isGated?: boolean;
  /** [..., columns], added to the result of a single weight. */
  readonly residual?: Tensor;
}

/** The most rows for which the kernels of a step are used. */
const MOST_ROWS = { cpu: 64, gpu: 32 };

interface Attributes {
  readonly weights: number;
  /** Undefined where there is no norm. */
  readonly epsilon: number | undefined;
  readonly isGated: boolean;
  readonly hasResidual: boolean;
}

/** Inputs: x, the weights and, where there are any, the norm's scale and the residual. */
const stepLinearOp: Op<Attributes> = {
  name: "step linear",
  halfInputs: [1, 2, 3],

  shape(inputs, attributes) {
    const { x, weights, scale, residual } = operands(inputs, attributes);
    const fail = (message: string): never => {
      throw new ShapeError("stepLinear", message, inputs);
    };
    const [columns, depth] = weights[0].shape;
    if (weights.length > 3 || (attributes.isGated && weights.length !== 2)) {
      fail("there must be one to three weights, or two with a gate");
    }
    if (weights.some(({ shape }) => shape.length !== 2 || !sameShape(shape, [columns, depth]))) {
      fail("the weights must be [columns, depth], all alike");
    }
    if (x.dtype !== "f32" || x.shape.at(-1) !== depth) fail(`x must be f32 [..., ${depth}]`);
    if (scale && !sameShape(scale.shape, [depth])) fail(`the norm's scale must be [${depth}]`);
    const rowShape = x.shape.slice(0, -1);
    if (residual && (weights.length > 1 || !sameShape(residual.shape, [...rowShape, columns]))) {
      fail(`a residual must be [..., ${columns}], that of a single weight`);
    }
    const parts = attributes.isGated ? 1 : weights.length;
    return [{ shape: [...rowShape, parts * columns], dtype: "f32" }];
  },

  simpler({ inputs, attributes }) {
    const { x, weights: [weight], scale } = operands(inputs, attributes);
    const parts = slicesOf(weight);
    if (!parts || attributes.weights > 1 || attributes.hasResidual) return undefined;
    return [slicedLinear(scale ? rmsNorm(x, scale, attributes.epsilon!) : x, parts)];
  },

  kernel({ inputs, attributes, outputs: [result] }, gpu) {
    const step: Step = { ...attributes, ...operands(inputs, attributes), result };
    const { rows, columns: depth } = matrixShape(step.x);
    const [columns] = step.weights[0].shape;
    const isWhole = depth % 4 === 0 && columns % 4 === 0;
    const fits = rows <= (gpu.isCpu ? MOST_ROWS.cpu : MOST_ROWS.gpu);
    if (!isWhole || !fits || (gpu.isCpu && !hasBroadcasts(adapterOf(gpu)))) {
      return separateDispatches(step, gpu);
    }
    return [stepDispatch(step, gpu)];
  },
};

/** Tensors of an application, by what they are. */
interface Operands {
  readonly x: Tensor;
  readonly weights: readonly Tensor[];
  readonly scale: Tensor | undefined;
  readonly residual: Tensor | undefined;
}

interface Step extends Operands, Omit<Attributes, "weights"> {
  readonly result: Tensor;
}

function operands([x, ...others]: readonly Tensor[], attributes: Attributes): Operands {
  const weights = others.slice(0, attributes.weights);
  const optional = others.slice(attributes.weights);
  const scale = attributes.epsilon === undefined ? undefined : optional.shift();
  return { x, weights, scale, residual: optional.shift() };
}

/** Everything in one dispatch. */
function stepDispatch(step: Step, gpu: Gpu): Dispatch {
  const { x, weights, scale, residual, epsilon = 0, isGated, hasResidual, result } = step;
  const { rows, columns: depth } = matrixShape(x);
  const [columns] = weights[0].shape;
  const sizes = gpu.isCpu ? [1, 4, 8, 16] : [1, 2, 4, 8];
  const blockRows = sizes.find((size) => rows <= size) ?? sizes.at(-1)!;
  const blocksOf = (blockColumns: number) =>
    Math.ceil(rows / blockRows) * Math.ceil(columns / blockColumns);
  // With a few columns there would be too few workgroups for the cores to share.
  const isWide = gpu.isCpu && weights.length === 1 && !hasResidual && columns % 64 === 0 &&
    columns >= 512;
  const plain: Shader = gpu.isCpu
    ? { name: "step-linear-subgroup", source: subgroupSource }
    : withConstants({ name: "step-linear", source }, { BLOCK_ROWS: blockRows });
  return {
    shader: weights.reduce(
      (shader, { dtype }, i) => dtype === "f16" ? halve(shader, `w${i}`, { [`w${i}`]: 4 }) : shader,
      plain,
    ),
    constants: {
      parts: weights.length,
      has_norm: Number(scale !== undefined),
      has_gate: Number(isGated),
      has_residual: Number(hasResidual),
      ...(gpu.isCpu && { block_rows: blockRows, wide: Number(isWide) }),
    },
    uniforms: { rows, columns, vectors: depth / 4, epsilon },
    bindings: {
      x,
      ...Object.fromEntries(weights.map((weight, i) => [`w${i}`, weight])),
      ...(scale && { scale }),
      ...(residual && { residual }),
      result,
    },
    workgroups: linearGrid(blocksOf(gpu.isCpu ? isWide ? 64 : 32 : 4), 1),
    flops: 2 * rows * depth * columns * weights.length,
  };
}

/** Norm and products one after the other. */
function separateDispatches(step: Step, gpu: Gpu): Dispatch[] {
  const { x, weights, scale, residual, epsilon = 0, isGated, result } = step;
  const { rows: m, columns: k } = matrixShape(x);
  const [n] = weights[0].shape;
  const shared = { batch: 1, aStride: 0, bStride: 0 };
  const plain: MatmulProblem = { ...shared, m, n, k, transposeA: false, transposeB: true };
  const a = scale ? { scratchBytes: 4 * m * k } : x;
  const product = (
    i: number,
    problem: MatmulProblem,
    to: Tensor | Scratch,
    other?: Tensor | Scratch,
  ) =>
    matmulDispatches(
      problem,
      { a, b: weights[i], ...(other && { residual: other }), result: to },
      gpu,
    );
  const dispatches: Dispatch[] = [];
  if (scale) {
    const rstd = { scratchBytes: 4 * m };
    dispatches.push(normDispatch(x, scale, { normalized: a, rstd }, epsilon, gpu));
  }
  if (weights.length === 1) {
    const epilogue = { residual: residual !== undefined };
    return [...dispatches, ...product(0, { ...plain, epilogue }, result, residual)];
  }
  // Each product has its columns of the result's rows.
  const layout = { ...layoutOf(plain), resultRowStride: weights.length * n };
  const sideBySide = isGated ? { scratchBytes: 4 * m * weights.length * n } : result;
  weights.forEach((_, i) =>
    dispatches.push(
      ...product(i, { ...plain, layout: { ...layout, resultOffset: i * n } }, sideBySide),
    )
  );
  return isGated ? [...dispatches, geluGateDispatch(sideBySide, result)] : dispatches;
}

/**
 * norm(x) · weightᵀ for every weight, one after the other along the last axis. It has no gradient.
 *
 * @param x f32 [..., depth]
 * @param weights one to three of [columns, depth], f32 or f16, as PyTorch's Linear keeps them
 * @returns f32 [..., weights · columns], or [..., columns] with a gate
 * @throws {ShapeError} when operands do not fit
 */
export function stepLinear(
  x: Tensor,
  weights: readonly Tensor[],
  { norm, isGated = false, residual }: StepLinearOptions = {},
): Tensor {
  const inputs = [x, ...weights, ...(norm ? [norm.scale] : []), ...(residual ? [residual] : [])];
  return apply(stepLinearOp, inputs, {
    weights: weights.length,
    epsilon: norm?.epsilon,
    isGated,
    hasResidual: residual !== undefined,
  });
}
