/**
 * Which kernels compute a matrix product, and with what constants: a pure function from the problem and the
 * adapter to dispatches, so that the choice can be tested without a GPU and read in one place.
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
  /**
   * Applied in this order: bias[n] added, activation, residual[batch, m, n] added, or, with a layout alone,
   * what the result holds already added.
   */
  epilogue?: { bias?: boolean; activation?: "relu"; residual?: boolean; accumulate?: boolean };
}

/**
 * Places and distances in elements. A batch is groups of `heads` matrices: `aStride`, `bStride` and `resultStride` are
 * between groups, the head strides between the matrices of a group. Rows are those in memory, before
 * transposition. Such a product has no bias, activation or residual, and its k is never split; it may
 * accumulate.
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

/** What the choice depends on. */
export interface MatmulAdapter {
  isCpu: boolean;
  subgroups: boolean;
  subgroupSize: number;
  limits: { maxComputeWorkgroupsPerDimension: number };
}

/** Operands of the product that a binding can be. */
export type MatmulOperand = "a" | "b" | "bias" | "residual" | "result" | "scratch";

/** One dispatch as plain data. Bindings that are not named are unused by this pipeline. */
export interface MatmulDispatch {
  /** File stem under shaders/. */
  shader: string;
  entry: string;
  constants: Record<string, number | boolean>;
  uniforms: Record<string, number>;
  workgroups: [number, number, number];
  bindings: Record<string, MatmulOperand>;
  /** Size of the scratch buffer that this dispatch writes. */
  scratchBytes?: number;
}

/**
 * `register`: CPU adapters. `subgroup`: CPU adapters with subgroups of 8. `tiled`: GPUs.
 */
export type MatmulVariant = "register" | "subgroup" | "tiled";

/** A variant's division of the result, before it is turned into a dispatch. */
interface Division {
  shader: string;
  constants: Record<string, number>;
  /** Whether op(b)ᵀ · op(a)ᵀ is computed and stored transposed. */
  exchanged: boolean;
  splits: number;
  workgroups: number;
}

/** The variant that was measured fastest on this kind of adapter (see docs/kernels.md). */
export function matmulVariant(adapter: MatmulAdapter): MatmulVariant {
  if (!adapter.isCpu) return "tiled";
  return adapter.subgroups && adapter.subgroupSize === 8 ? "subgroup" : "register";
}

/**
 * Plans `problem` on `adapter`: one dispatch, or two where k is split. All extents are at least 1.
 * `variant` is for tests and benchmarks.
 */
export function planMatmul(
  problem: MatmulProblem,
  adapter: MatmulAdapter,
  variant: MatmulVariant = matmulVariant(adapter),
): MatmulDispatch[] {
  const division = divisions[variant](problem);
  const { splits, exchanged } = division;
  const located = { ...problem, layout: problem.layout ?? contiguous(problem) };
  const { batch, m, n, k, transposeA, transposeB, aStride, bStride, layout, alpha = 1 } = exchanged
    ? exchange(located)
    : located;
  const { bias = false, activation, residual = false, accumulate = false } = problem.epilogue ?? {};
  // BIAS, RELU and RESIDUAL of the shaders.
  const flags = Number(bias) + 2 * Number(activation === "relu") + 4 * Number(residual);
  const operands: Record<string, MatmulOperand> = {
    ...(bias ? { bias: "bias" } : {}),
    ...(residual ? { residual: "residual" } : {}),
    result: "result",
  };
  const [left, right] = exchanged ? ["b", "a"] as const : ["a", "b"] as const;
  // Four-wide loads need rows of whole vec4s that begin at a vec4, in every batch element.
  const { aRowStride, aHeadStride, aOffset, bRowStride, bHeadStride, bOffset } = layout;
  const vectorA = wholeVectors(transposeA ? m : k, aStride, aHeadStride, aRowStride, aOffset);
  const vectorB = wholeVectors(transposeB ? k : n, bStride, bHeadStride, bRowStride, bOffset);
  const whole = splits === 1;
  const product: MatmulDispatch = {
    shader: division.shader,
    entry: "matmul",
    constants: {
      ...division.constants,
      transpose_a: transposeA,
      transpose_b: transposeB,
      vector_a: vectorA,
      vector_b: vectorB,
      ...(exchanged ? { transpose_result: true } : {}),
      ...(accumulate ? { accumulate } : {}),
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
      epilogue: whole ? flags : 0,
      heads: layout.heads,
      a_head_stride: aHeadStride,
      a_row_stride: aRowStride,
      b_head_stride: bHeadStride,
      b_row_stride: bRowStride,
      result_stride: layout.resultStride,
      result_head_stride: layout.resultHeadStride,
      result_row_stride: layout.resultRowStride,
      a_offset: aOffset,
      b_offset: bOffset,
      result_offset: layout.resultOffset,
    },
    workgroups: grid(division.workgroups, adapter),
    bindings: {
      a: left,
      ...(vectorA ? { a_vec4: left } : {}),
      b: right,
      ...(vectorB ? { b_vec4: right } : {}),
      ...(whole ? operands : { result: "scratch" }),
    },
  };
  if (whole) return [product];
  const count = batch * m * n;
  return [{ ...product, scratchBytes: 4 * splits * count }, {
    shader: "matmul-reduce",
    entry: "reduce",
    constants: { group_size: 64 },
    uniforms: { count, n: problem.n, splits, alpha, epilogue: flags },
    workgroups: grid(Math.ceil(count / 64), adapter),
    bindings: { partials: "scratch", ...operands },
  }];
}

const divisions: Record<MatmulVariant, (problem: MatmulProblem) => Division> = {
  register(problem) {
    const { batch, m, n, k } = problem;
    const sizes = batch * m * n * k < smallProduct ? [8, 4] : [16, 8, 4];
    return cheapest(sizes.flatMap((rows) =>
      sizes.map((columns) => {
        const blocks = batch * Math.ceil(m / rows) * Math.ceil(n / columns);
        const splits = splitCount(blocks / lanes, problem);
        return {
          shader: "matmul",
          constants: { block_rows: rows, block_columns: columns },
          exchanged: false,
          splits,
          workgroups: Math.ceil(splits * blocks / lanes),
          cost: rounds(splits * blocks / lanes) * splitLength(k, splits) *
            (rows * columns + 7 * (rows + columns)),
        };
      })
    ));
  },

  subgroup(problem) {
    const { batch, m, n, k } = problem;
    const sizes = batch * m * n * k < smallProduct ? [16, 8] : [32, 16, 8];
    return cheapest(
      [false, true].flatMap((exchanged) =>
        sizes.flatMap((rows) =>
          [8, 4].map((columns) => {
            const [down, across] = exchanged ? [n, m] : [m, n];
            const blocks = batch * Math.ceil(down / rows) * Math.ceil(across / (lanes * columns));
            const splits = splitCount(blocks, problem);
            return {
              shader: "matmul-subgroup",
              constants: { block_rows: rows, block_columns: columns },
              exchanged,
              splits,
              workgroups: splits * blocks,
              cost: rounds(splits * blocks) * splitLength(k, splits) *
                (rows * columns + rows + 10 * (rows / lanes + columns)),
            };
          })
        )
      ),
    );
  },

  tiled({ batch, m, n, k, layout }) {
    const tiles = batch * Math.ceil(m / 32) * Math.ceil(n / 32);
    // Enough workgroups for a large GPU, of no less than 128 steps each.
    const splits = layout ? 1 : clamp(Math.floor(256 / tiles), Math.floor(k / 128));
    return {
      shader: "matmul-tiled",
      constants: {},
      exchanged: false,
      splits,
      workgroups: tiles * splits,
    };
  },
};

/** Lanes that a CPU adapter runs at once, and the CPU kernels' workgroup size. */
const lanes = 8;

/** Vectors of lanes that should be there for the cores to share. */
const vectors = 16;

/** Multiply-adds under which the largest block (a second to compile) cannot pay. */
const smallProduct = 2 ** 22;

/** Where matrices lie that follow each other without gaps. */
function contiguous({ m, n, k, transposeA, transposeB }: MatmulProblem): MatmulLayout {
  return {
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

function wholeVectors(...elements: number[]): boolean {
  return elements.every((count) => count % 4 === 0);
}

/** Turns the problem into the one whose result is the transposed: the same buffers, other names. */
function exchange<P extends MatmulProblem & { layout: MatmulLayout }>(problem: P): P {
  const { m, n, transposeA, transposeB, aStride, bStride, layout } = problem;
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

/** The first of the cheapest; costs are in multiply-adds of a vector of lanes. */
function cheapest(candidates: (Division & { cost: number })[]): Division {
  return candidates.reduce((best, next) => next.cost < best.cost ? next : best);
}

/** How often the busiest of the cores' shares comes up. */
function rounds(work: number): number {
  return Math.ceil(work / vectors);
}

/** Into how many pieces k is cut, so that few outputs with a long sum still fill the adapter. */
function splitCount(work: number, { k, layout }: MatmulProblem): number {
  return layout ? 1 : clamp(Math.floor(vectors / work), Math.floor(k / 256));
}

function clamp(...bounds: number[]): number {
  return Math.max(1, Math.min(64, ...bounds));
}

/** Length of k that one split sums: whole steps of a tile, so that only the last has a remainder. */
function splitLength(k: number, splits: number): number {
  return Math.ceil(k / splits / 16) * 16;
}

/** A linear count of workgroups as a grid within the adapter's limit; kernels drop the surplus. */
function grid(count: number, { limits }: MatmulAdapter): [number, number, number] {
  const rows = Math.ceil(count / limits.maxComputeWorkgroupsPerDimension);
  return [Math.ceil(count / rows), rows, 1];
}
