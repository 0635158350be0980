/**
 * What benchmarks compute with: random, and the same every time.
 */

import type { ModelConfig } from "../../models/config.ts";
import { parameterInventory, type ParameterSpecification } from "../../models/inventory.ts";
import type { Batch } from "../data/batch.ts";
import { Random } from "../data/random.ts";
import type { Gpu } from "../gpu/device.ts";
import { firstDistances } from "../graph/ops/position-buckets.ts";
import { Parameters } from "../graph/parameters.ts";
import { size } from "../graph/tensor.ts";
import type { AdamWOptions } from "../optim/adamw.ts";

/** The rectangle that a batch fills. */
export interface BatchShape {
  readonly batchSize: number;
  readonly sourceLength: number;
  readonly targetLength: number;
}

/** The optimiser of every training step that is measured, here and elsewhere. */
export const optimizer = {
  beta1: 0.9,
  beta2: 0.999,
  epsilon: 1e-8,
  weightDecay: 0.01,
  maxNorm: 1,
} satisfies AdamWOptions;

/** Leaves weights almost as they are: what is measured must not depend on what is learned. */
export const LEARNING_RATE = 1e-6;

/** Smoothing of the labels in every training step that is measured. */
export const LABEL_SMOOTHING = 0.1;

/** Random numbers in [-1, 1) that all others are taken from; a prime, so that no matrix repeats its rows. */
const POOL_LENGTH = 1_048_573;

let pool: Float32Array | undefined;

/**
 * Numbers in [-scale, scale), always the same ones for a name.
 *
 * They are a stretch of one pool, or the pool again and again: to draw each of the numbers of a large model
 * would take longer than to measure it.
 */
export function randomFloats(name: string, length: number, scale = 1): Float32Array {
  if (!pool) {
    const random = new Random(0, "bench");
    pool = Float32Array.from({ length: POOL_LENGTH }, () => 2 * random.float() - 1);
  }
  const values = new Float32Array(length);
  let begin = new Random(0, "bench", name).integer(POOL_LENGTH);
  for (let filled = 0; filled < length; begin = 0) {
    const stretch = pool.subarray(begin, begin + length - filled);
    values.set(stretch, filled);
    filled += stretch.length;
  }
  for (let i = 0; i < length; i++) values[i] *= scale;
  return values;
}

/** Whole numbers from 0 up to, not including, `limit`. */
export function randomIds(name: string, length: number, limit: number): Int32Array {
  const random = new Random(0, "bench", name);
  return Int32Array.from({ length }, () => random.integer(limit));
}

/** A batch without padding. */
export function randomBatch({ vocabSize }: ModelConfig, shape: BatchShape): Batch {
  const sourceTokens = shape.batchSize * shape.sourceLength;
  const targetTokens = shape.batchSize * shape.targetLength;
  // Ids 0 and 1 mean padding and the end.
  const ids = (name: string, length: number) =>
    randomIds(name, length, vocabSize - 2).map((id) => id + 2);
  return {
    ...shape,
    inputIds: ids("source", sourceTokens),
    attentionMask: new Int32Array(sourceTokens).fill(1),
    labels: ids("target", targetTokens),
    tasks: [],
    sourceTokens,
    targetTokens,
    truncated: 0,
  };
}

/** The bucket of every pair of positions, [length · length] in the order of queries. */
export function positionBuckets(
  length: number,
  buckets: number,
  bidirectional: boolean,
): Int32Array {
  const first = firstDistances({ buckets, bidirectional, maxDistance: 128 });
  const bucketOf = (distance: number) => first.findLastIndex((least) => least <= distance);
  return Int32Array.from({ length: length * length }, (_, i) => {
    const position = i % length - Math.floor(i / length);
    if (!bidirectional) return bucketOf(Math.max(0, -position));
    return (position > 0 ? buckets / 2 : 0) + bucketOf(Math.abs(position));
  });
}

/** A model's weights by name. */
export type RandomWeights = ReadonlyMap<string, Float32Array>;

/**
 * Weights with which every part of a model matters: a new model's adapters are next to nothing, so that
 * two frameworks could agree without having computed them alike.
 */
export function randomWeights(inventory: readonly ParameterSpecification[]): RandomWeights {
  return new Map(inventory.map(({ name, shape, initialiser }) => {
    const length = size(shape);
    if (initialiser.kind === "normal") {
      return [name, randomFloats(name, length, Math.sqrt(3) * initialiser.deviation)];
    }
    if (name.includes("norm")) return [name, randomFloats(name, length, 0.2).map((x) => 1 + x)];
    // Weights of [out, in], and generated weights of variance 1 / modelDim: the heads' rows are many.
    const fanIn = name.includes("param_gen.decoder.weight") ? 256 * shape[1] : shape.at(-1)!;
    const scale = shape.length === 1 ? 0.02 : Math.sqrt(3 / fanIn);
    return [name, randomFloats(name, length, scale)];
  }));
}

/** Random weights on the device. */
export function randomParameters(
  gpu: Gpu,
  config: ModelConfig,
  trainable: (name: string) => boolean,
): Parameters {
  const inventory = parameterInventory(config);
  return placeParameters(gpu, inventory, randomWeights(inventory), trainable);
}

/** Given weights on the device. */
export function placeParameters(
  gpu: Gpu,
  inventory: readonly ParameterSpecification[],
  weights: RandomWeights,
  trainable: (name: string) => boolean,
): Parameters {
  const parameters = new Parameters(
    gpu,
    inventory.map(({ name, shape }) => ({ name, shape, trainable: trainable(name) })),
  );
  for (const { name } of inventory) parameters.write(name, weights.get(name)!);
  return parameters;
}
