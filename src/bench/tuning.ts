/**
 * What the tuner gains: kernels that it chose beside those that are taken without it, in turns.
 *
 * Products whose choice it left alone run the same kernel either way and are not measured.
 */

import type { Gpu } from "../gpu/device.ts";
import { compile } from "../graph/compile.ts";
import { type Choices, type Tunable, Tuning, tuningOf, useTuning } from "../graph/tuning.ts";
import type { Clock } from "./measure.ts";
import {
  compare,
  type Comparison,
  type Contender,
  type Contest,
  type Turns,
} from "./peers/comparison.ts";
import { DECODED } from "./peers/contests.ts";
import * as ours from "./peers/ours.ts";
import type { Subject } from "./subjects.ts";

/** What tuning a model comes to. */
export interface TuningResult {
  readonly name: string;
  /** What it took to choose. */
  readonly seconds: number;
  /** Classes of products that were measured, and those for which another kernel was chosen. */
  readonly classes: number;
  readonly changed: number;
  /** Each of the latter, then a training step and a token of decoding; ours is with tuning. */
  readonly comparisons: readonly Comparison[];
}

/** For a single product: it is done many times in a turn, and there are many of them. */
const PRODUCT_TURNS: Turns = { turns: 7, milliseconds: 100 };

/** A choice that was made. */
interface Choice {
  readonly tunable: Tunable;
  readonly chosen: string;
}

/** Work whose kernels are chosen: a contest without contenders. */
export interface TunedWork extends Pick<Contest, "work" | "tolerance" | "units"> {
  /** Makes what does the work; whatever it compiles, it compiles in its first run at the latest. */
  make(): Contender | Promise<Contender>;
}

/** Training and decoding of a model. */
export interface TunedModel {
  readonly name: string;
  readonly works: readonly TunedWork[];
}

/**
 * Chooses kernels for all that a model does, and compares.
 *
 * @param tell is called with what is done next
 */
export async function measureTuning(
  gpu: Gpu,
  { name, works }: TunedModel,
  clock: Clock,
  tell: (what: string) => void,
): Promise<TuningResult> {
  const choices: Choice[] = [];
  const tuning = await Tuning.open(
    nowhere,
    (tunable, chosen) => choices.push({ tunable, chosen }),
  );

  tell(`the choice of kernels for ${name}`);
  const start = clock.wall();
  for (const { make } of works) await (await prepared(gpu, tuning, make)).destroy();
  const seconds = (clock.wall() - start) / 1000;

  const changed = choices.filter(({ tunable, chosen }) => chosen !== tunable.candidates[0]);
  const comparisons: Comparison[] = [];
  for (const { tunable, chosen } of changed) {
    tell(tunable.key);
    const [first] = tunable.candidates;
    const contest = {
      work: `${tunable.key}: ${chosen}`,
      peer: first,
      ours: () => trial(gpu, tunable, chosen),
      theirs: () => trial(gpu, tunable, first),
      tolerance: 0,
    };
    comparisons.push(await compare(contest, clock, PRODUCT_TURNS));
  }
  for (const { make, ...work } of works) {
    tell(`${work.work} with and without tuning`);
    const contest = {
      ...work,
      peer: "without tuning",
      ours: () => ours.alone(gpu, () => prepared(gpu, tuning, make)),
      theirs: () => prepared(gpu, undefined, make),
    };
    comparisons.push(await compare(contest, clock));
  }
  return {
    name,
    seconds,
    classes: choices.length,
    changed: changed.length,
    comparisons,
  };
}

/** A training step of a model, and decoding of one text and of a batch. */
export function tunedModel(gpu: Gpu, subject: Subject): TunedModel {
  const { name, config, batch } = subject;
  const works = [
    {
      work: `${name}, training step`,
      make: () => ours.modelTraining(gpu, subject),
      tolerance: 1e-4,
      units: 1,
    },
    ...[1, batch.batchSize].map((batchSize) => {
      const answer = { name, config, batch: { ...batch, batchSize, targetLength: DECODED } };
      return {
        work: `${name}, greedy decoding of ${batchSize} × ${DECODED} tokens`,
        make: () => ours.decoding(gpu, answer),
        // Two tokens may be so nearly as likely that the order of sums decides.
        tolerance: Infinity,
        units: DECODED,
      };
    }),
  ];
  return { name, works };
}

/** A contender all of whose programs are compiled, with or without a tuner. */
async function prepared(
  gpu: Gpu,
  tuning: Tuning | undefined,
  make: TunedWork["make"],
): Promise<Contender> {
  const usual = tuningOf(gpu);
  useTuning(gpu, tuning);
  try {
    const contender = await make();
    await contender.run(1);
    return contender;
  } finally {
    useTuning(gpu, usual);
  }
}

/** A product in one of the ways that it can be computed. */
async function trial(gpu: Gpu, tunable: Tunable, candidate: string): Promise<Contender> {
  const { result, operands } = tunable.build(candidate, gpu);
  const program = await compile(gpu, { outputs: {}, effects: [result] });
  return {
    async run(count) {
      program.submit({}, { repeat: count });
      await gpu.device.queue.onSubmittedWorkDone();
      gpu.assertHealthy("measuring");
      return [];
    },
    destroy() {
      program.destroy();
      for (const { buffer } of operands) buffer.destroy();
    },
  };
}

/** Choices are forgotten with the tuner. */
const nowhere = {
  read: () => Promise.resolve<Choices>({}),
  write: () => Promise.resolve(),
};
