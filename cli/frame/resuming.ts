/**
 * Going on with a run: which settings may be said anew, and what changes with them.
 *
 * Invariant: what the weights come from stays as it was begun, but for how many updates there are. What
 * only decides when a run is looked at, and what is scored at its end, is free.
 */

import { resolve } from "node:path";
import { UserError } from "../../src/errors.ts";
import { isTuned } from "../../src/platform/tuning-file.ts";
import { hasCheckpoint } from "../../src/train/checkpoint.ts";
import { checkData } from "../../src/train/data-record.ts";
import { learningRates } from "../../src/train/optimizer-settings.ts";
import type { Run } from "../../src/train/run.ts";
import type { Change } from "../../src/train/run-directory.ts";
import { type Options, type Settings, warmupOf } from "../../src/train/settings.ts";
import { newestRunPath, requireRun } from "./places.ts";
import type { TuningFlag } from "./tuning.ts";

/** Settings that may be other ones when a run goes on. A limit of validation decides what is best. */
const FREE: readonly (keyof Options)[] = [
  "steps",
  "epochs",
  "evalEvery",
  "evalBatchSize",
  "testLimit",
  "finalSplits",
  "loadBest",
  "saveEvery",
  "logEvery",
];

/** The run that `--resume` means. @throws {UserError} if there is none, or two are named */
export async function runToResume(
  resume: string | true,
  out: string | undefined,
): Promise<string> {
  if (typeof resume === "string" && out !== undefined && resolve(resume) !== resolve(out)) {
    throw new UserError(`--resume ${resume} and --out ${out} name two runs: leave one out`);
  }
  const run = resume === true ? out ?? await newestRunPath() : resume;
  if (run === undefined) throw new UserError("there is no run to resume in runs/: name one");
  await requireRun(run);
  return run;
}

/**
 * The settings a run was begun with, and in their place those that are said anew.
 *
 * @param run its path
 * @throws {UserError} for another value of a setting that cannot change
 */
export function resumedOptions(run: string, begun: Settings, said: Options): Options {
  const repeated = {
    ...said,
    warmupSteps: said.warmupSteps && warmupOf(said.warmupSteps, begun.steps),
  };
  for (const [key, now] of Object.entries(repeated)) {
    if (now === undefined || FREE.includes(key as keyof Options)) continue;
    const [here, there] = [now, begun[key as keyof Settings]].map((value) => JSON.stringify(value));
    if (here === there) continue;
    throw new UserError(
      `${key} is ${here} here, but ${run} was begun with ${there}: ` +
        `leave it out to resume, or begin a new run`,
    );
  }
  const anew = FREE.filter((key) => said[key] !== undefined);
  return {
    ...begun,
    ...said.epochs !== undefined && { steps: undefined }, // they wait for the data
    ...Object.fromEntries(anew.map((key) => [key, said[key]])),
  };
}

/** Refuses to choose kernels in another way than a run was begun with: it would not go on bit for bit. */
export async function checkTuning(run: string, { tune }: TuningFlag): Promise<void> {
  if (tune === undefined || tune === await isTuned(run)) return;
  throw new UserError(
    `${run} was begun ${tune ? "without --tune" : "with kernels that were measured"}: leave out ` +
      `${tune ? "--tune" : "--no-tune"} to resume, or begin a new run`,
  );
}

/** Takes a run up where it was left, with what is said anew, and tells what changes. */
export async function takeUp(run: Run, begun: Settings): Promise<void> {
  const { trainer, parts: { settings, directory, datasets } } = run;
  await checkData(directory.store, datasets);
  if (await hasCheckpoint(directory.store.checkpoints)) await run.restore("latest");
  const changes = changesOf(directory.store.location, begun, settings, trainer.step);
  await directory.trim(trainer.step);
  if (Object.keys(changes).length === 0) return;
  await directory.change(settings, { step: trainer.step, changes });
  for (const sentence of describeChanges(changes, begun, settings, trainer.step)) {
    console.error(sentence);
  }
}

/**
 * What a run goes on with that it was not begun with.
 *
 * @param run its path
 * @param done updates that it has made
 * @throws {UserError} if it has made more of them than there are now to be
 */
export function changesOf(
  run: string,
  begun: Settings,
  now: Settings,
  done: number,
): Change["changes"] {
  if (now.steps < done) {
    throw new UserError(
      `${run} has made ${done} updates, so that it cannot end with ${now.steps}: ` +
        `give more --steps or --epochs, or begin a new run`,
    );
  }
  return Object.fromEntries(
    (Object.keys(now) as (keyof Settings)[])
      .filter((key) => JSON.stringify(begun[key]) !== JSON.stringify(now[key]))
      .map((key) => [key, { from: begun[key], to: now[key] }]),
  );
}

/** The changes as sentences; where there are other updates to come, what becomes of the learning rate. */
export function describeChanges(
  changes: Change["changes"],
  begun: Settings,
  now: Settings,
  done: number,
): string[] {
  const { steps, ...others } = changes;
  const sentences = Object.entries(others).map(([key, { from, to }]) =>
    `${key} is ${JSON.stringify(to)} from here on, and was ${JSON.stringify(from)}.`
  );
  if (!steps) return sentences;
  const [before, after] = [begun, now].map((settings) =>
    learningRates(settings, settings.steps)(done)
  );
  const rate = before === after
    ? `the learning rate stays ${rounded(after)}`
    : `the learning rate of the next one is ${rounded(after)}, and would have been ${
      rounded(before)
    }`;
  return [
    `The run ends after ${now.steps} updates instead of ${begun.steps}, ${done} of which are made: ` +
    `${endOf(now)}${rate}.`,
    ...sentences,
  ];
}

/** How the schedule ends, where it depends on the number of updates. */
function endOf(
  { optimizer, adafactorRelativeStep, schedule, scheduleEnd, steps }: Settings,
): string {
  if (schedule.startsWith("constant") || (optimizer === "adafactor" && adafactorRelativeStep)) {
    return "";
  }
  const end = schedule === "polynomial" ? scheduleEnd : 0;
  return `the ${schedule} schedule is now that of ${steps} updates and falls to ${end} there; `;
}

const rounded = (rate: number): string => String(Number(rate.toPrecision(3)));
