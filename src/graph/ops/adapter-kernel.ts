/**
 * Which kernels compute an adapter: one fused dispatch on GPUs; on CPU adapters two matrix products with
 * small dispatches between them.
 *
 * On llvmpipe (2 cores) a fused kernel without barriers, four rows per invocation, reached 3 GFLOP/s at
 * [B, T, D, A] = [32, 32, 128, 16] and [16, 64, 512, 64], the matrix products 10 to 30; at [32, 1, 768, 64],
 * a step of decoding, both waited for memory.
 */

import epilogueSource from "../../../shaders/adapter-epilogue.wgsl" with { type: "text" };
import fusedSource from "../../../shaders/adapter.wgsl" with { type: "text" };
import type { Gpu } from "../../gpu/device.ts";
import { elementGrid, linearGrid } from "../dispatch.ts";
import { type Dispatch, size, type Tensor } from "../tensor.ts";
import { matmul, type MatmulOptions } from "./matmul.ts";

/** Rows that a workgroup of the fused kernel takes. */
const TILE_ROWS = 16;

/** Elements that an invocation of the epilogues takes. */
const STRETCH = 16;

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
  const residual = t.residual && { residual: t.residual };
  if (gpu.isCpu) {
    return [
      ...productInto(t.hidden, t.x, t.down, { transposeB: shared }, gpu),
      epilogue("add_bias_relu", t.hidden, shared, { bias: t.downBias }),
      ...productInto(t.y, t.hidden, t.up, { transposeB: shared }, gpu),
      epilogue("add_bias", t.y, shared, { bias: t.upBias, ...residual }),
    ];
  }
  return [fused("forward", problem, {
    constants: { transposed: Number(shared), has_residual: Number(residual !== undefined) },
    bindings: {
      values: t.x,
      first: t.down,
      second: t.up,
      first_bias: t.downBias,
      second_bias: t.upBias,
      ...residual,
      hidden: t.hidden,
      result: t.y,
    },
  })];
}

/** dHidden = dy · upᵀ where hidden > 0, else 0; dx = dHidden · downᵀ. */
export function backwardDispatches(
  problem: AdapterProblem,
  t: BackwardTensors,
  gpu: Gpu,
): Dispatch[] {
  const { shared } = problem;
  if (gpu.isCpu) {
    return [
      ...productInto(t.dHidden, t.dy, t.up, { transposeB: !shared }, gpu),
      epilogue("gate_gradient", t.dHidden, shared, { gate: t.hidden }),
      ...t.dx ? productInto(t.dx, t.dHidden, t.down, { transposeB: !shared }, gpu) : [],
    ];
  }
  return [fused("backward", problem, {
    constants: { transposed: Number(!shared), has_result: Number(t.dx !== undefined) },
    bindings: {
      values: t.dy,
      first: t.up,
      second: t.down,
      gate: t.hidden,
      hidden: t.dHidden,
      ...(t.dx && { result: t.dx }),
    },
  })];
}

/** sums [B, N] = the sum over the rows of each instance of `summands` [B, T, N]. */
export function instanceSums(summands: Tensor, sums: Tensor): Dispatch {
  const [instances, rows, columns] = summands.shape;
  return {
    shader: { name: "adapter-epilogue", source: epilogueSource },
    entry: "sum_rows",
    uniforms: { instances, rows, columns, bias_stride: 0 },
    bindings: { summands, sums },
    workgroups: elementGrid(sums),
    flops: size(summands.shape),
  };
}

function fused(
  entry: "forward" | "backward",
  { batch, rows, width, bottleneck, shared }: AdapterProblem,
  { constants, bindings }: Required<Pick<Dispatch, "constants" | "bindings">>,
): Dispatch {
  // With shared weights all rows are rows of one instance.
  const [instances, instanceRows] = shared ? [1, batch * rows] : [batch, rows];
  return {
    shader: { name: "adapter", source: fusedSource },
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
    workgroups: linearGrid(instances * Math.ceil(instanceRows / TILE_ROWS), 1),
    flops: 4 * batch * rows * width * bottleneck,
  };
}

/** The dispatches of a · b with `result` in the place of the product. */
function productInto(
  result: Tensor,
  a: Tensor,
  b: Tensor,
  options: MatmulOptions,
  gpu: Gpu,
): Dispatch[] {
  const product = matmul(a, b, options);
  return product.node.op.kernel!(product.node, gpu).map((dispatch) => ({
    ...dispatch,
    bindings: Object.fromEntries(
      Object.entries(dispatch.bindings).map(([name, tensor]) => [
        name,
        tensor === product ? result : tensor,
      ]),
    ),
  }));
}

function epilogue(
  entry: "add_bias_relu" | "add_bias" | "gate_gradient",
  values: Tensor,
  shared: boolean,
  operands: Readonly<Record<string, Tensor>>,
): Dispatch {
  const [instances, rows, columns] = values.shape;
  return {
    shader: { name: "adapter-epilogue", source: epilogueSource },
    entry,
    ...(entry === "add_bias" &&
      { constants: { has_residual: Number(operands.residual !== undefined) } }),
    uniforms: { instances, rows, columns, bias_stride: shared ? 0 : columns },
    bindings: { ...operands, values },
    workgroups: linearGrid(instances * rows * Math.ceil(columns / STRETCH)),
    flops: size(values.shape),
  };
}
