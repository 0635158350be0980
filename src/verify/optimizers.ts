/**
 * Optimisers and schedules on given gradients: the parameters after every step, made again by the kernels
 * that train, and the learning rates of every step.
 */

import type { Gpu } from "../gpu/device.ts";
import { compile } from "../graph/compile.ts";
import { input } from "../graph/leaves.ts";
import { Parameters } from "../graph/parameters.ts";
import { Adafactor, type AdafactorOptions } from "../optim/adafactor.ts";
import { AdamW, type AdamWOptions } from "../optim/adamw.ts";
import type { Optimizer } from "../optim/optimizer.ts";
import {
  createSchedule,
  referenceSchedules,
  relativeStepSize,
  type Schedule,
} from "../optim/schedule.ts";
import { type Check, Comparison, notChecked, outcomes, TOLERANCES } from "./comparison.ts";
import type { Fields, Tensor } from "./json.ts";

/** What an optimiser of a record is in this build. */
interface Counterpart {
  create(parameters: Parameters): Optimizer;
  /** Of the update after so many. */
  readonly learningRate: Schedule;
}

/** Repeats every run and every schedule of `optim.json`. */
export async function checkOptimizers(gpu: Gpu, record: Fields): Promise<Check[]> {
  const initial = record.tensors("initial"), gradients = record.tensorLists("gradients");
  const checks: Check[] = [];
  for (const run of record.list("runs")) {
    const title = `${run.text("optimizer")} ${described(run.fields("args"))}`.trim();
    const counterpart = counterpartOf(run);
    if (!counterpart) {
      checks.push(notChecked(title, "this build has no such optimiser"));
      continue;
    }
    const steps = await trajectory(gpu, counterpart, initial, gradients);
    const comparison = new Comparison(`${title}: parameters`, TOLERANCES.parameter);
    for (const [i, expected] of run.tensorLists("parameters_after_each_step").entries()) {
      for (const [j, tensor] of expected.entries()) {
        comparison.tensor(`step ${i}, tensor ${j}`, steps[i].get(nameOf(j))!, tensor);
      }
    }
    checks.push(...outcomes([comparison]));
  }
  return [...checks, ...checkSchedules(record.list("schedules"))];
}

/** Compares learning rates; "linear" with its arguments is a quantity. */
function checkSchedules(records: readonly Fields[]): Check[] {
  return records.flatMap((record) => {
    const scheduler = record.text("scheduler"), args = record.fields("args");
    const title = `${scheduler} schedule ${described(args)}`.trim();
    const name = referenceSchedules[scheduler];
    if (!name) return [notChecked(title, "this build has no such schedule")];
    const base = record.number("base_lr");
    const optional = (field: string, fallback: number) =>
      args.has(field) ? args.number(field) : fallback;
    const schedule = createSchedule(name, {
      warmup: optional("num_warmup_steps", 0),
      total: optional("num_training_steps", 0),
      ...(args.has("num_cycles") && { cycles: args.number("num_cycles") }),
      power: optional("power", 1),
      end: optional("lr_end", 1e-7) / base,
    });
    const comparison = new Comparison(`${title}: learning rates`, TOLERANCES.learningRate);
    for (const [step, rate] of record.numbers("lr_used_at_step").entries()) {
      comparison.value(`step ${step}`, base * schedule(step), rate);
    }
    return outcomes([comparison]);
  });
}

/** The parameters after each step, by name. */
async function trajectory(
  gpu: Gpu,
  { create, learningRate }: Counterpart,
  initial: readonly Tensor[],
  gradients: readonly Tensor[][],
): Promise<Map<string, Float32Array>[]> {
  const parameters = new Parameters(
    gpu,
    initial.map(({ shape }, i) => ({ name: nameOf(i), shape, trainable: true })),
  );
  const optimizer = create(parameters);
  try {
    for (const [i, { values }] of initial.entries()) {
      parameters.write(nameOf(i), Float32Array.from(values));
    }
    const given = new Map(initial.map(({ shape }, i) => [nameOf(i), input(nameOf(i), shape)]));
    const hyper = input("hyper", [optimizer.hyperLength]);
    const { effects } = optimizer.update(given, hyper);
    const program = await compile(gpu, { outputs: {}, effects });
    const steps: Map<string, Float32Array>[] = [];
    for (const [i, tensors] of gradients.entries()) {
      program.submit({
        hyper: optimizer.hyper({ learningRate: learningRate(i), step: i + 1 }),
        ...Object.fromEntries(
          tensors.map(({ values }, j) => [nameOf(j), Float32Array.from(values)]),
        ),
      });
      steps.push(await parameters.read());
    }
    program.destroy();
    return steps;
  } finally {
    optimizer.destroy();
    parameters.destroy();
  }
}

function counterpartOf(run: Fields): Counterpart | undefined {
  const settings = run.fields("defaults");
  const shared = { weightDecay: settings.number("weight_decay"), decays: () => true };
  const rate = (): Schedule => {
    const learningRate = settings.number("lr");
    return () => learningRate;
  };
  switch (run.text("optimizer")) {
    case "AdamW":
    case "torch.AdamW": {
      const [beta1, beta2] = settings.numbers("betas");
      const options: AdamWOptions = {
        ...shared,
        beta1,
        beta2,
        epsilon: settings.number("eps"),
        correctBias: settings.has("correct_bias") ? settings.flag("correct_bias") : true,
        form: run.text("optimizer") === "AdamW" ? "huggingface" : "pytorch",
      };
      return { create: (parameters) => new AdamW(parameters, options), learningRate: rate() };
    }
    case "Adafactor": {
      const [gradientEpsilon, parameterEpsilon] = settings.numbers("eps");
      const options: AdafactorOptions = {
        ...shared,
        gradientEpsilon,
        parameterEpsilon,
        clipThreshold: settings.number("clip_threshold"),
        decayRate: settings.number("decay_rate"),
        beta1: settings.has("beta1") ? settings.number("beta1") : 0,
        scaleParameter: settings.flag("scale_parameter"),
      };
      return {
        create: (parameters) => new Adafactor(parameters, options),
        learningRate: settings.flag("relative_step")
          ? relativeStepSize(settings.flag("warmup_init"))
          : rate(),
      };
    }
  }
  return undefined;
}

function nameOf(index: number): string {
  return `tensor ${index}`;
}

/** Arguments as they would be written. */
function described(args: Fields): string {
  return args.names.map((name) => `${name}=${args.spelled(name)}`).join(", ");
}
