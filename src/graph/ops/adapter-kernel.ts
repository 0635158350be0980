/**
 * Which kernels compute an adapter: one fused dispatch on GPUs, two matrix products on CPU adapters and for
 * many rows of shared weights, such as an encoder's.
 *
 * Fusing saves the hidden vectors' way through memory, a twelfth of what an adapter of 64 in a model of 768
 * reads and writes, and a dispatch. With few rows to a set of weights, those of one instance, that is what
 * counts. With many the arithmetic does, for which products have the better kernels.
 *
 * On llvmpipe (2 cores) a fused kernel without barriers, four rows per invocation, reached 3 GFLOP/s at
 * [B, T, D, A] = [32, 32, 128, 16] and [16, 64, 512, 64], the matrix products 10 to 30; at [32, 1, 768, 64],
 * a step of decoding, both waited for memory.
 */

import fusedSource from "../../../shaders/adapter.wgsl" with { type: "text" };
import type { Gpu } from "../../gpu/device.ts";
import { withConstants } from "../constants.ts";
import { linearGrid } from "../dispatch.ts";
import type { Dispatch, Shader, Tensor } from "../tensor.ts";
import { matmulDispatches } from "./matmul-choice.ts";
import type { MatmulEpilogue } from "./matmul-problem.ts";

/** Rows that a workgroup of the fused kernel may take: more read weights less often, fewer fill a GPU sooner. */
const TILE_ROWS = [16, 8, 4];

/** Workgroups that should be there before they take more rows. */
const WORKGROUPS = 64;

/** Invocations of a workgroup, each of which has a block of 4×4 sums. */
const LANES = 256;

/** Rows of shared weights from which on products are used. */
const MANY_ROWS = 256;

/** Sizes of an adapter. */
export interface AdapterProblem {
  readonly batch: number;
  readonly rows: number;
  readonly width: number;
  readonly bottleneck: number;
  /** One set of weights for all instances, stored [out, in]. */
  readonly shared: boolean;
}

/** Operands and results of the forward pass. */
export interface ForwardTensors {
  readonly x: Tensor;
  readonly down: Tensor;
  readonly downBias: Tensor;
  readonly up: Tensor;
  readonly upBias: Tensor;
  readonly residual: Tensor | undefined;
  readonly hidden: Tensor;
  readonly y: Tensor;
}

/** Operands and results of the backward pass. */
export interface BackwardTensors {
  readonly dy: Tensor;
  /** Of the forward pass. */
  readonly hidden: Tensor;
  readonly down: Tensor;
  readonly up: Tensor;
  /** Added to dx. */
  readonly residual: Tensor | undefined;
  /** The adjoint of what went into the ReLU. */
  readonly dHidden: Tensor;
  /** Undefined where nobody wants it. */
  readonly dx: Tensor | undefined;
}

/** hidden = relu(x · down + downBias), y = residual + hidden · up + upBias. */
export function forwardDispatches(
  problem: AdapterProblem,
  t: ForwardTensors,
  gpu: Gpu,
): Dispatch[] {
  const { shared } = problem;
  if (usesProducts(problem, gpu)) {
    const product = products(problem, gpu);
    return [
      ...product(t.x, t.down, t.hidden, { bias: t.downBias, activation: "relu" }),
      ...product(t.hidden, t.up, t.y, { bias: t.upBias, residual: t.residual }),
    ];
  }
  return [fused("forward", problem, {
    constants: { transposed: Number(shared), has_residual: Number(t.residual !== undefined) },
    bindings: {
      values: t.x,
      first: t.down,
      second: t.up,
      first_bias: t.downBias,
      second_bias: t.upBias,
      ...(t.residual && { residual: t.residual }),
      hidden: t.hidden,
      result: t.y,
    },
  })];
}

/** dHidden = dy · upᵀ where hidden > 0, else 0; dx = residual + dHidden · downᵀ. */
export function backwardDispatches(
  problem: AdapterProblem,
  t: BackwardTensors,
  gpu: Gpu,
): Dispatch[] {
  const { shared } = problem;
  if (usesProducts(problem, gpu)) {
    const product = products(problem, gpu, true);
    return [
      ...product(t.dy, t.up, t.dHidden, { gate: t.hidden }),
      ...t.dx ? product(t.dHidden, t.down, t.dx, { residual: t.residual }) : [],
    ];
  }
  return [fused("backward", problem, {
    constants: {
      transposed: Number(!shared),
      has_result: Number(t.dx !== undefined),
      has_residual: Number(t.residual !== undefined),
    },
    bindings: {
      values: t.dy,
      first: t.up,
      second: t.down,
      gate: t.hidden,
      ...(t.residual && { residual: t.residual }),
      hidden: t.dHidden,
      ...(t.dx && { result: t.dx }),
    },
  })];
}

function usesProducts({ shared, batch, rows }: AdapterProblem, gpu: Gpu): boolean {
  return gpu.isCpu || (shared && batch * rows >= MANY_ROWS);
}

function fused(
  entry: "forward" | "backward",
  { batch, rows, width, bottleneck, shared }: AdapterProblem,
  { constants, bindings }: Required<Pick<Dispatch, "constants" | "bindings">>,
): Dispatch {
  // With shared weights all rows are rows of one instance.
  const [instances, instanceRows] = shared ? [1, batch * rows] : [batch, rows];
  const tiles = (tileRows: number) => instances * Math.ceil(instanceRows / tileRows);
  const tileRows = TILE_ROWS.find((size) => tiles(size) >= WORKGROUPS) ?? TILE_ROWS.at(-1)!;
  const { transposed } = constants;
  return {
    shader: fusedShader(tileRows, bottleneck, transposed === 1),
    entry,
    constants: { ...constants, vectorized: Number(width % 4 === 0 && bottleneck % 4 === 0) },
    uniforms: {
      instances,
      rows: instanceRows,
      width,
      bottleneck,
      weight_stride: shared ? 0 : width * bottleneck,
      first_bias_stride: shared ? 0 : bottleneck,
      second_bias_stride: shared ? 0 : width,
    },
    bindings,
    workgroups: linearGrid(tiles(tileRows), 1),
    flops: 4 * batch * rows * width * bottleneck,
  };
}

/** The fused kernel for tiles of so many rows. */
function fusedShader(tileRows: number, bottleneck: number, transposed: boolean): Shader {
  const blocks = 16 * LANES / tileRows;
  // The first product's few columns leave invocations to share each sum among.
  const columns = Math.min(blocks, 2 ** Math.ceil(Math.log2(Math.max(bottleneck, 16))));
  return withConstants({ name: "adapter", source: fusedSource }, {
    TILE_ROWS: tileRows,
    FIRST_SPLITS: blocks / columns,
    // Neighbours must read along a row of the matrix; along a column they do so by sharing sums.
    SECOND_SPLITS: transposed ? 4 : 1,
  });
}

/** Operands of a product's epilogue, by what they do. */
interface Epilogue {
  readonly bias?: Tensor;
  readonly activation?: "relu";
  /** The product passes where this is positive. */
  readonly gate?: Tensor;
  readonly residual?: Tensor | undefined;
}

/**
 * A function that gives the dispatches of result = x · weight and its epilogue.
 *
 * @param backward multiply by the transposed weight
 */
function products({ batch, rows, shared }: AdapterProblem, gpu: Gpu, backward = false) {
  const size = shared ? { batch: 1, m: batch * rows } : { batch, m: rows };
  return (
    x: Tensor,
    weight: Tensor,
    result: Tensor,
    { bias, activation, gate, residual }: Epilogue = {},
  ): Dispatch[] => {
    const k = x.shape[2], n = result.shape[2];
    const epilogue: MatmulEpilogue = {
      bias: bias !== undefined,
      biasStride: shared ? 0 : n,
      activation,
      gate: gate !== undefined,
      residual: residual !== undefined,
    };
    const problem = {
      ...size,
      n,
      k,
      transposeA: false,
      // A shared weight is stored [out, in].
      transposeB: shared !== backward,
      aStride: shared ? 0 : rows * k,
      bStride: shared ? 0 : k * n,
      epilogue,
    };
    const other = gate ?? residual;
    const operands = { a: x, b: weight, ...(bias && { bias }), ...(other && { residual: other }) };
    return matmulDispatches(problem, { ...operands, result }, gpu);
  };
}
