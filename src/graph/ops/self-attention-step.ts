/**
 * Self-attention of the newest token of every sequence over a cache, which it is put into.
 */

import source from "../../../shaders/self-attention-step.wgsl" with { type: "text" };
import { linearGrid } from "../dispatch.ts";
import { applyAll, type Op, sameShape, type Shader, ShapeError, type Tensor } from "../tensor.ts";
import { blocksOf, LANES, withHead } from "./attention-head.ts";
import { bucketProblem, firstDistances, type PositionBuckets } from "./position-buckets.ts";

/** Keys and values of one attention layer. */
export interface KeyValues {
  readonly key: Tensor;
  readonly value: Tensor;
}

/** Where the newest token stands, and how scores depend on it. */
export interface SelfAttentionStepOptions {
  readonly heads: number;
  /** u32[1], index of the newest token. */
  readonly position: Tensor;
  /** [buckets, heads]: table of a position bias that looks backward only. */
  readonly table: Tensor;
  /** From about here on, all distances share one bucket; 128 unless given. */
  readonly maxDistance?: number;
  /** u32[batch, K, length]: the slot of each earlier token of a sequence; its own unless given. */
  readonly ancestors?: Tensor | undefined;
}

interface Attributes {
  readonly heads: number;
  readonly maxDistance: number;
}

/** Inputs: packed, the caches, position, table and, where there are any, the ancestors. */
const selfAttentionStepOp: Op<Attributes> = {
  name: "self-attention step",
  inPlace: [undefined, 1, 2],

  shape(inputs, attributes) {
    const [packed, key, value, position, table, ancestors] = inputs;
    const { heads } = attributes;
    const fail = (message: string): never => {
      throw new ShapeError("selfAttentionStep", message, inputs);
    };
    const [batch, queries, width] = packed.shape;
    if (packed.shape.length !== 3 || width % (3 * heads) !== 0) {
      fail(
        `queries, keys and values must be [batch, K, 3 · features], features for ${heads} heads`,
      );
    }
    const [, length] = key.shape;
    const cache = [batch, length, queries * width / 3];
    if (!sameShape(key.shape, cache) || !sameShape(value.shape, cache)) {
      fail("the caches must be [batch, length, K · features]");
    }
    if (position.dtype !== "u32" || !sameShape(position.shape, [1])) {
      fail("the position must be u32[1]");
    }
    if (table.shape.length !== 2 || table.shape[1] !== heads) {
      fail(`the table must be [buckets, ${heads}]`);
    }
    const needed = bucketProblem(bucketsOf(table, attributes));
    if (needed) fail(`the table must have ${needed}`);
    const routes = [batch, queries, length];
    if (ancestors && (ancestors.dtype !== "u32" || !sameShape(ancestors.shape, routes))) {
      fail(`the ancestors must be u32[${routes.join(", ")}]`);
    }
    return [{ shape: [batch, queries, width / 3], dtype: "f32" }, key, value];
  },

  kernel({ inputs, attributes, outputs: [context, keyCache, valueCache] }, gpu) {
    const [packed, , , position, table, ancestors] = inputs;
    const { heads } = attributes;
    const [batch, queries, width] = context.shape;
    const [, length] = keyCache.shape;
    const headSize = width / heads;
    const shader = withBias(
      withHead({ name: "self-attention-step", source }, headSize),
      bucketsOf(table, attributes),
    );
    const shared = { packed, position, table, ...(ancestors && { ancestors }) };
    const dispatch = {
      shader,
      constants: { has_ancestors: Number(ancestors !== undefined) },
      uniforms: { batch, queries, heads, length },
      flops: 4 * batch * queries * length * width,
    };
    if (gpu.isCpu) {
      return [{
        ...dispatch,
        entry: "by_invocation",
        bindings: { ...shared, key_cache: keyCache, value_cache: valueCache, output: context },
        workgroups: linearGrid(batch * queries * heads * blocksOf(headSize), LANES),
      }];
    }
    return [{
      ...dispatch,
      entry: "by_workgroup",
      bindings: {
        ...shared,
        packed_features: packed,
        key_cache: keyCache,
        value_features: valueCache,
        output_features: context,
      },
      workgroups: [Math.ceil(headSize / 64), heads, batch * queries],
    }];
  },
};

/** The shader that knows the buckets: every distance beyond a bucket's first adds one. */
function withBias({ name, source }: Shader, positions: PositionBuckets): Shader {
  const [, ...later] = firstDistances(positions);
  const steps = later.map((first) => `select(vec4u(), vec4u(1), distances >= vec4u(${first}u))`);
  return {
    name: `${name}-${positions.buckets}-${positions.maxDistance}`,
    source: source.replace("let bucket = vec4u();", `let bucket = ${steps.join(" + ")};`),
  };
}

function bucketsOf(table: Tensor, { maxDistance }: Attributes): PositionBuckets {
  return { buckets: table.shape[0], bidirectional: false, maxDistance };
}

/**
 * Puts the newest keys and values into the cache, in place, and attends to it up to there. At a position
 * beyond the cache nothing is written. It has no gradient.
 *
 * @param packed [batch, K, 3 · heads · headSize]: query, key and value of every sequence's newest token
 * @param cache variables, [batch, length, K · heads · headSize] each
 * @returns the context, [batch, K, heads · headSize], and the caches after the write
 * @throws {ShapeError} when operands do not fit
 */
export function selfAttentionStep(
  packed: Tensor,
  cache: KeyValues,
  { heads, position, table, maxDistance = 128, ancestors }: SelfAttentionStepOptions,
): KeyValues & { readonly context: Tensor } {
  const inputs = [packed, cache.key, cache.value, position, table];
  const [context, key, value] = applyAll(
    selfAttentionStepOp,
    ancestors ? [...inputs, ancestors] : inputs,
    { heads, maxDistance },
  );
  return { context, key, value };
}
