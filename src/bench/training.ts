/**
 * A whole training step, as training runs it: host work, uploads and all.
 */

import type { ModelConfig } from "../../models/config.ts";
import { isAdapterParameter } from "../../models/inventory.ts";
import type { Gpu } from "../gpu/device.ts";
import type { KernelTime } from "../gpu/profiler.ts";
import { workspaceOf } from "../graph/workspace.ts";
import { AdamW } from "../optim/adamw.ts";
import { TrainingStep } from "../train/training-step.ts";
import { placeWeights } from "../train/weights.ts";
import { type BatchShape, gentleUpdate, randomBatch } from "./inputs.ts";
import { type Effort, measure, type Spread } from "./measure.ts";

/** What a training step takes. */
export interface TrainingResult {
  readonly batch: BatchShape;
  /** Per step. */
  readonly milliseconds: Spread;
  /** Source and target ids. */
  readonly tokensPerSecond: number;
  /** Intermediate results on the device; weights and the optimiser's state come on top. */
  readonly workspaceBytes: number;
  /** Every dispatch of a step; none where the adapter has no timestamps. */
  readonly kernels: readonly KernelTime[];
}

/**
 * Measures the step that trains a model's adapters, on random weights and ids, without padding.
 * No other program of the device may be in use: the memory for intermediate results is made anew.
 */
export async function measureTraining(
  gpu: Gpu,
  config: ModelConfig,
  shape: BatchShape,
  effort: Effort,
): Promise<TrainingResult> {
  workspaceOf(gpu).destroy();
  const parameters = await placeWeights(gpu, config, new Map(), isAdapterParameter, 0);
  const optimizer = new AdamW(parameters);
  const training = new TrainingStep(config, parameters, optimizer, {
    labelSmoothing: 0.1,
    dropoutRate: config.dropoutRate,
    accumulate: 1,
    seed: 0,
  });
  const batch = randomBatch(config, shape);
  const milliseconds = await measure(async (repeat) => {
    for (let i = 0; i < repeat; i++) await training.run([batch], i, gentleUpdate);
    await training.readLog(0, 1);
  }, effort);
  const result = {
    batch: shape,
    milliseconds,
    tokensPerSecond: (batch.sourceTokens + batch.targetTokens) / milliseconds.median * 1000,
    workspaceBytes: workspaceOf(gpu).bytes,
    kernels: gpu.features.timestamps ? await training.profile(batch, gentleUpdate) : [],
  };
  await training.destroy();
  optimizer.destroy();
  parameters.destroy();
  return result;
}
