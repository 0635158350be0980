/**
 * Attention of the newest queries over a cache of keys and values: a step of generation.
 */

import source from "../../../shaders/attention-step.wgsl" with { type: "text" };
import { linearGrid } from "../dispatch.ts";
import { apply, type Op, sameShape, type Shader, ShapeError, type Tensor } from "../tensor.ts";
import { withBuckets } from "./position-buckets.ts";

/** What `attentionStep` may be given besides query, keys and values. */
export interface AttentionStepOptions {
  readonly heads: number;
  /** u32[1]: index of the newest key, where the query stands. Later keys are left out. */
  readonly position?: Tensor | undefined;
  /** [buckets, heads]: table of a position bias that looks backward only. Needs a position. */
  readonly table?: Tensor | undefined;
  /** From about here on, all distances share one bucket; 128 unless given. */
  readonly maxDistance?: number;
  /** i32[batch, keyLength], 0 where a key is masked. */
  readonly keyMask?: Tensor | undefined;
  /** What is added to the score of a masked key; 0 unless given. */
  readonly maskValue?: number;
  /** u32[batch, queries, keyLength]: in which slot each key of a query lies; its own unless given. */
  readonly ancestors?: Tensor | undefined;
}

/** The most features of a block, in vectors of four; see attention-step.wgsl. */
const MAX_BLOCK_VECTORS = 16;

/** Operands come in the order query, key, value, position, table, keyMask, ancestors. */
interface Attributes {
  readonly heads: number;
  readonly hasPosition: boolean;
  readonly hasTable: boolean;
  readonly hasKeyMask: boolean;
  readonly hasAncestors: boolean;
  readonly maxDistance: number;
  readonly maskValue: number;
}

function operands(inputs: readonly Tensor[], attributes: Attributes) {
  const { hasPosition, hasTable, hasKeyMask, hasAncestors } = attributes;
  const [query, key, value, ...optional] = inputs;
  const position = hasPosition ? optional.shift() : undefined;
  const table = hasTable ? optional.shift() : undefined;
  const key_mask = hasKeyMask ? optional.shift() : undefined;
  const ancestors = hasAncestors ? optional.shift() : undefined;
  return {
    query,
    key,
    value,
    ...(position && { position }),
    ...(table && { table }),
    ...(key_mask && { key_mask }),
    ...(ancestors && { ancestors }),
  };
}

/** The shader with the block that suits a head, and how many blocks a head has. */
function blocked(headSize: number) {
  const vectors = Math.min(MAX_BLOCK_VECTORS, Math.ceil(headSize / 4));
  const shader: Shader = {
    name: `attention-step-${4 * vectors}`,
    source: source.replace("const BLOCK_VECTORS = 8u;", `const BLOCK_VECTORS = ${vectors}u;`),
  };
  return { shader, blocks: Math.ceil(headSize / (4 * MAX_BLOCK_VECTORS)) };
}

const attentionStepOp: Op<Attributes> = {
  name: "attentionStep",
  shape(inputs, attributes) {
    const { heads } = attributes;
    const given = operands(inputs, attributes);
    const { query, key, value, position, table, key_mask, ancestors } = given;
    const fail = (message: string): never => {
      throw new ShapeError("attentionStep", message, inputs);
    };
    const [batch, queries, width] = query.shape;
    const [, keyLength] = key.shape;
    if (query.shape.length !== 3 || width % heads !== 0) {
      fail(`the query must be [batch, queries, features] with features for ${heads} heads`);
    }
    const isCache = ({ shape }: Tensor) =>
      [1, queries].some((slots) => sameShape(shape, [batch, keyLength, slots * width]));
    if (!isCache(key) || !sameShape(key.shape, value.shape)) {
      fail("key and value must be [batch, length, slots · features], with one slot or one a query");
    }
    if (position && (position.dtype !== "u32" || !sameShape(position.shape, [1]))) {
      fail("the position must be u32[1]");
    }
    if (table && (!position || table.shape.length !== 2 || table.shape[1] !== heads)) {
      fail(`the table must be [buckets, ${heads}] and needs a position`);
    }
    if (key_mask && (key_mask.dtype !== "i32" || !sameShape(key_mask.shape, [batch, keyLength]))) {
      fail(`the key mask must be i32[${batch}, ${keyLength}]`);
    }
    const routes = [batch, queries, keyLength];
    if (ancestors && (ancestors.dtype !== "u32" || !sameShape(ancestors.shape, routes))) {
      fail(`the ancestors must be u32[${routes.join(", ")}]`);
    }
    return [query];
  },
  kernel({ inputs, attributes, outputs: [output] }, gpu) {
    const { heads, hasPosition, hasTable, hasKeyMask, hasAncestors } = attributes;
    const { maxDistance, maskValue } = attributes;
    const given = operands(inputs, attributes);
    const [batch, queries, width] = output.shape;
    const [, keyLength, cached] = given.key.shape;
    const headSize = width / heads;
    const { shader, blocks } = blocked(headSize);
    const buckets = given.table?.shape[0];
    return [{
      shader: buckets === undefined ? shader : {
        name: `${shader.name}-${buckets}-${maxDistance}`,
        source: withBuckets(shader.source, { buckets, bidirectional: false, maxDistance }),
      },
      entry: gpu.isCpu ? "by_invocation" : "by_workgroup",
      constants: {
        has_position: Number(hasPosition),
        has_table: Number(hasTable),
        has_key_mask: Number(hasKeyMask),
        has_ancestors: Number(hasAncestors),
      },
      uniforms: {
        batch,
        queries,
        slots: cached / width,
        heads,
        key_length: keyLength,
        head_size: headSize,
        mask_value: maskValue,
      },
      bindings: { ...given, output },
      workgroups: gpu.isCpu
        ? linearGrid(batch * queries * heads * blocks)
        : [Math.ceil(headSize / 64), heads, batch * queries],
      flops: 4 * batch * queries * keyLength * width,
    }];
  },
};

/**
 * `attention` of queries at `position` (self-attention over a cache), or over all keys where no position
 * is given (cross-attention). The queries of a row are sequences decoded side by side; they share one slot
 * of keys, or have one each. It has no gradient.
 *
 * @param query [batch, queries, heads · headSize]
 * @param key [batch, keyLength, slots · heads · headSize], slots 1 or queries
 * @param value as key
 * @returns as query
 * @throws {ShapeError} when operands do not fit
 */
export function attentionStep(
  query: Tensor,
  key: Tensor,
  value: Tensor,
  options: AttentionStepOptions,
): Tensor {
  const { heads, position, table, keyMask, ancestors, maxDistance = 128, maskValue = 0 } = options;
  const optional = [position, table, keyMask, ancestors].filter((t) => t !== undefined);
  const inputs = [query, key, value, ...optional];
  return apply(attentionStepOp, inputs, {
    heads,
    hasPosition: position !== undefined,
    hasTable: table !== undefined,
    hasKeyMask: keyMask !== undefined,
    hasAncestors: ancestors !== undefined,
    maxDistance,
    maskValue,
  });
}
