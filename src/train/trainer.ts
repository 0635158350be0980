/**
 * Training as a sequence of updates that can be left at any step and taken up again bit for bit.
 *
 * Invariant: an update depends on nothing but the parameters, the optimiser's state and the number of
 * updates before it; batches, learning rate and dropout all follow from that number. A snapshot is
 * therefore those three and no more. Between two readings of the log nothing is read back.
 */

import type { ModelConfig } from "../../models/config.ts";
import { type Batch, paddedLength } from "../data/batch.ts";
import { UserError } from "../errors.ts";
import type { KernelTime } from "../gpu/profiler.ts";
import type { Parameters } from "../graph/parameters.ts";
import type { Program } from "../graph/program.ts";
import type { Shape } from "../graph/tensor.ts";
import type { Optimizer } from "../optim/optimizer.ts";
import type { Schedule } from "../optim/schedule.ts";
import type { Fit } from "./memory-budget.ts";
import { createOptimizer, learningRates } from "./optimizer-settings.ts";
import type { Settings } from "./settings.ts";
import { LOG_SLOTS, TrainingStep } from "./training-step.ts";

/** What became of one update. */
export interface UpdateReport {
  /** Its number, from 1. */
  readonly step: number;
  /** Label-smoothed loss per target token. */
  readonly loss: number;
  readonly learningRate: number;
  /** Norm of the gradients of the summed loss, before clipping. */
  readonly gradNorm: number;
  /** Target tokens of the update. */
  readonly targetTokens: number;
  /** Source and target tokens per second, padding not counted, since the log was read before. */
  readonly tokensPerSecond: number;
}

/** All that an update depends on, on the host. */
export interface Snapshot {
  /** Updates done. */
  readonly step: number;
  /** Trainable parameters by name. */
  readonly parameters: ReadonlyMap<string, Float32Array>;
  /** The optimiser's state by name. */
  readonly optimizer: ReadonlyMap<string, Float32Array>;
}

/** See the module's header. */
export class Trainer {
  /** How batches were made to fit into memory, where that has a limit. */
  readonly fit: Fit | undefined;
  readonly #optimizer: Optimizer;
  readonly #learningRate: Schedule;
  readonly #update: TrainingStep;
  readonly #settings: Settings;
  readonly #batch: (index: number) => Batch;
  #step = 0;
  #truncated = 0;

  /**
   * @param parameters the model's, on the device
   * @param batch the training batch of an index, from 0 on, always the same
   */
  constructor(
    config: ModelConfig,
    readonly parameters: Parameters,
    settings: Settings,
    batch: (index: number) => Batch,
  ) {
    const {
      accumulate,
      accumulateMean,
      dropout,
      labelSmoothing,
      lossReduction,
      recompute,
      logEvery,
      maxMemory,
      seed,
    } = settings;
    if (logEvery > LOG_SLOTS) {
      throw new UserError(
        `--log-every is ${logEvery}, but the log holds ${LOG_SLOTS} steps at most`,
      );
    }
    this.#settings = settings;
    this.#batch = batch;
    this.#optimizer = createOptimizer(parameters, settings);
    this.#learningRate = learningRates(settings, settings.steps);
    this.#update = new TrainingStep(config, parameters, this.#optimizer, {
      labelSmoothing,
      lossReduction,
      accumulateMean,
      dropoutRate: dropout,
      accumulate,
      seed,
      recompute,
    });
    if (maxMemory > 0) {
      this.fit = this.#update.fit({
        batchSize: settings.batchSize,
        sourceLength: paddedLength(settings.maxSourceLength),
        targetLength: paddedLength(settings.maxTargetLength),
      }, maxMemory);
    }
  }

  /** Updates done. */
  get step(): number {
    return this.#step;
  }

  /** Sources and targets cut to their limit since this object was made. */
  get truncated(): number {
    return this.#truncated;
  }

  /**
   * Makes updates until `step` are done, or the signal says stop, and reports each.
   *
   * @param step at most `LOG_SLOTS` from here
   * @throws {UserError} when the loss or the gradients are no longer finite
   */
  async advance(step: number, signal?: AbortSignal): Promise<UpdateReport[]> {
    const { accumulate } = this.#settings;
    const first = this.#step;
    const start = performance.now();
    let tokens = 0;
    while (this.#step < step && !signal?.aborted) {
      const index = this.#step * accumulate;
      const batches = Array.from({ length: accumulate }, (_, i) => this.#batch(index + i));
      for (const { sourceTokens, targetTokens, truncated } of batches) {
        tokens += sourceTokens + targetTokens;
        this.#truncated += truncated;
      }
      await this.#update.run(batches, this.#step, this.#updateAt(this.#step));
      this.#step++;
      await turn();
    }
    const records = await this.#update.readLog(first, this.#step);
    const tokensPerSecond = tokens / (performance.now() - start) * 1000;
    return records.map(({ loss, targetTokens, gradNorm }, i) => {
      if (!Number.isFinite(loss) || !Number.isFinite(gradNorm)) {
        throw new UserError(
          `training diverged at step ${
            first + i + 1
          }: the loss is ${loss} and the gradient's norm ` +
            `${gradNorm}; try a learning rate below ${this.#settings.learningRate}`,
        );
      }
      return {
        step: first + i + 1,
        loss: loss / targetTokens,
        learningRate: this.#learningRate(first + i),
        gradNorm,
        targetTokens,
        tokensPerSecond,
      };
    });
  }

  /** Time of every kernel of one update. The update is made, so this is not for a run to be kept. */
  async profile(): Promise<KernelTime[]> {
    const batch = this.#batch(0);
    // The first run pays for what drivers put off until then.
    await this.#update.profile(batch, this.#updateAt(0));
    return await this.#update.profile(batch, this.#updateAt(0));
  }

  /** Memory and dispatches of one update's program. */
  async plan(): Promise<Pick<Program, "memory" | "dispatchCount">> {
    return await this.#update.plan(this.#batch(0));
  }

  /** Names and shapes of the optimiser's state. */
  get optimizerShapes(): ReadonlyMap<string, Shape> {
    return this.#optimizer.stateShapes;
  }

  /** Waits for the device and copies everything that training goes on from. */
  async snapshot(): Promise<Snapshot> {
    const parameters = await this.parameters.read(this.parameters.trainable);
    return { step: this.#step, parameters, optimizer: await this.#optimizer.readState() };
  }

  /** Goes on from a snapshot, which must have every trainable parameter. */
  restore({ step, parameters, optimizer }: Snapshot): void {
    for (const name of this.parameters.trainable) {
      this.parameters.write(name, parameters.get(name)!);
    }
    this.#optimizer.writeState(optimizer);
    this.#step = step;
  }

  #updateAt(step: number) {
    return { learningRate: this.#learningRate(step) };
  }
}

/** Lets signals and events in: submitting work never waits for anything by itself. */
function turn(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve));
}
