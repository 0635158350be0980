/**
 * Which kernels compute a matrix product, and with what constants: a pure function from the problem and the
 * adapter to dispatches, so that the choice can be tested without a GPU and read in one place.
 */

/** One batched product `result[z] = epilogue(alpha · op(a[z]) · op(b[z]))`, all f32 and contiguous. */
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
  /** Scale of the product; 1 by default. */
  alpha?: number;
  /** Applied in this order: bias[n] added, activation, residual[batch, m, n] added. */
  epilogue?: { bias?: boolean; activation?: "relu"; residual?: boolean };
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

export type MatmulVariant = "register" | "subgroup" | "tiled";

/** Plans `problem` on `adapter`; `variant` overrides the measured choice (tests and benchmarks do). */
export function planMatmul(
  problem: MatmulProblem,
  adapter: MatmulAdapter,
  variant: MatmulVariant = "register",
): MatmulDispatch[] {
  const { batch, m, n, k, transposeA, transposeB, aStride, bStride, alpha = 1 } = problem;
  void variant;
  const epilogue = {
    hasBias: problem.epilogue?.bias ?? false,
    relu: problem.epilogue?.activation === "relu",
    hasResidual: problem.epilogue?.residual ?? false,
  };
  const blocks = batch * Math.ceil(m / 16) * Math.ceil(n / 16);
  const splits = splitCount(blocks, k);
  const splitLength = Math.ceil(k / splits / 4) * 4;
  const split = splits > 1;
  const workgroupSize = 16;
  const dispatch: MatmulDispatch = {
    shader: "matmul",
    entry: "matmul",
    constants: {
      workgroupSize,
      transposeA,
      transposeB,
      vectorA: (transposeA ? m : k) % 4 === 0 && aStride % 4 === 0,
      vectorB: (transposeB ? k : n) % 4 === 0 && bStride % 4 === 0,
      ...(split ? {} : epilogue),
    },
    uniforms: {
      batch,
      m,
      n,
      k,
      aStride,
      bStride,
      splits,
      splitLength,
      alpha: split ? 1 : alpha,
    },
    workgroups: fold(Math.ceil(blocks * splits / workgroupSize), adapter),
    bindings: { a: "a", aVec4: "a", b: "b", bVec4: "b", result: split ? "scratch" : "result" },
  };
  if (!split) {
    if (epilogue.hasBias) dispatch.bindings.bias = "bias";
    if (epilogue.hasResidual) dispatch.bindings.residual = "residual";
    return [dispatch];
  }
  const count = batch * m * n;
  dispatch.scratchBytes = 4 * splits * count;
  return [dispatch, {
    shader: "matmul-reduce",
    entry: "reduce",
    constants: { workgroupSize, ...epilogue },
    uniforms: { count, n, splits, alpha },
    workgroups: fold(Math.ceil(count / workgroupSize), adapter),
    bindings: {
      partials: "scratch",
      result: "result",
      ...(epilogue.hasBias ? { bias: "bias" as const } : {}),
      ...(epilogue.hasResidual ? { residual: "residual" as const } : {}),
    },
  }];
}

/** Into how many pieces k is cut, so that few outputs with a long sum still fill the adapter. */
function splitCount(blocks: number, k: number): number {
  const wanted = Math.floor(512 / blocks);
  const longest = Math.floor(k / 256);
  return Math.max(1, Math.min(wanted, longest, 64));
}

/** A linear count of workgroups as a grid within the adapter's limit; kernels drop the surplus. */
function fold(count: number, adapter: MatmulAdapter): [number, number, number] {
  const limit = adapter.limits.maxComputeWorkgroupsPerDimension;
  const rows = Math.ceil(count / limit);
  return [Math.ceil(count / rows), rows, 1];
}
