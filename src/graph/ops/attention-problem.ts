/**
 * What forward and backward attention share: the problem as plain data, its operands by name, and what
 * every one of their shaders is given.
 */

import { withConstants } from "../constants.ts";
import { type Dispatch, type Shader, type Shape, ShapeError, type Tensor } from "../tensor.ts";
import { bucketed, bucketProblem, type PositionBuckets } from "./position-buckets.ts";

/** The problem as plain data; operands come in the order query, keyValue, table, keyMask, seed. */
export interface AttentionAttributes {
  /** Whether queries, keys and values are in one operand, which comes once. */
  readonly isSelf: boolean;
  readonly heads: number;
  readonly causal: boolean;
  readonly maskValue: number;
  /** Which row of the table a pair's bias is in, besides the table itself. */
  readonly positions: PositionBuckets | null;
  readonly hasKeyMask: boolean;
  /** What dropout needs besides its seed. */
  readonly dropout: { readonly rate: number; readonly site: number } | null;
}

/**
 * Operands of an attention by name. With `inner` = heads · headSize, queries are the first `inner` columns
 * of theirs, keys and values the last 2 · `inner` of theirs.
 */
export interface AttentionOperands {
  /** [batch, queryLength, inner] or, in self-attention, [batch, length, 3 · inner]. */
  readonly query: Tensor;
  /** [batch, keyLength, 2 · inner] or, in self-attention, the same tensor as the query. */
  readonly keyValue: Tensor;
  readonly table: Tensor | undefined;
  readonly keyMask: Tensor | undefined;
  readonly seed: Tensor | undefined;
}

/** What the forward pass makes. */
export interface ForwardResults {
  readonly output: Tensor;
  /**
   * [batch, heads, queryLength, 2]: maximum of the scores, 1 / Σ exp(score − maximum), in memory that has room
   * after them for the dropout's words and the key mask, which the kernels for GPUs keep there.
   */
  readonly statistics: Tensor;
}

/** Where gradients of operands go, laid out like these; only those that are wanted. */
export interface AttentionGradients {
  readonly query?: Tensor | undefined;
  readonly keyValue?: Tensor | undefined;
  readonly table?: Tensor | undefined;
}

/** Sizes of an attention. */
export interface AttentionSizes {
  readonly batch: number;
  readonly queryLength: number;
  readonly keyLength: number;
  readonly headSize: number;
  /** Features of a query in all heads together. */
  readonly inner: number;
}

/** The operands that lead a node's inputs, by name. */
export function attentionOperands(
  inputs: readonly Tensor[],
  { isSelf, positions, hasKeyMask, dropout }: AttentionAttributes,
): AttentionOperands {
  const [query, keyValue, ...optional] = isSelf ? [inputs[0], ...inputs] : inputs;
  const table = positions ? optional.shift() : undefined;
  const keyMask = hasKeyMask ? optional.shift() : undefined;
  const seed = dropout ? optional.shift() : undefined;
  return { query, keyValue, table, keyMask, seed };
}

/** The operands that are there, in the order in which an op takes them. */
export function operandList(
  { query, keyValue, table, keyMask, seed }: AttentionOperands,
  { isSelf }: Pick<AttentionAttributes, "isSelf">,
): Tensor[] {
  const packed = isSelf ? [query] : [query, keyValue];
  return [...packed, table, keyMask, seed].filter((tensor) => tensor !== undefined);
}

/** Sizes of a problem whose operands fit. */
export function attentionSizes(
  { query, keyValue }: Pick<AttentionOperands, "query" | "keyValue">,
  { heads, isSelf }: Pick<AttentionAttributes, "heads" | "isSelf">,
): AttentionSizes {
  const [batch, queryLength, width] = query.shape;
  const inner = isSelf ? width / 3 : width;
  return { batch, queryLength, keyLength: keyValue.shape[1], headSize: inner / heads, inner };
}

/** Throws `ShapeError` unless the operands fit. */
export function requireAttention(
  operands: AttentionOperands,
  attributes: AttentionAttributes,
): void {
  const { heads, isSelf, positions } = attributes;
  const { query, keyValue, table, keyMask, seed } = operands;
  const fail = (message: string): never => {
    throw new ShapeError("attention", message, operandList(operands, attributes));
  };
  if ([query, keyValue].some(({ shape, dtype }) => shape.length !== 3 || dtype !== "f32")) {
    fail("queries, keys and values must be f32 of 3 axes");
  }
  const { batch, keyLength, headSize, inner } = attentionSizes(operands, attributes);
  const is = (tensor: Tensor, dtype: string, ...shape: Shape) =>
    tensor.dtype === dtype && tensor.shape.join() === shape.join();
  if (!Number.isInteger(headSize)) {
    const parts = isSelf ? "queries, keys and values of " : "";
    fail(`the last axis cannot be cut into ${parts}${heads} heads`);
  }
  if (!isSelf && !is(keyValue, "f32", batch, keyLength, 2 * inner)) {
    fail("keys and values must have the batch of the queries, and twice their last axis");
  }
  if (table && !is(table, "f32", table.shape[0], heads)) {
    fail(`the table of position biases must be f32[buckets, ${heads}]`);
  }
  const problem = positions && bucketProblem(positions);
  if (problem) fail(`the table of position biases must have ${problem}`);
  if (keyMask && !is(keyMask, "i32", batch, keyLength)) {
    fail(`the key mask must be i32[${batch}, ${keyLength}]`);
  }
  if (seed && !is(seed, "u32", 2)) fail("the dropout seed must be u32[2]");
}

/** Queries or keys that a workgroup of the kernels for GPUs owns. */
export const TILE = 32;

/** A shader of the kernels for GPUs, with as many chunks of 32 features as a head has. */
export function tiled(
  shader: Shader,
  headSize: number,
  { positions }: AttentionAttributes,
): Shader {
  const chunks = Math.ceil(headSize / TILE);
  const { source } = withConstants(shader, { CHUNKS: chunks });
  return bucketed({ name: `${shader.name}-${TILE * chunks}`, source }, positions);
}

/** The uniforms and override constants of the kernels for GPUs. */
export function tiledSettings(
  operands: AttentionOperands,
  attributes: AttentionAttributes,
): Required<Pick<Dispatch, "uniforms" | "constants">> {
  const { uniforms, constants } = attentionSettings(operands, attributes);
  const { inner, headSize } = attentionSizes(operands, attributes);
  const queryStride = operands.query.shape[2], keyStride = operands.keyValue.shape[2];
  const columns = {
    query_stride: queryStride,
    key_stride: keyStride,
    key_offset: keyStride - 2 * inner,
  };
  return {
    uniforms: { ...uniforms, ...columns },
    constants: { ...constants, whole_vectors: Number(headSize % 4 === 0) },
  };
}

/** The uniforms and override constants that all attention shaders have. */
export function attentionSettings(
  operands: Pick<AttentionOperands, "query" | "keyValue">,
  attributes: AttentionAttributes,
): Required<Pick<Dispatch, "uniforms" | "constants">> {
  const { heads, causal, maskValue, positions, hasKeyMask, dropout } = attributes;
  const { batch, queryLength, keyLength, headSize } = attentionSizes(operands, attributes);
  return {
    uniforms: {
      batch,
      heads,
      query_length: queryLength,
      key_length: keyLength,
      head_size: headSize,
      mask_value: maskValue,
      dropout_rate: dropout?.rate ?? 0,
      dropout_site: dropout?.site ?? 0,
    },
    constants: {
      has_table: Number(positions !== null),
      has_key_mask: Number(hasKeyMask),
      has_dropout: Number(dropout !== null),
      causal: Number(causal),
    },
  };
}
