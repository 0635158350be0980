/**
 * Multi-head attention: in one dispatch on GPUs and on CPU adapters with subgroups (attention-subgroup.ts), by
 * matrix products on other CPU adapters and for sizes of head that those do not take (attention-products.ts).
 *
 * Nothing in memory is of queries by keys, forward or backward: what is kept is linear in both lengths.
 */

import tiledSource from "../../../shaders/attention-tiled.wgsl" with { type: "text" };
import { applyAll, type Dispatch, type Op, type Tensor } from "../tensor.ts";
import { attentionGradients } from "./attention-gradient.ts";
import {
  type AttentionAttributes,
  type AttentionOperands,
  attentionOperands,
  attentionSizes,
  type ForwardResults,
  operandList,
  requireAttention,
  TILE,
  tiled,
  tiledSettings,
} from "./attention-problem.ts";
import { forwardProducts } from "./attention-products.ts";
import { forwardSubgroup, hasForwardSubgroup } from "./attention-subgroup.ts";

/** Dropout on attention weights; which ones depends on the seed, the site and their position alone. */
export interface AttentionDropout {
  /** Fraction of the weights set to 0; the others are multiplied by 1 / (1 - rate). */
  readonly rate: number;
  /** u32[2]. */
  readonly seed: Tensor;
  /** Tells this use of randomness from every other one in the model. */
  readonly site: number;
}

/** T5's relative position bias (Raffel et al. 2020, section 2.1). */
export interface RelativePositions {
  /** [buckets, heads]: the bias of a pair is in the row that key − query has its bucket in. */
  readonly table: Tensor;
  /** Whether keys after the query have buckets of their own (encoder) or not (decoder). */
  readonly bidirectional: boolean;
  /** From about here on, all distances share one bucket; 128 unless given. */
  readonly maxDistance?: number;
}

/** What attention may be given besides queries, keys and values. */
export interface AttentionOptions {
  readonly heads: number;
  /** Whose bias is added to the scores. */
  readonly positions?: RelativePositions | undefined;
  /** i32[batch, keyLength], 0 where a key is masked. */
  readonly keyMask?: Tensor | undefined;
  /** Whether keys after the query are masked too. */
  readonly causal?: boolean;
  /** What is added, once, to the score of a masked key. */
  readonly maskValue: number;
  readonly dropout?: AttentionDropout | undefined;
}

/** Outputs the result and, for the backward pass, what {@linkcode ForwardResults} calls statistics. */
const attentionOp: Op<AttentionAttributes> = {
  name: "attention",
  shape(inputs, attributes) {
    const operands = attentionOperands(inputs, attributes);
    requireAttention(operands, attributes);
    const { batch, queryLength, keyLength, inner } = attentionSizes(operands, attributes);
    const statistics = 2 * batch * attributes.heads * queryLength;
    const masks = attributes.hasKeyMask ? batch * keyLength : 0;
    return [
      { shape: [batch, queryLength, inner], dtype: "f32" },
      { shape: [statistics + 2 + masks], dtype: "f32" },
    ];
  },
  gradient({ inputs, attributes, outputs: [output, statistics] }, [outputGradient], needed) {
    const operands = attentionOperands(inputs, attributes);
    const forward = { output, statistics };
    return attentionGradients(attributes, operands, forward, outputGradient!, needed);
  },
  kernel({ inputs, attributes, outputs: [output, statistics] }, gpu) {
    const operands = attentionOperands(inputs, attributes);
    const fused = hasForwardSubgroup(attentionSizes(operands, attributes), gpu);
    const dispatches = fused ? forwardSubgroup : gpu.isCpu ? forwardProducts : forwardTiles;
    return dispatches(operands, attributes, { output, statistics }, gpu);
  },
};

/** The dispatch for GPUs, which keeps scores out of memory. */
function forwardTiles(
  operands: AttentionOperands,
  attributes: AttentionAttributes,
  { output, statistics }: ForwardResults,
): Dispatch[] {
  const { query, keyValue, table, keyMask, seed } = operands;
  const { batch, queryLength, keyLength, headSize } = attentionSizes(operands, attributes);
  const { heads } = attributes;
  return [{
    ...tiledSettings(operands, attributes),
    shader: tiled({ name: "attention-tiled", source: tiledSource }, headSize, attributes),
    entry: "forward",
    bindings: {
      query,
      key_value: keyValue,
      ...(table && { table }),
      ...(keyMask && { key_mask: keyMask }),
      ...(seed && { seed }),
      output,
      context: statistics,
    },
    workgroups: [Math.ceil(queryLength / TILE), heads, batch],
    flops: 4 * batch * heads * queryLength * keyLength * headSize,
  }];
}

/**
 * Attention of a sequence to itself: softmax(q·kᵀ + position bias + mask)·v per head, without the usual
 * 1/√headSize (T5 has it in its initial values).
 *
 * Masks are added, not put in place of the score: a query whose keys are all masked attends by the
 * softmax of its shifted scores.
 *
 * @param queryKeyValue [batch, length, 3 · heads · headSize]: queries, keys and values side by side, as one
 * product makes them
 * @returns [batch, length, heads · headSize]
 * @throws {ShapeError} when operands do not fit
 */
export function selfAttention(queryKeyValue: Tensor, options: AttentionOptions): Tensor {
  return attention(queryKeyValue, queryKeyValue, true, options);
}

/**
 * As {@linkcode selfAttention}, of one sequence to another.
 *
 * @param query [batch, queryLength, heads · headSize]
 * @param keyValue [batch, keyLength, 2 · heads · headSize]: keys and values side by side
 * @returns as query
 * @throws {ShapeError} when operands do not fit
 */
export function crossAttention(query: Tensor, keyValue: Tensor, options: AttentionOptions): Tensor {
  return attention(query, keyValue, false, options);
}

function attention(
  query: Tensor,
  keyValue: Tensor,
  isSelf: boolean,
  options: AttentionOptions,
): Tensor {
  const { heads, positions, keyMask, causal = false, maskValue, dropout } = options;
  const table = positions?.table, seed = dropout?.seed;
  return applyAll(attentionOp, operandList({ query, keyValue, table, keyMask, seed }, { isSelf }), {
    isSelf,
    heads,
    causal,
    maskValue,
    positions: positions
      ? {
        buckets: positions.table.shape[0],
        bidirectional: positions.bidirectional,
        maxDistance: positions.maxDistance ?? 128,
      }
      : null,
    hasKeyMask: keyMask !== undefined,
    dropout: dropout ? { rate: dropout.rate, site: dropout.site } : null,
  })[0];
}
