/**
 * Attention as matrix products with a softmax between them: how CPU adapters compute what attention-subgroup.ts
 * does not.
 *
 * The scores are held in memory, but only those of a chunk at a time and only while one op runs: the backward
 * pass computes them anew, which is one product more and saves batch · heads · queryLength · keyLength numbers a
 * layer. A problem of ordinary size is one chunk, or a few of whole elements of the batch.
 */

import source from "../../../shaders/attention-softmax.wgsl" with { type: "text" };
import type { Gpu } from "../../gpu/device.ts";
import { linearGrid } from "../dispatch.ts";
import { type Dispatch, type Scratch, size, type Tensor } from "../tensor.ts";
import { type AttentionChunk, attentionChunks, wholeChunk } from "./attention-chunks.ts";
import {
  type AttentionAttributes,
  type AttentionGradients,
  type AttentionOperands,
  attentionSettings,
  attentionSizes,
  type ForwardResults,
} from "./attention-problem.ts";
import { matmulDispatches } from "./matmul-choice.ts";
import { bucketed } from "./position-buckets.ts";

/** Invocations of a workgroup of attention-softmax.wgsl. */
const WORKGROUP_SIZE = 8;

/** A matrix for every head of a chunk of the batch; offset and strides are in elements. */
interface Matrices {
  readonly memory: Tensor | Scratch;
  readonly rows: number;
  readonly columns: number;
  readonly offset: number;
  readonly stride: number;
  readonly headStride: number;
  readonly rowStride: number;
  readonly transposed?: boolean;
}

/** The dispatches of the forward pass. */
export function forwardProducts(
  operands: AttentionOperands,
  attributes: AttentionAttributes,
  { output, statistics }: ForwardResults,
  gpu: Gpu,
): Dispatch[] {
  const { query, keyValue } = operands;
  const { chunks, scratchBytes } = chunked(operands, attributes);
  const memory = { scratchBytes };
  return chunks.flatMap((chunk) => {
    const { queries, keys, values, ofPairs, product, softmax } = within(
      chunk,
      operands,
      attributes,
      gpu,
    );
    const scores = ofPairs(memory);
    return [
      product(queries(query), transpose(keys(keyValue)), scores),
      softmax("forward", { scores: memory, statistics }),
      product(scores, values(keyValue), queries(output)),
    ];
  });
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
  const { query, keyValue } = operands;
  const { queryLength, keyLength } = attentionSizes(operands, attributes);
  const { chunks, scratchBytes } = chunked(operands, attributes);
  const memory = { scratchBytes }, gradientMemory = { scratchBytes };
  const diagonals = { scratchBytes: 4 * attributes.heads * (queryLength + keyLength - 1) };
  const dispatches = chunks.flatMap((chunk, i) => {
    const { queries, keys, values, ofPairs, product, softmax, sumDiagonals } = within(
      chunk,
      operands,
      attributes,
      gpu,
    );
    const scores = ofPairs(memory), scoreGradients = ofPairs(gradientMemory);
    // The first queries of an element of the batch find no sum to add to.
    const hasSum = chunk.firstQuery > 0;
    return [
      product(queries(query), transpose(keys(keyValue)), scores),
      product(queries(outputGradient), transpose(values(keyValue)), scoreGradients),
      softmax("backward", {
        scores: memory,
        score_gradients: gradientMemory,
        forward_statistics: statistics,
      }),
      ...(wanted.query ? [product(scoreGradients, keys(keyValue), queries(wanted.query))] : []),
      ...(wanted.keyValue
        ? [
          product(transpose(scoreGradients), queries(query), keys(wanted.keyValue), hasSum),
          product(transpose(scores), queries(outputGradient), values(wanted.keyValue), hasSum),
        ]
        : []),
      ...(wanted.table ? [sumDiagonals(gradientMemory, diagonals, i > 0)] : []),
    ];
  });
  if (wanted.table) dispatches.push(sumBuckets(operands, attributes, diagonals, wanted.table));
  return dispatches;
}

/** The chunks of a problem, and bytes for the scores of any one of them. */
function chunked(operands: AttentionOperands, attributes: AttentionAttributes) {
  const sizes = attentionSizes(operands, attributes);
  const scoresPerQuery = attributes.heads * rowOfScores(sizes.keyLength);
  const chunks = attentionChunks(sizes, scoresPerQuery);
  const rows = Math.max(...chunks.map(({ batch, queries }) => batch * queries));
  return { chunks, scratchBytes: 4 * rows * scoresPerQuery };
}

/** Rows of scores are whole vec4s. */
function rowOfScores(keyLength: number): number {
  return 4 * Math.ceil(keyLength / 4);
}

function transpose(matrices: Matrices): Matrices {
  const { rows, columns } = matrices;
  return { ...matrices, rows: columns, columns: rows, transposed: true };
}

/** The dispatch of the table's gradient from the diagonals' sums. */
export function sumBuckets(
  operands: AttentionOperands,
  attributes: AttentionAttributes,
  diagonal_sums: Scratch,
  table_gradient: Tensor,
): Dispatch {
  return {
    ...softmaxSettings(wholeChunk(attentionSizes(operands, attributes)), operands, attributes),
    entry: "sum_buckets",
    bindings: { diagonal_sums, table_gradient },
    workgroups: linearGrid(size(table_gradient.shape), WORKGROUP_SIZE),
    flops: diagonal_sums.scratchBytes / 4,
  };
}

/** What every dispatch of attention-softmax.wgsl has. */
function softmaxSettings(
  { firstBatch, batch, firstQuery, queries }: AttentionChunk,
  operands: AttentionOperands,
  attributes: AttentionAttributes,
) {
  const { uniforms, constants } = attentionSettings(operands, attributes);
  return {
    shader: bucketed({ name: "attention-softmax", source }, attributes.positions),
    constants,
    uniforms: {
      ...uniforms,
      batch,
      queries,
      first_batch: firstBatch,
      first_query: firstQuery,
      accumulate: 0,
    },
  };
}

/** What a chunk works on, and its dispatches. */
function within(
  chunk: AttentionChunk,
  operands: AttentionOperands,
  attributes: AttentionAttributes,
  gpu: Gpu,
) {
  const { heads } = attributes;
  const { keyLength, headSize, inner } = attentionSizes(operands, attributes);
  const { firstBatch, batch, firstQuery, queries } = chunk;
  const settings = softmaxSettings(chunk, operands, attributes);

  /** Rows from `first` on of the heads that begin at a column of [batch, length, columns]. */
  const headMatrices = (memory: Tensor, first: number, rows: number, column: number): Matrices => {
    const [, length, rowStride] = memory.shape;
    const stride = length * rowStride;
    const offset = firstBatch * stride + first * rowStride + column;
    return { memory, rows, columns: headSize, offset, stride, headStride: headSize, rowStride };
  };

  /** result = a · b in every head, or what the result holds + a · b. */
  const product = (a: Matrices, b: Matrices, result: Matrices, accumulate = false): Dispatch => {
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
        aOffset: a.offset,
        bOffset: b.offset,
        resultOffset: result.offset,
      },
      epilogue: { accumulate },
    };
    const memory = { a: a.memory, b: b.memory, result: result.memory };
    const [dispatch] = matmulDispatches(problem, memory, gpu);
    return dispatch;
  };

  return {
    product,
    /** Of an operand that begins with the queries, of its gradient, or of the result. */
    queries: (memory: Tensor) => headMatrices(memory, firstQuery, queries, 0),
    /** Of an operand that ends with keys and values, or of its gradient. */
    keys: (memory: Tensor) => headMatrices(memory, 0, keyLength, memory.shape[2] - 2 * inner),
    values: (memory: Tensor) => headMatrices(memory, 0, keyLength, memory.shape[2] - inner),

    /** The scores of the chunk, which fill memory of their own. */
    ofPairs(memory: Scratch): Matrices {
      const rowStride = rowOfScores(keyLength), headStride = queries * rowStride;
      const stride = heads * headStride;
      return {
        memory,
        rows: queries,
        columns: keyLength,
        offset: 0,
        stride,
        headStride,
        rowStride,
      };
    },

    /** A dispatch over rows of scores. */
    softmax(entry: "forward" | "backward", bindings: Dispatch["bindings"]): Dispatch {
      const { table, keyMask, seed } = operands;
      const rows = batch * heads * queries;
      return {
        ...settings,
        entry,
        bindings: {
          ...(table && { table }),
          ...(keyMask && { key_mask: keyMask }),
          ...(seed && { seed }),
          ...bindings,
        },
        workgroups: linearGrid(rows, WORKGROUP_SIZE),
        flops: 8 * rows * keyLength,
      };
    },

    /** The sums along diagonals of the chunk's pairs, or what is there and those. */
    sumDiagonals: (score_gradient: Scratch, diagonals: Scratch, add: boolean): Dispatch => ({
      ...settings,
      uniforms: { ...settings.uniforms, accumulate: Number(add) },
      entry: "sum_diagonals",
      bindings: { score_gradient, diagonals },
      workgroups: linearGrid(diagonals.scratchBytes / 4, WORKGROUP_SIZE),
      flops: batch * heads * queries * keyLength,
    }),
  };
}
