/**
 * The dispatches that compute a matrix product in a given way: a pure function from the problem and the
 * adapter to plain data, so that all of it can be tested without a GPU.
 */

import { dropoutUniforms } from "./dropout.ts";
import {
  type MatmulAdapter,
  type MatmulCandidate,
  matmulCandidates,
  splitLength,
} from "./matmul-candidates.ts";
import {
  exchanged,
  layoutOf,
  type MatmulEpilogue,
  type MatmulNorm,
  type MatmulProblem,
} from "./matmul-problem.ts";

/** Operands of the product that a binding can be. */
export type MatmulOperand =
  | ("a" | "b" | "bias" | "seed" | "residual" | "result" | "scratch")
  // Of a norm around the product.
  | ("scale" | "rstd" | "forward" | "x" | "dropped");

/** One dispatch as plain data. Bindings that are not named are unused by this pipeline. */
export interface MatmulDispatch {
  /** File stem under shaders/. */
  shader: string;
  entry: string;
  /** What is replaced in the shader's text: names and values of its `const` lines. */
  text?: Record<string, number>;
  /** File stem of what continues the shader. */
  continuation: string;
  constants: Record<string, number | boolean>;
  uniforms: Record<string, number>;
  workgroups: [number, number, number];
  bindings: Record<string, MatmulOperand>;
  /** Size of the scratch buffer that this dispatch writes. */
  scratchBytes?: number;
}

/** The most k that a tile takes at once; steps are of this or a half or a quarter of it. */
const LONGEST_STEP = 32;

/** What continues the shaders that finish one sum at a time. */
const SCALAR_EPILOGUE = "matmul-scalar-epilogue";

const SHADERS = {
  register: "matmul",
  subgroup: "matmul-subgroup",
  tiled: "matmul-tiled",
  thin: "matmul-thin",
} as const;

/** Plans `problem` on `adapter`: one dispatch, or two where k is split. All extents are at least 1. */
export function planMatmul(
  problem: MatmulProblem,
  adapter: MatmulAdapter,
  candidate: MatmulCandidate = matmulCandidates(problem, adapter)[0],
): MatmulDispatch[] {
  const { splits } = candidate;
  const { batch, m, n, k, transposeA, transposeB, aStride, bStride, alpha = 1, ...rest } =
    candidate.exchanged ? exchanged(problem) : problem;
  const layout = layoutOf(candidate.exchanged ? exchanged(problem) : problem);
  const { aRowStride, aHeadStride, aOffset, bRowStride, bHeadStride, bOffset } = layout;
  const { resultStride, resultHeadStride, resultRowStride, resultOffset } = layout;
  const { epilogue = {}, norm } = rest;
  const whole = splits === 1;
  // Of the product's width, those that a row of the result has; partial sums are as they are.
  const widths = whole && epilogue.gateGradient ? 2 : 1;
  const [left, right] = candidate.exchanged ? ["b", "a"] as const : ["a", "b"] as const;
  const around = norm ? surroundingsOf(norm) : undefined;
  const outputs = around?.bindings ??
    (whole
      ? epilogueBindings(epilogue)
      : { result: "scratch" } satisfies Record<string, MatmulOperand>);
  // Four-wide access needs rows of whole vec4s that begin at a vec4, in every batch element.
  const vectorA = wholeVectors(transposeA ? m : k, aStride, aHeadStride, aRowStride, aOffset) &&
    (!transposeA || candidate.rows % 4 === 0);
  const vectorB = wholeVectors(transposeB ? k : n, bStride, bHeadStride, bRowStride, bOffset);
  const vectorResult = candidate.variant !== "thin" &&
    wholeVectors(problem.n, resultStride, resultHeadStride, resultRowStride, resultOffset);
  const { result, ...operands } = outputs;
  const product: MatmulDispatch = {
    shader: SHADERS[candidate.variant],
    entry: "matmul",
    ...(candidate.variant === "tiled" &&
      { text: { tile_size: candidate.rows, thread_blocks: candidate.threadBlocks! } }),
    continuation: around?.shader ??
      (candidate.variant === "thin" ? SCALAR_EPILOGUE : "matmul-epilogue"),
    constants: {
      ...blockConstants(candidate, m, n, k),
      ...(candidate.variant !== "thin" && {
        transpose_a: transposeA,
        transpose_b: transposeB,
        vector_result: vectorResult,
      }),
      vector_a: vectorA,
      vector_b: vectorB,
      ...(candidate.variant === "subgroup" && { transpose_result: candidate.exchanged }),
      ...(around?.constants ?? {
        ...epilogueConstants(whole ? epilogue : {}),
        accumulate: !!epilogue.accumulate,
      }),
    },
    uniforms: {
      batch,
      m,
      n,
      k,
      a_stride: aStride,
      b_stride: bStride,
      splits,
      split_length: splitLength(k, splits),
      alpha: whole ? alpha : 1,
      ...epilogueUniforms(around?.epilogue ?? epilogue),
      heads: layout.heads,
      a_head_stride: aHeadStride,
      a_row_stride: aRowStride,
      b_head_stride: bHeadStride,
      b_row_stride: bRowStride,
      result_stride: widths * resultStride,
      result_head_stride: resultHeadStride,
      result_row_stride: widths * resultRowStride,
      a_offset: aOffset,
      b_offset: bOffset,
      result_offset: resultOffset,
    },
    workgroups: grid(candidate.workgroups, adapter),
    bindings: {
      ...(vectorA ? { a_vec4: left } : {}),
      ...(vectorB ? { b_vec4: right } : {}),
      ...(around?.isVector ? {} : { a: left, b: right }),
      ...operands,
      [vectorResult ? "result_vec4" : "result"]: result,
    },
  };
  if (whole) return [product];
  const count = batch * m * n;
  return [{ ...product, scratchBytes: 4 * splits * count }, {
    shader: "matmul-reduce",
    continuation: SCALAR_EPILOGUE,
    entry: "reduce",
    constants: { group_size: 64, ...epilogueConstants(epilogue) },
    uniforms: {
      count,
      n: problem.n,
      matrix: m * n,
      splits,
      alpha,
      ...epilogueUniforms(epilogue),
    },
    workgroups: grid(Math.ceil(count / 64), adapter),
    bindings: { partials: "scratch", ...epilogueBindings(epilogue) },
  }];
}

/** The constants of a kernel's block, and whether blocks cover the m×n that it computes, and steps the k, exactly. */
function blockConstants(candidate: MatmulCandidate, m: number, n: number, k: number) {
  const { variant, rows, columns } = candidate;
  const whole = m % rows === 0 && n % columns === 0;
  switch (variant) {
    case "register":
      return { block_rows: rows, block_columns: columns, whole };
    case "subgroup":
      return { block_rows: rows, block_columns: columns / 8, whole };
    case "tiled":
      return { whole, whole_steps: k % LONGEST_STEP === 0 };
    case "thin":
      return { block_rows: rows };
  }
}

/** What a product is given for the norm around it. */
interface Surroundings {
  readonly shader: string;
  /** Whether all of the product's own bindings are of vec4s. */
  readonly isVector: boolean;
  readonly constants: Record<string, number | boolean>;
  readonly bindings: Record<string, MatmulOperand> & { result: MatmulOperand };
  /** What of it the products' own uniforms say. */
  readonly epilogue: MatmulEpilogue;
}

function surroundingsOf(norm: MatmulNorm): Surroundings {
  if (norm.of === "operand") {
    return {
      shader: "matmul-norm",
      isVector: false,
      constants: { epsilon: norm.epsilon },
      bindings: { scale: "scale", rstd: "rstd", result: "result" },
      epilogue: {},
    };
  }
  const { residual, dropout } = norm;
  return {
    shader: "matmul-norm-gradient",
    isVector: true,
    constants: { has_residual: residual, has_dropout: dropout !== undefined },
    bindings: {
      scale: "scale",
      rstd: "rstd",
      forward: "forward",
      x: "x",
      ...(residual && { residual: "residual" }),
      ...(dropout && { seed: "seed", dropped: "dropped" }),
      result: "result",
    },
    epilogue: { dropout },
  };
}

function epilogueConstants(
  { bias, activation, dropout, gate, residual, gateGradient }: MatmulEpilogue,
) {
  return {
    has_bias: !!bias,
    has_relu: activation === "relu",
    has_dropout: !!dropout,
    has_gate: !!gate,
    has_residual: !!residual,
    has_gate_gradient: !!gateGradient,
  };
}

function epilogueUniforms({ biasStride = 0, dropout }: MatmulEpilogue) {
  return { bias_stride: biasStride, ...dropoutUniforms(dropout) };
}

function epilogueBindings(
  { bias, dropout, gate, residual, gateGradient }: MatmulEpilogue,
): Record<string, MatmulOperand> & { result: MatmulOperand } {
  return {
    ...(bias && { bias_or_seed: "bias" }),
    ...(dropout && { bias_or_seed: "seed" }),
    ...((gate || residual || gateGradient) && { residual: "residual" }),
    result: "result",
  };
}

function wholeVectors(...elements: number[]): boolean {
  return elements.every((count) => count % 4 === 0);
}

/** A linear count of workgroups as a grid within the adapter's limit; kernels drop the surplus. */
function grid(count: number, { limits }: MatmulAdapter): [number, number, number] {
  const rows = Math.ceil(count / limits.maxComputeWorkgroupsPerDimension);
  return [Math.ceil(count / rows), rows, 1];
}
