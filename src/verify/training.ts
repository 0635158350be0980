/**
 * The reference's optimiser steps, done again: loss, gradient norm and learning rate of each, and the
 * parameters at the end.
 */

import { isAdapterParameter } from "../../models/inventory.ts";
import type { Batch } from "../data/batch.ts";
import { UserError } from "../errors.ts";
import type { Gpu } from "../gpu/device.ts";
import { AdamW } from "../optim/adamw.ts";
import { createSchedule, referenceSchedules } from "../optim/schedule.ts";
import { type StepRecord, TrainingStep } from "../train/training-step.ts";
import { type Check, Comparison, notChecked, outcomes, TOLERANCES } from "./comparison.ts";
import { readBatch } from "./batch.ts";
import { type Fixture, placeParameters, type Training } from "./fixture.ts";
import type { Fields } from "./json.ts";
import { compareStatistics } from "./statistics.ts";

/** One trajectory: what was done and what came of it. */
interface Trajectory {
  /** What its quantities are called. */
  readonly title: string;
  /** Before `final.` in tensor names. */
  readonly prefix: string;
  readonly updates: number;
  readonly accumulate: number;
  readonly warmup: number;
  /** Of each update. */
  readonly losses: readonly number[];
  readonly learningRates: readonly number[];
  readonly norms: readonly number[];
}

/** A finished trajectory of this build. */
interface Outcome {
  readonly records: readonly StepRecord[];
  readonly learningRates: readonly number[];
  readonly final: ReadonlyMap<string, Float32Array>;
}

/** Trains as the fixture says and compares. */
export async function checkTraining(
  gpu: Gpu,
  fixture: Fixture,
  { record, tensors }: Training,
): Promise<Check[]> {
  const obstacle = obstacleTo(record);
  if (obstacle) return [notChecked("training", obstacle)];
  const file = `${fixture.location}/train.safetensors`;
  const tasks = record.has("tasks") ? record.textRows("tasks") : undefined;
  const batches = Array.from(
    { length: record.number("batches") },
    (_, i) => readBatch(tensors, `batch.${i}.`, fixture.config, tasks?.[i] ?? [], file),
  );
  const checks: Check[] = checkTrainable(fixture, record);
  for (const trajectory of trajectories(record)) {
    const needed = trajectory.updates * trajectory.accumulate;
    if (batches.length < needed) {
      throw new UserError(`${record.file}: ${needed} batches are needed, not ${batches.length}.`);
    }
    const outcome = await train(gpu, fixture, record, trajectory, batches);
    checks.push(...compare(fixture, { record, tensors }, trajectory, outcome));
  }
  return checks;
}

/** What of a training record this build's trainer does not do, as a sentence. */
function obstacleTo(record: Fields): string | undefined {
  if (!["adapters", "full"].includes(record.text("mode"))) {
    return `this build does not train in the mode ${record.text("mode")}`;
  }
  if (record.number("gradient_accumulation_steps") !== 1) {
    return "the form of an accumulated main trajectory is not known";
  }
  if (record.number("dropout") > 0) return "dropout is random";
  if (record.number("label_smoothing") === 0) {
    return "this build trains on the smoothed sum, not on the mean of an unsmoothed loss";
  }
  const scheduler = record.text("scheduler");
  if (!(scheduler in referenceSchedules)) return `this build has no ${scheduler} schedule`;
  return undefined;
}

function trajectories(record: Fields): Trajectory[] {
  const updates = record.number("steps");
  const main: Trajectory = {
    title: "training",
    prefix: "",
    updates,
    accumulate: 1,
    warmup: record.number("warmup_steps"),
    losses: series(record, "loss", updates),
    learningRates: series(record, "lr", updates),
    norms: series(record, "grad_norm_before_clip", updates),
  };
  return record.has("accumulation") ? [main, accumulated(record.fields("accumulation"))] : [main];
}

/** The reference lists losses and learning rates by micro-batch, the norm by update. */
function accumulated(record: Fields): Trajectory {
  const updates = record.number("steps");
  const accumulate = record.number("gradient_accumulation_steps");
  const parts = series(record, "loss_per_microbatch_after_division", updates * accumulate);
  const rates = series(record, "lr_per_microbatch", updates * accumulate);
  const microbatches = (update: number) =>
    parts.slice(update * accumulate, (update + 1) * accumulate);
  const each = Array.from({ length: updates }, (_, update) => update);
  return {
    title: "accumulation",
    prefix: "accumulation.",
    updates,
    accumulate,
    warmup: record.number("warmup_steps"),
    losses: each.map((update) => microbatches(update).reduce((sum, loss) => sum + loss, 0)),
    learningRates: each.map((update) => rates[update * accumulate]),
    norms: series(record, "grad_norm_before_clip", updates),
  };
}

function series(record: Fields, name: string, length: number): number[] {
  const values = record.numbers(name);
  if (values.length === length) return values;
  throw new UserError(
    `${record.file}: "${name}" must have ${length} numbers, not ${values.length}.`,
  );
}

async function train(
  gpu: Gpu,
  fixture: Fixture,
  record: Fields,
  { updates, accumulate, warmup }: Trajectory,
  batches: readonly Batch[],
): Promise<Outcome> {
  const parameters = placeParameters(gpu, fixture, trainableIn(record));
  const [beta1, beta2] = record.numbers("betas");
  const defaults = record.has("optimizer_defaults") && record.fields("optimizer_defaults");
  const optimizer = new AdamW(parameters, {
    correctBias: defaults ? defaults.flag("correct_bias") : true,
    beta1,
    beta2,
    epsilon: record.number("eps"),
    weightDecay: record.number("weight_decay"),
    maxNorm: record.number("max_grad_norm"),
  });
  const step = new TrainingStep(fixture.config, parameters, optimizer, {
    labelSmoothing: record.number("label_smoothing"),
    dropoutRate: 0,
    accumulate,
    seed: 0,
  });
  try {
    const base = record.number("learning_rate");
    const schedule = createSchedule(referenceSchedules[record.text("scheduler")], {
      warmup,
      total: updates,
      end: 1e-7 / base,
    });
    const records: StepRecord[] = [];
    const learningRates: number[] = [];
    for (let update = 0; update < updates; update++) {
      const learningRate = base * schedule(update);
      const microbatches = batches.slice(update * accumulate, (update + 1) * accumulate);
      await step.run(microbatches, update, { learningRate });
      learningRates.push(learningRate);
      records.push(...await step.readLog(update, update + 1));
    }
    return { records, learningRates, final: await parameters.read() };
  } finally {
    await step.destroy();
    optimizer.destroy();
    parameters.destroy();
  }
}

function compare(
  fixture: Fixture,
  { record, tensors }: Training,
  trajectory: Trajectory,
  { records, learningRates, final }: Outcome,
): Check[] {
  const { title, prefix, accumulate } = trajectory;
  const losses = new Comparison(`${title}: loss per step`, TOLERANCES.loss);
  const rates = new Comparison(`${title}: learning rate per step`, TOLERANCES.learningRate);
  const norms = new Comparison(`${title}: gradient norm per step`, TOLERANCES.gradientNorm);
  for (const [i, { loss, gradNorm }] of records.entries()) {
    losses.value(`step ${i}`, loss / accumulate, trajectory.losses[i]);
    rates.value(`step ${i}`, learningRates[i], trajectory.learningRates[i]);
    norms.value(`step ${i}`, gradNorm, trajectory.norms[i]);
  }

  // final − reference is the same difference as that of the two updates.
  const updated = new Comparison(`${title}: final parameters`, TOLERANCES.parameter);
  const untouched = new Comparison(`${title}: unchanged parameters`, TOLERANCES.exact);
  const statistics = prefix === "" && record.has("final_stats")
    ? record.fields("final_stats")
    : undefined;
  for (const { name, shape } of fixture.inventory) {
    const actual = final.get(name)!;
    const expected = tensors.get(`${prefix}final.${name}`);
    if (expected) updated.tensor(name, actual, expected);
    else if (statistics?.has(name)) {
      compareStatistics(updated, name, actual, statistics.fields(name));
    } else untouched.tensor(name, actual, { shape, values: fixture.weights.get(name)! });
  }
  return outcomes([losses, rates, norms, updated, untouched]);
}

function trainableIn(record: Fields): (name: string) => boolean {
  return record.text("mode") === "full" ? () => true : isAdapterParameter;
}

function checkTrainable({ inventory }: Fixture, record: Fields): Check[] {
  const comparison = new Comparison("training: trainable parameters", TOLERANCES.exact);
  const names = inventory.map(({ name }) => name).filter(trainableIn(record));
  comparison.names(names, record.texts("trainable"));
  return outcomes([comparison]);
}
