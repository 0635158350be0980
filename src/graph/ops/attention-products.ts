/**
 * Attention as matrix products with a softmax between them: how CPU adapters compute it.
 *
 * The scores are held in memory, but only while one op runs: the backward pass computes them anew, which is
 * one product more and saves batch · heads · queryLength · keyLength numbers a layer.
 */

import source from "../../../shaders/attention-softmax.wgsl" with { type: "text" };
import type { Gpu } from "../../gpu/device.ts";
import { linearGrid } from "../dispatch.ts";
import type { Dispatch, Scratch, Tensor } from "../tensor.ts";
import {
  type AttentionAttributes,
  type AttentionGradients,
  type AttentionOperands,
  attentionSettings,
  attentionSizes,
  type ForwardResults,
} from "./attention-problem.ts";
import { matmulDispatches } from "./matmul.ts";

/** Invocations of a workgroup of attention-softmax.wgsl. */
const WORKGROUP_SIZE = 8;

/** A matrix for every batch element and head; strides are in elements. */
interface Matrices {
  readonly memory: Tensor | Scratch;
  readonly rows: number;
  readonly columns: number;
  readonly stride: number;
  readonly headStride: number;
  readonly rowStride: number;
  readonly transposed?: boolean;
}

/** Whether this is how attention is computed: on CPU adapters, as long as the scores fit into a binding. */
export function usesProducts(
  operands: Pick<AttentionOperands, "query" | "key">,
  attributes: AttentionAttributes,
  { isCpu, limits }: {
    readonly isCpu: boolean;
    readonly limits: { readonly maxStorageBufferBindingSize: number };
  },
): boolean {
  const { scratchBytes } = scoreMatrices(operands, attributes).memory;
  return isCpu && scratchBytes <= limits.maxStorageBufferBindingSize;
}

/** The dispatches of the forward pass. */
export function forwardProducts(
  operands: AttentionOperands,
  attributes: AttentionAttributes,
  { output, statistics }: ForwardResults,
  gpu: Gpu,
): Dispatch[] {
  const [query, key, value, result] = [operands.query, operands.key, operands.value, output]
    .map((tensor) => headMatrices(tensor, attributes));
  const scores = scoreMatrices(operands, attributes);
  const product = products(operands, attributes, gpu);
  return [
    product(query, transpose(key), scores),
    softmax("forward", operands, attributes, { scores: scores.memory, statistics }),
    product(scores, value, result),
  ];
}

/** The dispatches of the backward pass, for the gradients that are wanted. */
export function backwardProducts(
  operands: AttentionOperands,
  attributes: AttentionAttributes,
  { statistics }: ForwardResults,
  outputGradient: Tensor,
  wanted: AttentionGradients,
  gpu: Gpu,
): Dispatch[] {
  const [query, key, value, dOutput] = [
    operands.query,
    operands.key,
    operands.value,
    outputGradient,
  ]
    .map((tensor) => headMatrices(tensor, attributes));
  const scores = scoreMatrices(operands, attributes);
  const scoreGradients = scoreMatrices(operands, attributes);
  const product = products(operands, attributes, gpu);
  const into = (tensor: Tensor | undefined, a: Matrices, b: Matrices) =>
    tensor ? [product(a, b, headMatrices(tensor, attributes))] : [];
  return [
    product(query, transpose(key), scores),
    product(dOutput, transpose(value), scoreGradients),
    softmax("backward", operands, attributes, {
      scores: scores.memory,
      score_gradients: scoreGradients.memory,
      forward_statistics: statistics,
    }),
    ...into(wanted.query, scoreGradients, key),
    ...into(wanted.key, transpose(scoreGradients), query),
    ...into(wanted.value, transpose(scores), dOutput),
    ...(wanted.bias ? [biasGradient(operands, attributes, scoreGradients, wanted.bias)] : []),
  ];
}

/** The heads in [batch, length, heads · headSize]. */
function headMatrices(memory: Tensor, { heads }: AttentionAttributes): Matrices {
  const [, rows, rowStride] = memory.shape;
  const columns = rowStride / heads;
  return { memory, rows, columns, rowStride, headStride: columns, stride: rows * rowStride };
}

/** New memory for a score of every query and key, in rows of whole vec4s. */
function scoreMatrices(
  operands: Pick<AttentionOperands, "query" | "key">,
  attributes: AttentionAttributes,
) {
  const { batch, queryLength, keyLength } = attentionSizes(operands, attributes);
  const rowStride = 4 * Math.ceil(keyLength / 4);
  const headStride = queryLength * rowStride;
  const stride = attributes.heads * headStride;
  const memory: Scratch = { scratchBytes: 4 * batch * stride };
  return { memory, rows: queryLength, columns: keyLength, rowStride, headStride, stride };
}

function transpose(matrices: Matrices): Matrices {
  const { rows, columns } = matrices;
  return { ...matrices, rows: columns, columns: rows, transposed: true };
}

/** A function that gives the dispatch of result = a · b in every head. */
function products(operands: AttentionOperands, attributes: AttentionAttributes, gpu: Gpu) {
  const { heads } = attributes;
  const { batch } = attentionSizes(operands, attributes);
  return (a: Matrices, b: Matrices, result: Matrices): Dispatch => {
    const problem = {
      batch: batch * heads,
      m: a.rows,
      n: b.columns,
      k: a.columns,
      transposeA: a.transposed ?? false,
      transposeB: b.transposed ?? false,
      aStride: a.stride,
      bStride: b.stride,
      layout: {
        heads,
        aHeadStride: a.headStride,
        aRowStride: a.rowStride,
        bHeadStride: b.headStride,
        bRowStride: b.rowStride,
        resultStride: result.stride,
        resultHeadStride: result.headStride,
        resultRowStride: result.rowStride,
        aOffset: 0,
        bOffset: 0,
        resultOffset: 0,
      },
    };
    const memory = { a: a.memory, b: b.memory, result: result.memory };
    const [dispatch] = matmulDispatches(problem, memory, gpu);
    return dispatch;
  };
}

/** A dispatch over rows of scores. */
function softmax(
  entry: "forward" | "backward",
  operands: AttentionOperands,
  attributes: AttentionAttributes,
  bindings: Dispatch["bindings"],
): Dispatch {
  const { bias, keyMask, seed } = operands;
  const { batch, queryLength, keyLength } = attentionSizes(operands, attributes);
  const rows = batch * attributes.heads * queryLength;
  return {
    ...attentionSettings(operands, attributes),
    shader: { name: "attention-softmax", source },
    entry,
    bindings: {
      ...(bias && { bias }),
      ...(keyMask && { key_mask: keyMask }),
      ...(seed && { seed }),
      ...bindings,
    },
    workgroups: linearGrid(rows, WORKGROUP_SIZE),
    flops: 8 * rows * keyLength,
  };
}

function biasGradient(
  operands: AttentionOperands,
  attributes: AttentionAttributes,
  { memory, headStride, stride }: Matrices,
  bias_gradient: Tensor,
): Dispatch {
  const { heads } = attributes;
  const { batch } = attentionSizes(operands, attributes);
  return {
    ...attentionSettings(operands, attributes),
    shader: { name: "attention-softmax", source },
    entry: "backward_bias",
    bindings: { score_gradients: memory, bias_gradient },
    workgroups: linearGrid(heads * headStride / 4, WORKGROUP_SIZE),
    flops: batch * stride,
  };
}
