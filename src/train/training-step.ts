/**
 * One optimiser update, as compiled programs: forward, backward, clipping and optimiser in a single
 * submit.
 *
 * A program is compiled once for every shape of batch and kept. Nothing is read back: the numbers of a
 * step go to a log on the device, a row per step, which `readLog` fetches when somebody wants to see it.
 */

import { type ModelConfig, needsTasks, taskIndices } from "../../models/config.ts";
import { forward } from "../../models/hyperdecoder.ts";
import { projectedLoss } from "../../models/loss.ts";
import { Dropout, type Model } from "../../models/t5.ts";
import { type Batch, cutBatch } from "../data/batch.ts";
import type { KernelTime } from "../gpu/profiler.ts";
import { compile, planProgram, type ProgramDescription } from "../graph/compile.ts";
import { gradients } from "../graph/gradients.ts";
import { input, read, type Variable } from "../graph/leaves.ts";
import { LOG_COLUMNS, record } from "../graph/ops/record.ts";
import type { Parameters } from "../graph/parameters.ts";
import type { HostArray, Program } from "../graph/program.ts";
import { size, type Tensor } from "../graph/tensor.ts";
import { createVariable, readVariables } from "../graph/variables.ts";
import { type Division, type Fit, fitMemory } from "./memory-budget.ts";
import type { Optimizer, Update } from "../optim/optimizer.ts";

/** What does not change during training. */
export interface TrainingSettings {
  readonly labelSmoothing: number;
  /** An update's loss: the sum over the target tokens of its batches (the default), or a mean of them. */
  readonly lossReduction?: "sum" | "mean";
  /** Which mean: that of all target tokens of an update (the default), or that of its batches' means. */
  readonly accumulateMean?: "tokens" | "batches";
  readonly dropoutRate: number;
  /** Batches per update; sums, and means of batches, are divided by it. */
  readonly accumulate: number;
  /** Seed of dropout. */
  readonly seed: number;
  /** Whether blocks are computed again in the backward pass instead of kept; false unless told. */
  readonly recompute?: boolean;
}

/** What a program is compiled for. */
export type BatchShape = Pick<Batch, "batchSize" | "sourceLength" | "targetLength">;

/** What was logged of one update. */
export interface StepRecord {
  /** Label-smoothed loss, summed over the update's target tokens (not divided by `accumulate`). */
  readonly loss: number;
  /** Unsmoothed negative log-likelihood, summed likewise. */
  readonly nll: number;
  readonly targetTokens: number;
  /** Norm of the gradients before clipping. */
  readonly gradNorm: number;
}

/** Rows of the log: so many steps can be done between two readings. */
export const LOG_SLOTS = 256;

/** Compiles and runs updates. */
export class TrainingStep {
  #programs = new Map<string, Promise<Program>>();
  #log: Variable;
  #division: Division;

  constructor(
    readonly config: ModelConfig,
    readonly parameters: Parameters,
    readonly optimizer: Optimizer,
    readonly settings: TrainingSettings,
  ) {
    this.#log = createVariable(parameters.gpu, "training log", [LOG_SLOTS, LOG_COLUMNS]);
    this.#division = { parts: 1, recompute: settings.recompute ?? false };
  }

  /**
   * Cuts batches, and computes blocks again, as far as it takes to train on batches of a shape in so many
   * bytes. To be called before the first update.
   *
   * @throws {UserError} if nothing is small enough
   */
  fit(shape: BatchShape, maxBytes: number): Fit {
    const fit = fitMemory(shape.batchSize, maxBytes, (division) => this.bytesFor(shape, division));
    this.#division = fit;
    return fit;
  }

  /**
   * Queues one update.
   *
   * @param batches as many as `settings.accumulate`
   * @param step updates done before this one
   * @param update what the optimiser wants to know of it
   */
  async run(
    batches: readonly Batch[],
    step: number,
    update: Omit<Update, "step">,
  ): Promise<void> {
    const { accumulate, seed } = this.settings;
    const { parts } = this.#division;
    if (batches.length !== accumulate) {
      throw new Error(`An update takes ${accumulate} micro-batches, not ${batches.length}.`);
    }
    const slot = Uint32Array.of(step % LOG_SLOTS);
    const hyper = this.optimizer.hyper({ ...update, step: step + 1 });
    const microBatches = batches.flatMap((batch) =>
      cutBatch(batch, parts).map((part) => ({ part, lossFactor: this.#lossFactor(batch, batches) }))
    );
    for (const [i, { part, lossFactor }] of microBatches.entries()) {
      const program = await this.#program(part);
      program.submit(pick(program, {
        ...batchInputs(part, this.config),
        lossFactor,
        hyper,
        seed: Uint32Array.of(seed, step * accumulate * parts + i),
        slot,
        keep: Float32Array.of(i === 0 ? 0 : 1),
      }));
    }
    if (accumulate * parts > 1) {
      const program = await this.#cached("update", () => this.#compileUpdate());
      program.submit({ hyper, slot, keep: Float32Array.of(1) });
    }
  }

  /** Waits for the device and fetches what steps `first` to `last` (exclusive) logged. */
  async readLog(first: number, last: number): Promise<StepRecord[]> {
    if (last - first > LOG_SLOTS) throw new Error(`The log keeps only ${LOG_SLOTS} steps.`);
    const [rows] = await readVariables(this.parameters.gpu, [this.#log]);
    return Array.from({ length: last - first }, (_, i) => {
      const at = ((first + i) % LOG_SLOTS) * LOG_COLUMNS;
      const [loss, nll, targetTokens, gradNorm] = rows.subarray(at, at + LOG_COLUMNS);
      return { loss, nll, targetTokens, gradNorm };
    });
  }

  /** The compiled program for a batch's shape and its inputs, for profiling. */
  async profile(batch: Batch, update: Omit<Update, "step">): Promise<KernelTime[]> {
    const program = await this.#program(batch);
    return await program.profile(pick(program, {
      ...batchInputs(batch, this.config),
      lossFactor: this.#lossFactor(batch, Array(this.settings.accumulate).fill(batch)),
      hyper: this.optimizer.hyper({ ...update, step: 1 }),
      seed: Uint32Array.of(this.settings.seed, 0),
      slot: Uint32Array.of(0),
      keep: Float32Array.of(0),
    }));
  }

  /** The memory of training on batches of a shape: parameters, gradients, optimiser and workspace. */
  bytesFor(shape: BatchShape, { parts, recompute }: Division): number {
    const { parameters, optimizer, settings: { accumulate } } = this;
    const isSummed = accumulate * parts > 1;
    const batchSize = Math.ceil(shape.batchSize / parts);
    const description = this.#describe({ ...shape, batchSize }, recompute, isSummed);
    const gradients = parameters.slabs.reduce((sum, { length }) => sum + 4 * length, 0);
    const state = [...optimizer.stateShapes.values()]
      .reduce((sum, shape) => sum + 4 * size(shape), 0);
    return parameters.bytes + state + (isSummed ? 2 : 1) * gradients +
      planProgram(parameters.gpu, description).workspaceBytes;
  }

  /** The memory and the number of dispatches of the program for a batch's shape. */
  async plan(batch: Batch): Promise<Pick<Program, "memory" | "dispatchCount">> {
    return await this.#program(batch);
  }

  /** Gives the memory of all programs and of the log back; parameters and optimiser are the caller's. */
  async destroy(): Promise<void> {
    for (const program of await Promise.all(this.#programs.values())) program.destroy();
    this.#programs.clear();
    this.#log.buffer.destroy();
  }

  /** What makes the sum over the tokens of one of an update's batches its share of the update's loss. */
  #lossFactor(batch: Batch, all: readonly Batch[]): Float32Array<ArrayBuffer> {
    const { lossReduction, accumulateMean, accumulate } = this.settings;
    if (lossReduction !== "mean") return Float32Array.of(1 / accumulate);
    if (accumulateMean === "batches") return Float32Array.of(1 / (accumulate * batch.targetTokens));
    return Float32Array.of(1 / all.reduce((sum, { targetTokens }) => sum + targetTokens, 0));
  }

  /** The compiled program for a batch's shape. */
  #program(shape: BatchShape): Promise<Program> {
    const { batchSize, sourceLength, targetLength } = shape;
    return this.#cached(
      `${batchSize}x${sourceLength}x${targetLength}`,
      () => this.#compileBatch(shape),
    );
  }

  #cached(key: string, make: () => Promise<Program>): Promise<Program> {
    let program = this.#programs.get(key);
    if (!program) this.#programs.set(key, program = make());
    return program;
  }

  #compileBatch(shape: BatchShape): Promise<Program> {
    const { parts, recompute } = this.#division;
    const isSummed = this.settings.accumulate * parts > 1;
    return compile(this.parameters.gpu, this.#describe(shape, recompute, isSummed));
  }

  /** What a micro-batch's program does: an update, or only a share of the sum that an update is made of. */
  #describe(
    { batchSize: batch, sourceLength: source, targetLength: target }: BatchShape,
    recompute: boolean,
    isSummed: boolean,
  ): ProgramDescription {
    const { parameters, settings, optimizer } = this;
    const dropout = settings.dropoutRate > 0
      ? new Dropout(settings.dropoutRate, input("seed", [2], "u32"))
      : undefined;
    const model: Model = {
      config: this.config,
      weight: (name) => parameters.tensor(name),
      dropout,
      recompute,
    };
    const { decoder } = forward(model, {
      inputIds: input("inputIds", [batch, source], "i32"),
      attentionMask: input("attentionMask", [batch, source], "i32"),
      decoderInputIds: input("decoderInputIds", [batch, target], "i32"),
      ...(needsTasks(this.config) && { taskIds: input("taskIds", [batch], "i32") }),
    });
    const labels = input("labels", [batch, target], "i32");
    const { loss, sums } = projectedLoss(model, decoder.lastHiddenState, labels, {
      smoothing: settings.labelSmoothing,
      padId: this.config.padId,
    });
    const names = parameters.trainable;
    const adjoints = gradients(
      loss,
      names.map((name) => parameters.tensor(name)),
      input("lossFactor", [1]),
    );
    const byName = new Map<string, Tensor>();
    names.forEach((name, i) => adjoints[i] && byName.set(name, adjoints[i]));

    const slot = input("slot", [1], "u32"), keep = input("keep", [1]);
    const log = read(this.#log);
    if (isSummed) {
      const effects = [...optimizer.accumulate(byName, keep), record(log, { slot, keep, sums })];
      return { outputs: {}, effects };
    }
    const { effects, norm } = optimizer.update(byName, this.#hyperInput());
    const logged = record(log, { slot, keep, sums, norm });
    return { outputs: {}, effects: [...effects, logged] };
  }

  #hyperInput(): Tensor {
    return input("hyper", [this.optimizer.hyperLength]);
  }

  async #compileUpdate(): Promise<Program> {
    const { effects, norm } = this.optimizer.updateFromSum(this.#hyperInput());
    const slot = input("slot", [1], "u32"), keep = input("keep", [1]);
    const logged = record(read(this.#log), { slot, keep, norm });
    return await compile(this.parameters.gpu, { outputs: {}, effects: [...effects, logged] });
  }
}

/** A batch as the inputs of a program; the decoder reads the labels shifted right. */
export function batchInputs(batch: Batch, config: ModelConfig): Record<string, HostArray> {
  const { inputIds, attentionMask, labels, targetLength, tasks } = batch;
  const decoderInputIds = labels.map((_, i) =>
    i % targetLength === 0 ? config.decoderStartId : labels[i - 1]
  );
  const taskIds = needsTasks(config) && { taskIds: taskIndices(config, tasks) };
  return { inputIds, attentionMask, decoderInputIds, labels, ...taskIds };
}

/** The inputs that the program has a use for. */
function pick(program: Program, inputs: Record<string, HostArray>): Record<string, HostArray> {
  return Object.fromEntries(
    Object.entries(inputs).filter(([name]) => program.inputNames.has(name)),
  );
}
