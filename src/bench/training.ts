/**
 * Whole training steps, as training runs them: host work, uploads and all.
 */

import { isAdapterParameter } from "../../models/inventory.ts";
import type { Gpu } from "../gpu/device.ts";
import type { KernelTime } from "../gpu/profiler.ts";
import type { Parameters } from "../graph/parameters.ts";
import type { ProgramMemory } from "../graph/program.ts";
import { byteLength, size } from "../graph/tensor.ts";
import { workspaceOf } from "../graph/workspace.ts";
import { AdamW } from "../optim/adamw.ts";
import type { Optimizer } from "../optim/optimizer.ts";
import { TrainingStep } from "../train/training-step.ts";
import { EncoderBlock } from "./encoder-block.ts";
import {
  type BatchShape,
  LABEL_SMOOTHING,
  LEARNING_RATE,
  optimizer as settings,
  randomBatch,
  randomParameters,
} from "./inputs.ts";
import { type Clock, type Effort, measure, type Timing } from "./measure.ts";
import type { Subject } from "./subjects.ts";

/** Memory on the device during a step, in bytes. */
export interface TrainingMemory extends ProgramMemory {
  readonly parameterBytes: number;
  readonly optimizerBytes: number;
}

/** What a training step takes. */
export interface TrainingResult {
  readonly name: string;
  readonly batch: BatchShape;
  /** Per step. */
  readonly timing: Timing;
  /** Source and target ids. */
  readonly tokensPerSecond: number;
  readonly memory: TrainingMemory;
  readonly dispatches: number;
  /** Every dispatch of a step; none where the adapter has no timestamps. */
  readonly kernels: readonly KernelTime[];
}

/** A step, ready to be made again and again. */
interface Step {
  readonly parameters: Parameters;
  readonly optimizer: Optimizer;
  /** Ids of a batch. */
  readonly tokens: number;
  run(count: number): Promise<unknown>;
  plan(): Promise<{ readonly memory: ProgramMemory; readonly dispatchCount: number }>;
  profile(): Promise<KernelTime[]>;
  destroy(): void | Promise<void>;
}

/** Measures the step that trains a model's adapters, on random weights and ids, without padding. */
export function measureTraining(
  gpu: Gpu,
  subject: Subject,
  effort: Effort,
  clock: Clock,
): Promise<TrainingResult> {
  return measureStep(gpu, subject, () => modelStep(gpu, subject), effort, clock);
}

/** Measures the step that trains an encoder block whole. */
export function measureBlock(
  gpu: Gpu,
  subject: Subject,
  effort: Effort,
  clock: Clock,
): Promise<TrainingResult> {
  return measureStep(gpu, subject, () => blockStep(gpu, subject), effort, clock);
}

/** No other program of the device may be in use: the memory for intermediate results is made anew. */
async function measureStep(
  gpu: Gpu,
  { name, batch }: Subject,
  make: () => Step | Promise<Step>,
  effort: Effort,
  clock: Clock,
): Promise<TrainingResult> {
  workspaceOf(gpu).destroy();
  const step = await make();
  const timing = await measure((repeat) => step.run(repeat), effort, clock);
  const { memory, dispatchCount } = await step.plan();
  const result = {
    name,
    batch,
    timing,
    tokensPerSecond: step.tokens / timing.wall.median * 1000,
    memory: {
      ...memory,
      parameterBytes: parameterBytes(step.parameters),
      optimizerBytes: optimizerBytes(step.optimizer),
    },
    dispatches: dispatchCount,
    kernels: gpu.features.timestamps ? await step.profile() : [],
  };
  await step.destroy();
  return result;
}

function modelStep(gpu: Gpu, { config, batch: shape }: Subject): Step {
  const parameters = randomParameters(gpu, config, isAdapterParameter);
  const optimizer = new AdamW(parameters, settings);
  const training = new TrainingStep(config, parameters, optimizer, {
    labelSmoothing: LABEL_SMOOTHING,
    dropoutRate: config.dropoutRate,
    accumulate: 1,
    seed: 0,
  });
  const batch = randomBatch(config, shape);
  const update = { learningRate: LEARNING_RATE };
  return {
    parameters,
    optimizer,
    tokens: batch.sourceTokens + batch.targetTokens,
    async run(count) {
      for (let i = 0; i < count; i++) await training.run([batch], i, update);
      await training.readLog(0, 1);
    },
    plan: () => training.plan(batch),
    profile: () => training.profile(batch, update),
    async destroy() {
      await training.destroy();
      optimizer.destroy();
      parameters.destroy();
    },
  };
}

async function blockStep(gpu: Gpu, { config, batch }: Subject): Promise<Step> {
  const block = await EncoderBlock.compile(gpu, config, batch);
  const { program, parameters, optimizer, inputs } = block;
  return {
    parameters,
    optimizer,
    tokens: batch.batchSize * batch.sourceLength,
    run: (count) => block.run(count),
    plan: () => Promise.resolve(program),
    profile: () => program.profile(inputs),
    destroy: () => block.destroy(),
  };
}

function parameterBytes({ descriptions }: Parameters): number {
  return descriptions.reduce(
    (sum, { shape, storage = "f32" }) => sum + byteLength({ shape, dtype: storage }),
    0,
  );
}

function optimizerBytes({ stateShapes }: Optimizer): number {
  return [...stateShapes.values()].reduce((sum, shape) => sum + 4 * size(shape), 0);
}
