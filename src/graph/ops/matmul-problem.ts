/**
 * What a matrix product is, apart from how it is computed.
 */

/**
 * One batched product `result[z] = epilogue(alpha · op(a[z]) · op(b[z]))`. Whether `a` or `b` is stored as
 * f16 changes nothing here: it is the same kernels, reading them otherwise.
 */
export interface MatmulProblem {
  batch: number;
  m: number;
  n: number;
  k: number;
  /** `a` is [m, k], or [k, m] when transposed. */
  transposeA: boolean;
  /** `b` is [k, n], or [n, k] when transposed. */
  transposeB: boolean;
  /** Elements between two batch elements of `a`; 0 shares one matrix among them all. */
  aStride: number;
  /** Elements between two batch elements of `b`; 0 shares one matrix among them all. */
  bStride: number;
  /**
   * Where matrices lie that are not contiguous, such as the heads in [batch, length, heads · headSize].
   * Without it every row follows the one before, and so does every matrix of the result.
   */
  layout?: MatmulLayout;
  /** Scale of the product; 1 by default. */
  alpha?: number;
  epilogue?: MatmulEpilogue;
  norm?: MatmulNorm;
}

/**
 * The RMS norm that a product is part of: that of a's rows before it, or the gradient after it. Such a product has
 * one batch element of an `a` that is not transposed, no alpha, epilogue or layout, m·k and n·k of whole vec4s, and its
 * k is not split.
 */
export type MatmulNorm =
  | { readonly of: "operand"; readonly epsilon: number }
  | {
    readonly of: "gradient";
    /** Adds `residual` to the gradient. */
    readonly residual: boolean;
    /** The result is stored once more as `dropped`, after dropout. */
    readonly dropout: { readonly rate: number; readonly site: number } | undefined;
  };

/** What is done with every finished sum, in this order. */
export interface MatmulEpilogue {
  /** Adds bias[n]; not together with dropout. */
  bias?: boolean;
  /** Elements from one batch element's bias to the next one's; 0, the default, shares one. */
  biasStride?: number;
  activation?: "relu" | undefined;
  /** Multiplies by dropout's mask (dropout.ts), of which the operand `seed` is the seed. */
  dropout?: { rate: number; site: number } | undefined;
  /**
   * The operand `residual`, of the result's shape, decides what passes: what is where it is positive (the
   * gradient of a ReLU from its result).
   */
  gate?: boolean;
  /** Adds `residual`; not together with a gate. */
  residual?: boolean;
  /**
   * The operand `residual` is x [batch, m, 2n] of a GELU gate (gelu-gate.ts), whose result has this adjoint: the
   * gradient of x is stored in its place. Not together with a gate or a residual.
   */
  gateGradient?: boolean;
  /** With a layout alone: adds what the result holds already. */
  accumulate?: boolean;
}

/**
 * Places and distances in elements. A batch is groups of `heads` matrices: `aStride`, `bStride` and `resultStride` are
 * between groups, the head strides between the matrices of a group. Rows are those in memory, before
 * transposition. Such a product has no bias, activation, dropout, gate or residual, and its k is never split; it
 * may accumulate.
 */
export interface MatmulLayout {
  heads: number;
  aHeadStride: number;
  aRowStride: number;
  bHeadStride: number;
  bRowStride: number;
  resultStride: number;
  resultHeadStride: number;
  resultRowStride: number;
  /** Where the first matrix of each begins. */
  aOffset: number;
  bOffset: number;
  resultOffset: number;
}

/** Where the matrices of a problem lie, whether it says so or not. */
export function layoutOf(problem: MatmulProblem): MatmulLayout {
  const { m, n, k, transposeA, transposeB, layout } = problem;
  return layout ?? {
    heads: 1,
    aHeadStride: 0,
    aRowStride: transposeA ? m : k,
    bHeadStride: 0,
    bRowStride: transposeB ? k : n,
    resultStride: m * n,
    resultHeadStride: 0,
    resultRowStride: n,
    aOffset: 0,
    bOffset: 0,
    resultOffset: 0,
  };
}

/** The problem whose result is the transposed one: the same buffers under other names. */
export function exchanged(problem: MatmulProblem): MatmulProblem {
  const { m, n, transposeA, transposeB, aStride, bStride } = problem;
  const layout = layoutOf(problem);
  return {
    ...problem,
    m: n,
    n: m,
    transposeA: !transposeB,
    transposeB: !transposeA,
    aStride: bStride,
    bStride: aStride,
    layout: {
      ...layout,
      aHeadStride: layout.bHeadStride,
      aRowStride: layout.bRowStride,
      bHeadStride: layout.aHeadStride,
      bRowStride: layout.aRowStride,
      aOffset: layout.bOffset,
      bOffset: layout.aOffset,
    },
  };
}
