/**
 * Flags of a training run that change nothing beside its other settings.
 *
 * Each is named when the command line gives it, since whoever gives a flag expects something of it. A file
 * of settings may say anything: a run's own has all of them.
 */

import type { Command } from "commander";
import { readingTaskNames } from "../../src/data/reading.ts";
import type { Settings } from "../../src/train/settings.ts";

/** Settings, and what they have an effect beside. */
interface Rule {
  readonly settings: readonly (keyof Settings)[];
  readonly counts: (settings: Settings) => boolean;
  /** Completes "it is about …". */
  readonly about: string;
}

const isAdafactor = ({ optimizer }: Settings) => optimizer === "adafactor";
const isRelative = (settings: Settings) => isAdafactor(settings) && settings.adafactorRelativeStep;
const isScored = ({ evalEvery, finalSplits }: Settings) => evalEvery > 0 || finalSplits.length > 0;
const modes = ({ encoderAdapter, decoderAdapter }: Settings) => [encoderAdapter, decoderAdapter];

const rules: readonly Rule[] = [
  {
    settings: ["adamBeta1", "adamBeta2", "adamEpsilon"],
    counts: (settings) => !isAdafactor(settings),
    about: "--optimizer adamw and adamw-torch",
  },
  {
    settings: [
      "adafactorScaleParameter",
      "adafactorRelativeStep",
      "adafactorWarmupInit",
      "adafactorDecayRate",
      "adafactorClipThreshold",
      "adafactorBeta1",
    ],
    counts: isAdafactor,
    about: "--optimizer adafactor",
  },
  {
    settings: ["learningRate", "schedule"],
    counts: (settings) => !isRelative(settings),
    about: "learning rates other than that of --adafactor-relative-step",
  },
  {
    settings: ["warmupSteps"],
    counts: (settings) => settings.schedule !== "constant" && !isRelative(settings),
    about: "schedules with a warm-up",
  },
  {
    settings: ["scheduleCycles"],
    counts: (settings) => settings.schedule === "cosine-with-restarts" && !isRelative(settings),
    about: "--schedule cosine-with-restarts",
  },
  {
    settings: ["schedulePower", "scheduleEnd"],
    counts: (settings) => settings.schedule === "polynomial" && !isRelative(settings),
    about: "--schedule polynomial",
  },
  {
    settings: ["accumulateMean"],
    counts: ({ accumulate, lossReduction }) => accumulate > 1 && lossReduction === "mean",
    about: "--loss-reduction mean with --accumulate above 1",
  },
  {
    settings: ["encoderAdapterDim"],
    counts: ({ encoderAdapter }) => encoderAdapter !== "none",
    about: "adapters in the encoder",
  },
  {
    settings: ["decoderAdapterDim"],
    counts: ({ decoderAdapter }) => decoderAdapter !== "none",
    about: "adapters in the decoder",
  },
  {
    settings: ["adapterNormInput"],
    counts: (settings) => modes(settings).some((mode) => mode !== "none"),
    about: "adapters",
  },
  {
    settings: ["hypernetworkBottleneck"],
    counts: (settings) => modes(settings).some((mode) => mode === "generated" || mode === "task"),
    about: "adapters that a hypernetwork generates",
  },
  {
    settings: ["processEncoderOutput"],
    counts: (settings) => modes(settings).includes("generated"),
    about: "adapters that are generated from the text",
  },
  {
    settings: ["filterNulls"],
    counts: ({ tasks }) => tasks.some((task) => readingTaskNames.includes(task)),
    about: `the tasks ${readingTaskNames.join(", ")}`,
  },
  {
    settings: ["evalLimit"],
    counts: ({ evalEvery, finalSplits }) => evalEvery > 0 || finalSplits.includes("validation"),
    about: "scores on the validation split",
  },
  {
    settings: ["testLimit"],
    counts: ({ finalSplits }) => finalSplits.includes("test"),
    about: "scores on the test split",
  },
  {
    settings: ["evalTasks", "evalBatchSize", "beams", "beamRule", "maxAnswerLength"],
    counts: isScored,
    about: "scores, and nothing is scored",
  },
  {
    settings: ["loadBest"],
    counts: ({ evalEvery, finalSplits }) => evalEvery > 0 && finalSplits.length > 0,
    about: "scores at the end of a run that was evaluated before",
  },
];

/** A sentence for each flag of the command line that changes nothing beside `settings`. */
export function idleFlags(command: Command, settings: Settings): string[] {
  return rules.filter(({ counts }) => !counts(settings)).flatMap(({ settings: names, about }) =>
    names
      // Whoever switches off what is off does no more than say so.
      .filter((name) => command.getOptionValueSource(name) === "cli" && settings[name] !== false)
      .map((name) => `${flagOf(name)} changes nothing here: it is about ${about}.`)
  );
}

const flagOf = (name: string): string =>
  `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
