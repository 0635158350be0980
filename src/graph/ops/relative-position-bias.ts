import source from "../../../shaders/relative-position-bias.wgsl" with { type: "text" };
import { linearGrid } from "../dispatch.ts";
import { apply, type Op, type Scratch, type Shader, ShapeError, type Tensor } from "../tensor.ts";

/** Which positions are compared, and how. */
export interface RelativePositionOptions {
  readonly queryLength: number;
  readonly keyLength: number;
  /** Encoder: half of the buckets are for keys after the query. Decoder: such keys count as distance 0. */
  readonly bidirectional: boolean;
  /** Distances from here on share the last bucket; always 128 in the reference. */
  readonly maxDistance?: number;
}

interface Attributes {
  readonly queries: number;
  readonly keys: number;
  readonly bidirectional: boolean;
  readonly maxDistance: number;
}

/**
 * T5's relative position bias (Raffel et al. 2020, section 2.1).
 *
 * @param table f32[buckets, heads]
 * @returns f32[heads, queryLength, keyLength], to be added to the scores of every batch element
 */
export function relativePositionBias(table: Tensor, options: RelativePositionOptions): Tensor {
  const { queryLength: queries, keyLength: keys, bidirectional, maxDistance = 128 } = options;
  return apply(biasOp, [table], { queries, keys, bidirectional, maxDistance });
}

/**
 * Buckets of the distances 0 to `maxDistance`, in the reference's single precision: the first half of
 * the buckets is exact, the other half grows logarithmically.
 *
 * @param buckets buckets of one direction
 */
export function distanceBuckets(buckets: number, maxDistance = 128): number[] {
  const exact = Math.floor(buckets / 2);
  const { fround, log } = Math;
  return Array.from({ length: maxDistance + 1 }, (_, distance) => {
    if (distance < exact) return distance;
    const share = fround(fround(log(fround(distance / exact))) / fround(log(maxDistance / exact)));
    return Math.min(exact + Math.trunc(fround(share * (buckets - exact))), buckets - 1);
  });
}

const biasOp: Op<Attributes> = {
  name: "relative position bias",
  shape(inputs, { queries, keys }) {
    const [table] = inputs;
    if (table.shape.length !== 2 || table.dtype !== "f32") {
      throw new ShapeError("relativePositionBias", "the table must be f32 [buckets, heads]", inputs);
    }
    return [{ shape: [table.shape[1], queries, keys], dtype: "f32" }];
  },
  gradient: ({ inputs: [table], attributes }, [dy]) => {
    const [buckets, heads] = table.shape;
    return [apply(biasGradientOp, [dy!], { ...attributes, buckets, heads })];
  },
  kernel({ inputs: [table], outputs: [bias], attributes }) {
    const [buckets, heads] = table.shape;
    return [{
      shader: specialised(buckets, attributes),
      entry: "forward",
      uniforms: uniforms(buckets, heads, attributes),
      bindings: { table, bias },
      workgroups: linearGrid(heads * (attributes.queries + attributes.keys - 1)),
    }];
  },
};

const biasGradientOp: Op<Attributes & { buckets: number; heads: number }> = {
  name: "relative position bias gradient",
  shape: (_, { buckets, heads }) => [{ shape: [buckets, heads], dtype: "f32" }],
  kernel({ inputs: [bias_gradient], outputs: [table_gradient], attributes }) {
    const { buckets, heads, queries, keys } = attributes;
    const shader = specialised(buckets, attributes);
    const count = heads * (queries + keys - 1);
    const diagonals: Scratch = { scratchBytes: 4 * count };
    const common = { shader, uniforms: uniforms(buckets, heads, attributes) };
    return [
      {
        ...common,
        entry: "sum_diagonals",
        bindings: { bias_gradient, diagonals },
        workgroups: linearGrid(count),
        flops: heads * queries * keys,
      },
      {
        ...common,
        entry: "sum_buckets",
        bindings: { all_diagonals: diagonals, table_gradient },
        workgroups: linearGrid(buckets * heads),
      },
    ];
  },
};

function uniforms(buckets: number, heads: number, { queries, keys, bidirectional }: Attributes) {
  return { heads, queries, keys, buckets, later_offset: bidirectional ? Math.floor(buckets / 2) : 0 };
}

/** The shader with the buckets of all distances written in. */
function specialised(buckets: number, { bidirectional, maxDistance }: Attributes): Shader {
  const directed = bidirectional ? Math.floor(buckets / 2) : buckets;
  const list = distanceBuckets(directed, maxDistance);
  return {
    name: `relative-position-bias-${directed}`,
    source: source
      .replace(/const bucket_of_distance = .*;/, () =>
        `const bucket_of_distance = array<u32, ${list.length}>(${list.map((b) => `${b}u`).join(", ")});`)
      .replace(/const last_distance = .*;/, `const last_distance = ${maxDistance}u;`),
  };
}
