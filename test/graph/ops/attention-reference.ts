/**
 * Attention and its gradients by plain loops in f64: what the kernels are compared with.
 */

/** Sizes and operands of one problem, flat and row-major. */
export interface ReferenceProblem {
  readonly batch: number;
  readonly heads: number;
  readonly queryLength: number;
  readonly keyLength: number;
  readonly headSize: number;
  readonly query: ArrayLike<number>;
  readonly key: ArrayLike<number>;
  readonly value: ArrayLike<number>;
  readonly positions?: ReferencePositions | undefined;
  readonly keyMask?: ArrayLike<number> | undefined;
  readonly causal?: boolean;
  readonly maskValue: number;
  readonly dropout?: { rate: number; seed: ArrayLike<number>; site: number } | undefined;
}

/** A table [buckets, heads] of position biases, and the row that key − query is in. */
export interface ReferencePositions {
  readonly table: ArrayLike<number>;
  bucket(position: number): number;
}

/** The result, and the gradients of Σ result · outputGradient. */
export interface ReferenceResult {
  readonly output: Float64Array;
  readonly query: Float64Array;
  readonly key: Float64Array;
  readonly value: Float64Array;
  readonly table: Float64Array;
}

/** Attention and its gradients. */
export function referenceAttention(
  problem: ReferenceProblem,
  outputGradient: ArrayLike<number>,
): ReferenceResult {
  const { batch, heads, queryLength, keyLength, headSize, query, key, value } = problem;
  const { positions } = problem;
  const result: ReferenceResult = {
    output: new Float64Array(query.length),
    query: new Float64Array(query.length),
    key: new Float64Array(key.length),
    value: new Float64Array(value.length),
    table: new Float64Array(problem.positions?.table.length ?? 0),
  };
  const features = Array.from({ length: headSize }, (_, i) => i);
  const keys = Array.from({ length: keyLength }, (_, k) => k);
  for (let b = 0; b < batch; b++) {
    for (let h = 0; h < heads; h++) {
      const keyAt = keys.map((k) => ((b * keyLength + k) * heads + h) * headSize);
      for (let q = 0; q < queryLength; q++) {
        const at = ((b * queryLength + q) * heads + h) * headSize;
        const dot = (x: ArrayLike<number>, y: ArrayLike<number>, offset: number) =>
          features.reduce((sum, i) => sum + x[at + i] * y[offset + i], 0);
        const biasAt = (k: number) => positions!.bucket(k - q) * heads + h;
        const scores = keys.map((k) => {
          const masked = (problem.causal && k > q) || problem.keyMask?.[b * keyLength + k] === 0;
          const shift = (positions ? positions.table[biasAt(k)] : 0) +
            (masked ? problem.maskValue : 0);
          return dot(query, key, keyAt[k]) + shift;
        });
        const maximum = scores.reduce((a, b) => Math.max(a, b));
        const exponentials = scores.map((score) => Math.exp(score - maximum));
        const total = exponentials.reduce((a, b) => a + b);
        const kept = keys.map((k) =>
          dropoutFactor(problem, ((b * heads + h) * queryLength + q) * keyLength + k)
        );
        const weights = exponentials.map((x, k) => x / total * kept[k]);
        const weightGradients = keys.map((k) => kept[k] * dot(outputGradient, value, keyAt[k]));
        const mean = keys.reduce((s, k) => s + exponentials[k] / total * weightGradients[k], 0);
        for (const k of keys) {
          const scoreGradient = exponentials[k] / total * (weightGradients[k] - mean);
          if (positions) result.table[biasAt(k)] += scoreGradient;
          for (const i of features) {
            result.output[at + i] += weights[k] * value[keyAt[k] + i];
            result.query[at + i] += scoreGradient * key[keyAt[k] + i];
            result.key[keyAt[k] + i] += scoreGradient * query[at + i];
            result.value[keyAt[k] + i] += weights[k] * outputGradient[at + i];
          }
        }
      }
    }
  }
  return result;
}

/** T5's bucket of key − query (Raffel et al. 2020, section 2.1), its logarithms in f32 as the reference's are. */
export function referenceBucket(
  { buckets, bidirectional, maxDistance = 128 }: {
    readonly buckets: number;
    readonly bidirectional: boolean;
    readonly maxDistance?: number;
  },
): (position: number) => number {
  const { fround, log, trunc } = Math;
  const count = bidirectional ? buckets / 2 : buckets;
  const exact = Math.floor(count / 2);
  return (position) => {
    const distance = bidirectional ? Math.abs(position) : Math.max(-position, 0);
    const direction = bidirectional && position > 0 ? count : 0;
    if (distance < exact) return direction + distance;
    const fraction = fround(
      fround(log(fround(distance / exact))) / fround(log(maxDistance / exact)),
    );
    return direction + Math.min(count - 1, exact + trunc(fround(fraction * (count - exact))));
  };
}

function dropoutFactor({ dropout }: ReferenceProblem, element: number): number {
  if (!dropout) return 1;
  const { rate, seed, site } = dropout;
  const uniform = (pcg3d(element, (site ^ seed[0]) >>> 0, seed[1]) >>> 8) / 16777216;
  return uniform >= rate ? 1 / (1 - rate) : 0;
}

/** The first word of pcg3d (Jarzynski & Olano 2020). */
function pcg3d(...word: [number, number, number]): number {
  let [x, y, z] = word.map((w) => (Math.imul(w, 1664525) + 1013904223) >>> 0);
  const mix = () => {
    x = (x + Math.imul(y, z)) >>> 0;
    y = (y + Math.imul(z, x)) >>> 0;
    z = (z + Math.imul(x, y)) >>> 0;
  };
  mix();
  [x, y, z] = [x, y, z].map((w) => (w ^ (w >>> 16)) >>> 0);
  mix();
  return x;
}
