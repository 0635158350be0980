/**
 * T5's relative position bias, added to attention scores.
 */

import source from "../../../shaders/relative-position-bias.wgsl" with { type: "text" };
import { linearGrid } from "../dispatch.ts";
import { apply, type Dispatch, type Op, ShapeError, size, type Tensor } from "../tensor.ts";
import { type PositionBuckets, withBuckets } from "./position-buckets.ts";

/** Between which positions the bias is wanted. */
export interface RelativePositions {
  readonly queryLength: number;
  readonly keyLength: number;
  /** Whether keys after the query have buckets of their own (encoder) or not (decoder). */
  readonly bidirectional: boolean;
  /** From about here on, all distances share one bucket; 128 unless given. */
  readonly maxDistance?: number;
  /** Position of the first query; 0 unless given. */
  readonly queryOffset?: number;
}

interface Attributes extends PositionBuckets {
  readonly queryLength: number;
  readonly keyLength: number;
  readonly queryOffset: number;
}

const relativePositionBiasOp: Op<Attributes> = {
  name: "relativePositionBias",
  shape([table], { queryLength, keyLength, bidirectional }) {
    if (table.shape.length !== 2 || table.dtype !== "f32") {
      throw new ShapeError("relativePositionBias", "the table must be f32[buckets, heads]", [
        table,
      ]);
    }
    const [buckets, heads] = table.shape;
    const least = bidirectional ? 4 : 2;
    if (buckets < least || buckets % (least / 2) !== 0) {
      const problem = bidirectional ? "an even number of 4 or more buckets" : "2 or more buckets";
      throw new ShapeError("relativePositionBias", `the table must have ${problem}`, [table]);
    }
    return [{ shape: [heads, queryLength, keyLength], dtype: "f32" }];
  },
  gradient: ({ inputs: [table], attributes }, [biasGradient]) => [
    apply(tableGradientOp, [biasGradient!, table], attributes),
  ],
  kernel({ inputs: [table], outputs: [bias], attributes }) {
    return [{
      ...dispatch(attributes, table.shape[1]),
      entry: "forward",
      bindings: { table, bias },
      workgroups: linearGrid(size(bias.shape)),
    }];
  },
};

/** From the bias's gradient to the table's; the table is an operand for its shape. */
const tableGradientOp: Op<Attributes> = {
  name: "relativePositionBias gradient",
  shape: ([, table]) => [table],
  kernel({ inputs: [biasGradient], outputs: [tableGradient], attributes }) {
    const heads = tableGradient.shape[1];
    const count = heads * (attributes.queryLength + attributes.keyLength - 1);
    const diagonals = { scratchBytes: 4 * count };
    const common = dispatch(attributes, heads);
    return [{
      ...common,
      entry: "sum_diagonals",
      bindings: { bias_gradient: biasGradient, diagonals },
      workgroups: linearGrid(count),
      flops: size(biasGradient.shape),
    }, {
      ...common,
      entry: "sum_buckets",
      bindings: { diagonal_sums: diagonals, table_gradient: tableGradient },
      workgroups: linearGrid(size(tableGradient.shape)),
      flops: count,
    }];
  },
};

function dispatch(attributes: Attributes, heads: number): Pick<Dispatch, "shader" | "uniforms"> {
  const { buckets, bidirectional, maxDistance, queryLength, keyLength, queryOffset } = attributes;
  const direction = bidirectional ? "bidirectional" : "backward";
  return {
    shader: {
      name: `relative-position-bias-${direction}-${buckets}-${maxDistance}`,
      source: withBuckets(source, attributes),
    },
    uniforms: {
      heads,
      query_length: queryLength,
      key_length: keyLength,
      query_offset: queryOffset,
    },
  };
}

/**
 * bias[head, q, k] = table[bucket(k - q), head] (Raffel et al. 2020, section 2.1).
 *
 * @param table [buckets, heads]
 * @returns [heads, queryLength, keyLength]
 * @throws {ShapeError} when the table is not a matrix or its buckets cannot be shared out
 */
export function relativePositionBias(
  table: Tensor,
  { queryLength, keyLength, bidirectional, maxDistance = 128, queryOffset = 0 }: RelativePositions,
): Tensor {
  return apply(relativePositionBiasOp, [table], {
    buckets: table.shape[0],
    bidirectional,
    maxDistance,
    queryLength,
    keyLength,
    queryOffset,
  });
}
