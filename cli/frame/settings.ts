/** The flags of a training run: one for each setting, with its defaults in the help. */

import { Command, Option } from "commander";
import { ADAPTER_MODES } from "../../models/config.ts";
import { TRAINABLE_PARTS } from "../../models/inventory.ts";
import { UserError } from "../../src/errors.ts";
import { scheduleNames } from "../../src/optim/schedule.ts";
import { optimizerNames } from "../../src/train/optimizer-settings.ts";
import { defaults, formerly, type Settings } from "../../src/train/settings.ts";
import { WEIGHT_STORAGES } from "../../src/train/storage.ts";
import {
  fraction,
  list,
  numeric,
  positiveInteger,
  positiveNumber,
  type Translate,
  wholeNumber,
  withConfig,
} from "./config.ts";
import { joined, withOwnTasks } from "./own-flags.ts";
import { withTokenizer } from "./tokenizers.ts";
import { isReferenceConfig, readReferenceConfig } from "./reference-config.ts";
import {
  logPeriod,
  memorySize,
  notNegative,
  parts,
  period,
  splits,
  warmup,
} from "./settings-values.ts";

/** The settings that every run's file has, of whichever version. */
const recorded = [...Object.keys(defaults.miniature), "model", "tasks", "train", "seed"]
  .filter((setting) => !(setting in formerly));

/**
 * Takes a configuration of the reference for what it means, and prints what it cannot mean here. What a
 * run's file does not say since it is older is as it was then.
 */
const translate: Translate = (values, file, names) => {
  if (recorded.every((setting) => setting in values)) return { ...formerly, ...values };
  if (!isReferenceConfig(values, file, names)) return values;
  const { options, warnings } = readReferenceConfig(values, file);
  for (const warning of warnings) console.error(warning);
  return options;
};

/** Gives `command` a flag for every setting of a run. */
export function withSettings(command: Command): Command {
  return withTokenizer(command)
    .option(
      "--model <name>",
      'a directory, a hub id such as google/t5-v1_1-base, or "miniature" (default)',
    )
    .option(
      "--data <places>",
      "where the tasks' folders are, or a table of your own; several by commas",
      joined,
    )
    .option("--tasks <names>", "tasks, separated by commas (default: the miniature six)", list)
    .option(
      "--eval-tasks <names>",
      "tasks that are scored, separated by commas (default: those that are trained)",
      list,
    )
    .option(
      "--train <parts>",
      `what changes: ${TRAINABLE_PARTS.join(", ")}; several by commas (default: adapters)`,
      parts,
    )
    .option("--random-weights", "begin with random weights, not the model's (default: off)")
    .option(
      "--steps <count>",
      help("optimiser updates; 0: only score the model", "steps"),
      wholeNumber,
    )
    .addOption(
      new Option("--epochs <count>", "passes over the training examples, instead of --steps")
        .argParser(positiveNumber).conflicts("steps"),
    )
    .option("--batch-size <count>", help("examples per batch", "batchSize"), positiveInteger)
    .option("--accumulate <count>", help("batches per update", "accumulate"), positiveInteger)
    .addOption(
      new Option("--optimizer <name>", help("AdamW as in transformers or torch", "optimizer"))
        .choices([...optimizerNames]),
    )
    .option("--learning-rate <rate>", help("peak learning rate", "learningRate"), positiveNumber)
    .addOption(
      new Option(
        "--schedule <name>",
        help("how the learning rate falls; constant has no warm-up", "schedule"),
      )
        .choices([...scheduleNames]),
    )
    .option(
      "--warmup-steps <count>",
      help("updates of rising learning rate, or their share", "warmupSteps"),
      warmup,
    )
    .option(
      "--schedule-cycles <count>",
      help("times that cosine-with-restarts falls", "scheduleCycles"),
      positiveNumber,
    )
    .option(
      "--schedule-power <exponent>",
      help("of the polynomial schedule; 1: a line", "schedulePower"),
      positiveNumber,
    )
    .option(
      "--schedule-end <rate>",
      help("learning rate that the polynomial schedule ends at", "scheduleEnd"),
      notNegative,
    )
    .option(
      "--weight-decay <factor>",
      help('decoupled weight decay of all but names with "bias"', "weightDecay"),
      notNegative,
    )
    .option("--adam-beta1 <value>", help("decay of the first moment", "adamBeta1"), fraction)
    .option("--adam-beta2 <value>", help("decay of the second moment", "adamBeta2"), fraction)
    .option(
      "--adam-epsilon <value>",
      help("added to the second moment's root", "adamEpsilon"),
      positiveNumber,
    )
    .option(
      "--adafactor-scale-parameter",
      help("a tensor's step is in proportion to its root mean square", "adafactorScaleParameter"),
    )
    .option(
      "--adafactor-relative-step",
      help(
        "learning rate min(0.01, 1/√step) instead of rate and schedule",
        "adafactorRelativeStep",
      ),
    )
    .option(
      "--adafactor-warmup-init",
      help("relative step that rises by 1e-6 an update", "adafactorWarmupInit"),
    )
    .option(
      "--adafactor-decay-rate <exponent>",
      help("the second moments' decay is 1 − step^exponent", "adafactorDecayRate"),
      numeric("a number below 0", (value) => value < 0 && value > -Infinity),
    )
    .option(
      "--adafactor-clip-threshold <value>",
      help("a tensor's update is clipped to it, by root mean square", "adafactorClipThreshold"),
      positiveNumber,
    )
    .option(
      "--adafactor-beta1 <value>",
      help("decay of the first moment; 0: there is none", "adafactorBeta1"),
      fraction,
    )
    .option(
      "--label-smoothing <share>",
      help("share of the target spread over the vocabulary", "labelSmoothing"),
      fraction,
    )
    .addOption(
      new Option(
        "--loss-reduction <kind>",
        help("the loss is the sum over an update's target tokens, or their mean", "lossReduction"),
      )
        .choices(["sum", "mean"]),
    )
    .addOption(
      new Option(
        "--accumulate-mean <kind>",
        help("of all tokens of an update, or of its batches' means", "accumulateMean"),
      )
        .choices(["tokens", "batches"]),
    )
    .option(
      "--max-grad-norm <norm>",
      help("gradients are clipped to this norm; 0: never", "maxGradNorm"),
      notNegative,
    )
    .option(
      "--recompute",
      help("compute blocks again in the backward pass: less memory, more time", "recompute"),
    )
    .option(
      "--max-memory <size>",
      "device memory that training may take, as 6GB or 800MB: cuts batches and recomputes as needed",
      memorySize,
    )
    .addOption(storageOption(help("how frozen weights are stored", "weightStorage")))
    .option("--dropout <share>", help("share of activations dropped", "dropout"), fraction)
    .option(
      "--temperature <value>",
      help("of task sampling; 1: in proportion to size", "temperature"),
      positiveNumber,
    )
    .addOption(
      new Option("--encoder-adapter <mode>", help("adapters of the encoder", "encoderAdapter"))
        .choices(ADAPTER_MODES),
    )
    .addOption(
      new Option("--decoder-adapter <mode>", help("adapters of the decoder", "decoderAdapter"))
        .choices(ADAPTER_MODES),
    )
    .option(
      "--encoder-adapter-dim <size>",
      help("size of the encoder's adapters", "encoderAdapterDim"),
      positiveInteger,
    )
    .option(
      "--decoder-adapter-dim <size>",
      help("size of the decoder's adapters", "decoderAdapterDim"),
      positiveInteger,
    )
    .option(
      "--hypernetwork-bottleneck <size>",
      help("hidden size of the hypernetwork", "hypernetworkBottleneck"),
      positiveInteger,
    )
    .option(
      "--adapter-norm-input",
      help("adapters read the normed input, not the residual stream itself", "adapterNormInput"),
    )
    .option(
      "--process-encoder-output",
      help(
        "a perceptron stands between pooling and hypernetwork; or else the latter reads the pooled output itself",
        "processEncoderOutput",
      ),
    )
    .option(
      "--max-source-length <ids>",
      help("longer sources are cut", "maxSourceLength"),
      positiveInteger,
    )
    .option(
      "--max-target-length <ids>",
      help("longer targets are cut", "maxTargetLength"),
      positiveInteger,
    )
    .option("--seed <number>", "of all random choices (default: 0)", wholeNumber)
    .option(
      "--data-seed <number>",
      "of which examples are drawn (default: the seed)",
      wholeNumber,
    )
    .option(
      "--train-limit <count>",
      help("training examples per task; 0: all", "trainLimit"),
      wholeNumber,
    )
    .option(
      "--filter-nulls",
      help(
        "leave chunks of a context that have no answer out of what is trained on",
        "filterNulls",
      ),
    )
    .option("--skip-bad", SKIP_BAD)
    .option(
      "--split-validation",
      help(
        "validate on examples of their own where a task has no labelled test split",
        "splitValidation",
      ),
    )
    .option(
      "--eval-every <steps>",
      help(`between evaluations on the validation split, or "epoch"; 0: none`, "evalEvery"),
      period,
    )
    .option(
      "--eval-limit <count>",
      help("validation examples per task; 0: all", "evalLimit"),
      wholeNumber,
    )
    .option(
      "--test-limit <count>",
      help("test examples per task; 0: all", "testLimit"),
      wholeNumber,
    )
    .option(
      "--eval-batch-size <count>",
      "examples per batch of an evaluation (default: the batch size)",
      positiveInteger,
    )
    .option(
      "--max-answer-length <ids>",
      "longer answers are cut; 0: each task's own length, or the longest target (default: 0)",
      wholeNumber,
    )
    .option(
      "--beams <count>",
      help("of the search for answers; 1: greedy; 0: each task's own number", "beams"),
      wholeNumber,
    )
    .addOption(
      new Option(
        "--beam-rule <rule>",
        "beams by the rules of transformers today, or of the reference (default: reference for " +
          "models that its code saved, and with its configurations)",
      ).choices(["transformers", "reference"]),
    )
    .option(
      "--final-splits <names>",
      "scored at the end: validation, test, both by commas, or none (default: test)",
      splits,
    )
    .option("--load-best", help("score the best weights at the end, not the last", "loadBest"))
    .option(
      "--save-every <steps>",
      help(`between checkpoints, or "epoch"; 0: only at the end`, "saveEvery"),
      period,
    )
    .option("--log-every <steps>", help("between readings of the log", "logEvery"), logPeriod);
}

/** Gives `command`, which has all other options, `--config` for files of ours and of the reference's. */
export function withSettingsFile(command: Command): Command {
  const ours: Translate = (values, file, names) => {
    if ("steps" in values && "epochs" in values) {
      throw new UserError(`${file} says both "steps" and "epochs": leave one out`);
    }
    return translate(values, file, names);
  };
  return withConfig(command, ours).hook("preAction", (command) => {
    // Steps go before epochs, but not those of a file before the flag.
    if (command.getOptionValueSource("epochs") === "cli") {
      command.setOptionValue("steps", undefined);
    }
  });
}

/** What `--skip-bad` does. */
export const SKIP_BAD =
  "leave rows of data that cannot be read out, and say so, instead of ending " +
  "(default: for qqp, whose published files have some)";

/** The flag for how a model's frozen matrices lie on the device. */
export function storageOption(description: string): Option {
  return new Option("--weight-storage <type>", description).choices(WEIGHT_STORAGES);
}

/** A description that ends with the setting's defaults. */
function help(text: string, setting: keyof typeof defaults.miniature): string {
  const [t5, miniature] = [defaults.t5, defaults.miniature].map((recipe) => {
    const value = recipe[setting];
    return typeof value === "boolean" ? value ? "on" : "off" : value;
  });
  if (t5 === undefined) return `${text} (default: the model's; miniature: ${miniature})`;
  return t5 === miniature
    ? `${text} (default: ${t5})`
    : `${text} (default: ${t5}; miniature: ${miniature})`;
}

/** The settings that the run at `path` was begun with. @throws {UserError} if its file is damaged */
export async function readSettings(path: string): Promise<Settings> {
  const file = `${path}/config.json`;
  const command = withSettingsFile(withOwnTasks(withSettings(new Command()))).action(() => {});
  await command.parseAsync(["--config", file], { from: "user" });
  const { config: _, ...settings } = command.opts<Settings & { config: string }>();
  const missing = recorded.find((setting) => !(setting in settings));
  if (missing) throw new UserError(`${file} is not a run's: it does not say "${missing}"`);
  return settings;
}
