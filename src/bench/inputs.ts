/**
 * What benchmarks compute with: random, and the same every time.
 */

import type { ModelConfig } from "../../models/config.ts";
import type { Batch } from "../data/batch.ts";
import { Random } from "../data/random.ts";
import type { AdamWSettings } from "../graph/ops/adamw.ts";

/** The rectangle that a batch fills. */
export interface BatchShape {
  readonly batchSize: number;
  readonly sourceLength: number;
  readonly targetLength: number;
}

/** An update that leaves weights almost as they are: what is measured must not depend on what is learned. */
export const gentleUpdate: AdamWSettings = {
  learningRate: 1e-6,
  beta1: 0.9,
  beta2: 0.999,
  epsilon: 1e-8,
  weightDecay: 0.01,
  step: 1,
  maxNorm: 1,
  gradientScale: 1,
};

/** Numbers in [-scale, scale), always the same ones for a name. */
export function randomFloats(name: string, length: number, scale = 1): Float32Array {
  const random = new Random(0, "bench", name);
  return Float32Array.from({ length }, () => scale * (2 * random.float() - 1));
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
