/**
 * What forward and backward attention share: the problem as plain data, its operands by name, and what
 * every one of their shaders is given.
 */

import { type Dispatch, type Shader, type Shape, ShapeError, type Tensor } from "../tensor.ts";
import { bucketed, bucketProblem, type PositionBuckets } from "./position-buckets.ts";

/** The problem as plain data; operands come in the order query, key, value, table, keyMask, seed. */
export interface AttentionAttributes {
  readonly heads: number;
  readonly causal: boolean;
  readonly maskValue: number;
  /** Which row of the table a pair's bias is in, besides the table itself. */
  readonly positions: PositionBuckets | null;
  readonly hasKeyMask: boolean;
  /** What dropout needs besides its seed. */
  readonly dropout: { readonly rate: number; readonly site: number } | null;
}

/** Operands of an attention by name. */
export interface AttentionOperands {
  readonly query: Tensor;
  readonly key: Tensor;
  readonly value: Tensor;
  readonly table: Tensor | undefined;
  readonly keyMask: Tensor | undefined;
  readonly seed: Tensor | undefined;
}

/** What the forward pass makes. */
export interface ForwardResults {
  readonly output: Tensor;
  /** [batch, heads, queryLength, 2]: maximum of the scores, 1 / Σ exp(score − maximum). */
  readonly statistics: Tensor;
}

/** Where gradients of operands go; only those that are wanted. */
export interface AttentionGradients {
  readonly query?: Tensor;
  readonly key?: Tensor;
  readonly value?: Tensor;
  readonly table?: Tensor;
}

/** Sizes of an attention; a query has heads · headSize features. */
export interface AttentionSizes {
  readonly batch: number;
  readonly queryLength: number;
  readonly keyLength: number;
  readonly headSize: number;
}

/** The operands that lead a node's inputs, by name. */
export function attentionOperands(
  inputs: readonly Tensor[],
  { positions, hasKeyMask, dropout }: AttentionAttributes,
): AttentionOperands {
  const [query, key, value, ...optional] = inputs;
  const table = positions ? optional.shift() : undefined;
  const keyMask = hasKeyMask ? optional.shift() : undefined;
  const seed = dropout ? optional.shift() : undefined;
  return { query, key, value, table, keyMask, seed };
}

/** The operands that are there, in the order in which an op takes them. */
export function operandList(operands: AttentionOperands): Tensor[] {
  const { query, key, value, table, keyMask, seed } = operands;
  return [query, key, value, table, keyMask, seed].filter((tensor) => tensor !== undefined);
}

/** Sizes of a problem whose operands fit. */
export function attentionSizes(
  { query, key }: Pick<AttentionOperands, "query" | "key">,
  { heads }: { readonly heads: number },
): AttentionSizes {
  const [batch, queryLength, width] = query.shape;
  return { batch, queryLength, keyLength: key.shape[1], headSize: width / heads };
}

/** Throws `ShapeError` unless the operands fit. */
export function requireAttention(
  operands: AttentionOperands,
  { heads, positions }: AttentionAttributes,
): void {
  const { query, key, value, table, keyMask, seed } = operands;
  const fail = (message: string): never => {
    throw new ShapeError("attention", message, operandList(operands));
  };
  if ([query, key, value].some(({ shape, dtype }) => shape.length !== 3 || dtype !== "f32")) {
    fail("query, key and value must be f32 of 3 axes");
  }
  const { batch, keyLength, headSize } = attentionSizes(operands, { heads });
  const is = (tensor: Tensor, dtype: string, ...shape: Shape) =>
    tensor.dtype === dtype && tensor.shape.join() === shape.join();
  if (!Number.isInteger(headSize)) fail(`the last axis cannot be cut into ${heads} heads`);
  if (![key, value].every((t) => is(t, "f32", batch, keyLength, heads * headSize))) {
    fail("key and value must have the batch and the last axis of the query, and one length");
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
  { name, source }: Shader,
  headSize: number,
  { positions }: AttentionAttributes,
): Shader {
  const chunks = Math.ceil(headSize / TILE);
  return bucketed({
    name: `${name}-${TILE * chunks}`,
    source: source.replace("const CHUNKS = 2u;", `const CHUNKS = ${chunks}u;`),
  }, positions);
}

/** The uniforms and override constants of every attention shader. */
export function attentionSettings(
  operands: Pick<AttentionOperands, "query" | "key">,
  attributes: AttentionAttributes,
): Pick<Dispatch, "uniforms" | "constants"> {
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
