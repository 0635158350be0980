/**
 * What forward and backward attention share: the problem as plain data, its operands by name, and what
 * every one of their shaders is given.
 */

import { type Dispatch, type Shader, type Shape, ShapeError, type Tensor } from "../tensor.ts";

/** Features of a block, in vectors of four; see attention.wgsl. */
const MAX_BLOCK_VECTORS = 16;

/** The problem as plain data; operands come in the order query, key, value, bias, keyMask, seed. */
export interface AttentionAttributes {
  readonly heads: number;
  readonly causal: boolean;
  readonly maskValue: number;
  readonly hasBias: boolean;
  readonly hasKeyMask: boolean;
  /** What dropout needs besides its seed. */
  readonly dropout: { readonly rate: number; readonly site: number } | null;
}

/** Operands of an attention by name. */
export interface AttentionOperands {
  readonly query: Tensor;
  readonly key: Tensor;
  readonly value: Tensor;
  readonly bias: Tensor | undefined;
  readonly keyMask: Tensor | undefined;
  readonly seed: Tensor | undefined;
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
  { hasBias, hasKeyMask, dropout }: AttentionAttributes,
): AttentionOperands {
  const [query, key, value, ...optional] = inputs;
  const bias = hasBias ? optional.shift() : undefined;
  const keyMask = hasKeyMask ? optional.shift() : undefined;
  const seed = dropout ? optional.shift() : undefined;
  return { query, key, value, bias, keyMask, seed };
}

/** The operands that are there, in the order in which an op takes them. */
export function operandList(operands: AttentionOperands): Tensor[] {
  const { query, key, value, bias, keyMask, seed } = operands;
  return [query, key, value, bias, keyMask, seed].filter((tensor) => tensor !== undefined);
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
  { heads }: AttentionAttributes,
): void {
  const { query, key, value, bias, keyMask, seed } = operands;
  const fail = (message: string): never => {
    throw new ShapeError("attention", message, operandList(operands));
  };
  if ([query, key, value].some(({ shape, dtype }) => shape.length !== 3 || dtype !== "f32")) {
    fail("query, key and value must be f32 of 3 axes");
  }
  const { batch, queryLength, keyLength, headSize } = attentionSizes(operands, { heads });
  const is = (tensor: Tensor, dtype: string, ...shape: Shape) =>
    tensor.dtype === dtype && tensor.shape.join() === shape.join();
  if (!Number.isInteger(headSize)) fail(`the last axis cannot be cut into ${heads} heads`);
  if (![key, value].every((t) => is(t, "f32", batch, keyLength, heads * headSize))) {
    fail("key and value must have the batch and the last axis of the query, and one length");
  }
  if (bias && !is(bias, "f32", heads, queryLength, keyLength)) {
    fail(`the bias must be f32[${heads}, ${queryLength}, ${keyLength}]`);
  }
  if (keyMask && !is(keyMask, "i32", batch, keyLength)) {
    fail(`the key mask must be i32[${batch}, ${keyLength}]`);
  }
  if (seed && !is(seed, "u32", 2)) fail("the dropout seed must be u32[2]");
}

/**
 * A shader of the kernels for CPU adapters, whose invocations own four rows by a block of features: the
 * shader with the block that suits a head, and how many blocks a head has.
 */
export function blocked(name: string, source: string, headSize: number) {
  const vectors = Math.min(MAX_BLOCK_VECTORS, Math.ceil(headSize / 4));
  const whole = headSize % 4 === 0;
  const declaration = "const BLOCK_VECTORS = 8u;";
  const shader: Shader = {
    name: `${name}-${4 * vectors}${whole ? "" : "-scalar"}`,
    source: (whole ? source : withScalarReads(source))
      .replace(declaration, `const BLOCK_VECTORS = ${vectors}u;`),
  };
  return { shader, blocks: blockCount(headSize) };
}

/** Blocks of a head. */
export function blockCount(headSize: number): number {
  return Math.ceil(headSize / (4 * MAX_BLOCK_VECTORS));
}

/** The source with every read of four features made of four reads, with zeros beyond the head. */
function withScalarReads(source: string): string {
  return source
    .replaceAll(/(var<storage, read> \w+: array)<vec4f>/g, "$1<f32>")
    .replaceAll(
      /return (\w+)\[offset \/ 4u \+ vector\];/g,
      `let i = 4u * vector + vec4u(0, 1, 2, 3);
  let j = offset + min(i, vec4u(params.head_size - 1u));
  return select(vec4f(), vec4f($1[j.x], $1[j.y], $1[j.z], $1[j.w]), i < vec4u(params.head_size));`,
    );
}

/** Queries or keys that a workgroup of the kernels for GPUs owns. */
export const TILE = 32;

/** A shader of the kernels for GPUs, with as many chunks of 32 features as a head has. */
export function tiled(name: string, source: string, headSize: number): Shader {
  const chunks = Math.ceil(headSize / TILE);
  return {
    name: `${name}-${TILE * chunks}`,
    source: source.replace("const CHUNKS = 2u;", `const CHUNKS = ${chunks}u;`),
  };
}

/** The uniforms and override constants of every attention shader. */
export function attentionSettings(
  operands: Pick<AttentionOperands, "query" | "key">,
  attributes: AttentionAttributes,
): Pick<Dispatch, "uniforms" | "constants"> {
  const { heads, causal, maskValue, hasBias, hasKeyMask, dropout } = attributes;
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
      has_bias: Number(hasBias),
      has_key_mask: Number(hasKeyMask),
      has_dropout: Number(dropout !== null),
      causal: Number(causal),
    },
  };
}
