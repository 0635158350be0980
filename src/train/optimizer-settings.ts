/**
 * How the parameters move: which optimiser, with which settings, at which learning rate when.
 */

import { UserError } from "../errors.ts";
import type { Parameters } from "../graph/parameters.ts";
import { Adafactor } from "../optim/adafactor.ts";
import { AdamW } from "../optim/adamw.ts";
import type { Optimizer } from "../optim/optimizer.ts";
import {
  createSchedule,
  relativeStepSize,
  type Schedule,
  type ScheduleName,
} from "../optim/schedule.ts";

/** Names of the optimisers: AdamW in Hugging Face's form and in PyTorch's, and Adafactor. */
export const optimizerNames = ["adamw", "adamw-torch", "adafactor"] as const;

/** Settings that have no effect are kept all the same: they say what another choice would do. */
export interface OptimizerSettings {
  readonly optimizer: typeof optimizerNames[number];
  /** Peak learning rate. */
  readonly learningRate: number;
  readonly schedule: ScheduleName;
  /** Updates of rising learning rate; below 1, as a share of all updates. */
  readonly warmupSteps: number;
  /** Restarts of the cosine. */
  readonly scheduleCycles: number;
  /** Exponent of the polynomial schedule. */
  readonly schedulePower: number;
  /** Learning rate that the polynomial schedule ends at. */
  readonly scheduleEnd: number;
  readonly weightDecay: number;
  /** Gradients are scaled down to this norm; 0 for never. */
  readonly maxGradNorm: number;
  readonly adamBeta1: number;
  readonly adamBeta2: number;
  readonly adamEpsilon: number;
  /** A tensor's step is in proportion to its root mean square. */
  readonly adafactorScaleParameter: boolean;
  /** The learning rate follows from the number of the update alone; there is no schedule. */
  readonly adafactorRelativeStep: boolean;
  /** That learning rate rises from 1e-6. */
  readonly adafactorWarmupInit: boolean;
  readonly adafactorDecayRate: number;
  readonly adafactorClipThreshold: number;
  /** Decay of the first moment; 0 for none. */
  readonly adafactorBeta1: number;
}

/** What holds when nobody says otherwise: the reference's trainer's, but for rate and warm-up. */
export const optimizerDefaults = {
  optimizer: "adamw",
  schedule: "linear",
  scheduleCycles: 1,
  schedulePower: 1,
  scheduleEnd: 1e-7,
  weightDecay: 0,
  maxGradNorm: 1,
  adamBeta1: 0.9,
  adamBeta2: 0.999,
  adamEpsilon: 1e-8,
  adafactorScaleParameter: false,
  adafactorRelativeStep: false,
  adafactorWarmupInit: false,
  adafactorDecayRate: -0.8,
  adafactorClipThreshold: 1,
  adafactorBeta1: 0,
} as const satisfies Partial<OptimizerSettings>;

/** The optimiser of a run, with its state at the beginning. */
export function createOptimizer(parameters: Parameters, settings: OptimizerSettings): Optimizer {
  const { optimizer, weightDecay, maxGradNorm: maxNorm } = settings;
  if (optimizer === "adafactor") {
    return new Adafactor(parameters, {
      weightDecay,
      maxNorm,
      scaleParameter: settings.adafactorScaleParameter,
      decayRate: settings.adafactorDecayRate,
      clipThreshold: settings.adafactorClipThreshold,
      beta1: settings.adafactorBeta1,
    });
  }
  return new AdamW(parameters, {
    weightDecay,
    maxNorm,
    form: optimizer === "adamw" ? "huggingface" : "pytorch",
    beta1: settings.adamBeta1,
    beta2: settings.adamBeta2,
    epsilon: settings.adamEpsilon,
  });
}

/**
 * The learning rate of the update after `step` earlier ones.
 *
 * @param settings with `warmupSteps` in updates
 * @param total all updates of the run
 * @throws {UserError} for settings that contradict each other
 */
export function learningRates(settings: OptimizerSettings, total: number): Schedule {
  const { optimizer, learningRate, adafactorRelativeStep, adafactorWarmupInit } = settings;
  if (optimizer === "adafactor" && adafactorRelativeStep) {
    return relativeStepSize(adafactorWarmupInit);
  }
  if (optimizer === "adafactor" && adafactorWarmupInit) {
    throw new UserError("--adafactor-warmup-init needs --adafactor-relative-step");
  }
  const { schedule, warmupSteps: warmup, scheduleCycles, schedulePower, scheduleEnd } = settings;
  if (schedule === "polynomial" && scheduleEnd >= learningRate) {
    throw new UserError(
      `--schedule-end is ${scheduleEnd}, but it must be below --learning-rate ${learningRate}`,
    );
  }
  const factor = createSchedule(schedule, {
    warmup,
    total,
    ...(schedule === "cosine-with-restarts" && { cycles: scheduleCycles }),
    power: schedulePower,
    end: scheduleEnd / learningRate,
  });
  return (step) => learningRate * factor(step);
}
