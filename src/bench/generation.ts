/**
 * Greedy decoding from the text's ids to the answer's, for one text and for many at once.
 */

import type { ModelConfig } from "../../models/config.ts";
import { SequenceGenerator } from "../generate/generator.ts";
import type { Gpu } from "../gpu/device.ts";
import { placeWeights } from "../train/weights.ts";
import { type BatchShape, randomBatch } from "./inputs.ts";
import { type Effort, measure, type Spread } from "./measure.ts";

/** What a generation takes. */
export interface GenerationResult {
  /** `targetLength` is the number of ids that every row is given. */
  readonly batch: BatchShape;
  /** Per batch, encoder included. */
  readonly milliseconds: Spread;
  /** Generated ids, of all rows. */
  readonly tokensPerSecond: number;
}

/** Measures generation on random weights and ids; no row ends before `targetLength` ids. */
export async function measureGeneration(
  gpu: Gpu,
  config: ModelConfig,
  shape: BatchShape,
  effort: Effort,
): Promise<GenerationResult> {
  const parameters = await placeWeights(gpu, config, new Map(), () => false, 0);
  const length = shape.targetLength + 1; // with the start token
  const generator = new SequenceGenerator(config, parameters);
  const options = { maxLength: length, minLength: length };
  const batch = randomBatch(config, shape);
  const milliseconds = await measure(async (repeat) => {
    for (let i = 0; i < repeat; i++) await generator.generate(batch, options);
  }, effort);
  generator.destroy();
  parameters.destroy();
  return {
    batch: shape,
    milliseconds,
    tokensPerSecond: batch.targetTokens / milliseconds.median * 1000,
  };
}
