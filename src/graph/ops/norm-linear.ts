/**
 * A linear layer of an RMS norm, in one matrix product, and the norm's gradient in another.
 *
 * Only rewrites make these ops, of norms whose result nothing else reads: the normalized rows, and their
 * gradient, are then never in memory (see matmul-norm.wgsl and matmul-norm-gradient.wgsl for why a product
 * can have both). Where the product's best kernel cannot, for its k is cut small or the device binds too few buffers,
 * the two are computed one after the other, as they would have been.
 */

import type { Gpu } from "../../gpu/device.ts";
import {
  applyAll,
  matrixShape,
  type Node,
  type Op,
  type Scratch,
  size,
  type Tensor,
} from "../tensor.ts";
import type { DropoutMask } from "./dropout.ts";
import { type MatmulCandidate, matmulCandidates } from "./matmul-candidates.ts";
import { chosenCandidate, matmulDispatches } from "./matmul-choice.ts";
import { adapterOf, candidateDispatches } from "./matmul-dispatch.ts";
import type { MatmulProblem } from "./matmul-problem.ts";
import { dropsInPlace, type NormGradient } from "./rms-norm-gradient.ts";
import { normDispatch, normGradientDispatch } from "./rms-norm-kernel.ts";

/** A linear layer without a bias. */
interface Linear {
  readonly weight: Tensor;
  /** Whether the weight is [out, in]. */
  readonly transposeB: boolean;
}

interface NormLinearAttributes {
  readonly epsilon: number;
  readonly transposeB: boolean;
}

/** Inputs: x [..., D], scale [D], weight. Outputs: rmsNorm(x) · weight, and 1 / rms of every row of x. */
const normLinearOp: Op<NormLinearAttributes> = {
  name: "norm linear",
  halfInputs: [2],
  shape: ([x, , weight], { transposeB }) => {
    const leading = x.shape.slice(0, -1);
    const columns = weight.shape[transposeB ? 0 : 1];
    return [{ shape: [...leading, columns], dtype: "f32" }, { shape: leading, dtype: "f32" }];
  },
  kernel({ inputs: [x, scale, weight], outputs: [result, rstd], attributes }, gpu) {
    const { epsilon, transposeB } = attributes;
    const problem = problemOf(x, result, transposeB);
    const candidate = withNorm(problem, weight, gpu);
    if (candidate) {
      const fused = { ...problem, norm: { of: "operand", epsilon } as const };
      return candidateDispatches(fused, candidate, { a: x, b: weight, scale, rstd, result }, gpu);
    }
    const normalized: Scratch = { scratchBytes: 4 * size(x.shape) };
    return [
      normDispatch(x, scale, { normalized, rstd }, epsilon, gpu),
      ...matmulDispatches(problem, { a: normalized, b: weight, result }, gpu),
    ];
  },
};

interface GradientAttributes {
  readonly transposeB: boolean;
  readonly residual: boolean;
  readonly dropout: DropoutMask | undefined;
}

/** Storage buffers that matmul-norm-gradient.wgsl binds. */
const STORAGE_BUFFERS = 10;

/**
 * Inputs: the layer's adjoint and weight, its result, x, scale, 1 / rms and, where there are any, what is added and
 * the seed of a dropout. Outputs: the gradient of x (and sum), and the same after dropout.
 */
const normLinearGradientOp: Op<GradientAttributes> = {
  name: "norm linear gradient",
  halfInputs: [1],
  shape: ([, , , { shape }], { dropout }) => Array(dropout ? 2 : 1).fill({ shape, dtype: "f32" }),
  kernel({ inputs, outputs: [result, dropped], attributes }, gpu) {
    const { transposeB, dropout } = attributes;
    const [adjoint, weight, forward, x, scale, rstd, ...others] = inputs;
    const residual = attributes.residual ? others.shift() : undefined;
    const [seed] = others;
    const optional = { ...(residual && { residual }), ...(dropped && { seed, dropped }) };
    const problem = problemOf(adjoint, result, transposeB);
    const candidate = gpu.limits.maxStorageBuffersPerShaderStage >= STORAGE_BUFFERS
      ? withNorm(problem, weight, gpu)
      : undefined;
    if (candidate) {
      const norm = { of: "gradient", residual: residual !== undefined, dropout } as const;
      const operands = { a: adjoint, b: weight, forward, x, scale, rstd, result, ...optional };
      return candidateDispatches({ ...problem, norm }, candidate, operands, gpu);
    }
    const gradient: Scratch = { scratchBytes: 4 * size(x.shape) };
    return [
      ...matmulDispatches(problem, { a: adjoint, b: weight, result: gradient }, gpu),
      normGradientDispatch(
        { x, scale, rstd, gradient, result, ...optional },
        dropout,
        gpu,
      ),
    ];
  },
  accompany({ inputs, attributes }, { op, inputs: [, seed, ...sum], attributes: dropout }) {
    if (!dropsInPlace(op, sum, inputs[3]) || attributes.dropout) return undefined;
    return applyAll(normLinearGradientOp, [...inputs, seed], { ...attributes, dropout })[0].node;
  },
};

/** The node of a linear layer of the norm of `x`; its second output is the norm's. */
export function normLinear(
  x: Tensor,
  scale: Tensor,
  epsilon: number,
  { weight, transposeB }: Linear,
): Node {
  return applyAll(normLinearOp, [x, scale, weight], { epsilon, transposeB })[0].node;
}

/**
 * The node that computes the gradient of a norm from `adjoint` · `weight`, or undefined where this is not the gradient
 * of the linear layer that the norm was computed with.
 */
export function normLinearGradient(
  adjoint: Tensor,
  { weight, transposeB }: Linear,
  { x, scale, rstd, residual, seed, dropout }: NormGradient,
): Node | undefined {
  const layer: Node<NormLinearAttributes> = rstd.node;
  const isLayers = layer.op === normLinearOp && layer.inputs[0] === x &&
    layer.inputs[2] === weight && layer.attributes.transposeB !== transposeB;
  if (!isLayers) return undefined;
  const optional = [residual, seed].filter((tensor) => tensor !== undefined);
  const inputs = [adjoint, weight, layer.outputs[0], x, scale, rstd, ...optional];
  const attributes = { transposeB, residual: residual !== undefined, dropout };
  return applyAll(normLinearGradientOp, inputs, attributes)[0].node;
}

/**
 * Pieces of k that the norm is worth more than: without them there are two dispatches less, the norm's and that which
 * adds their sums (estimated, not measured).
 */
const MOST_SPLITS = 4;

/** The product of all rows of `a` by a weight. */
function problemOf(a: Tensor, result: Tensor, transposeB: boolean): MatmulProblem {
  const { rows: m, columns: k } = matrixShape(a);
  const { columns: n } = matrixShape(result);
  return { batch: 1, m, n, k, transposeA: false, transposeB, aStride: 0, bStride: 0 };
}

/** The candidate that computes a product with a norm around it; undefined where that would cost more than it saves. */
function withNorm(problem: MatmulProblem, weight: Tensor, gpu: Gpu): MatmulCandidate | undefined {
  if (problem.k % 4 !== 0 || problem.n % 4 !== 0) return undefined;
  const chosen = chosenCandidate(problem, gpu, { a: "f32", b: weight.dtype });
  // Half a sum is not yet a norm; and a result that is stored transposed has no rows to a lane.
  if (chosen.splits > MOST_SPLITS) return undefined;
  const kin = matmulCandidates(problem, adapterOf(gpu)).filter(({ variant }) =>
    variant === chosen.variant
  );
  return [chosen, ...kin].find(({ variant, exchanged, splits }) =>
    splits === 1 && !exchanged && (variant === "tiled" || variant === "subgroup")
  );
}
