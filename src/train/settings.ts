/**
 * Everything that decides a training run, and what it is when nobody says.
 *
 * A run keeps its resolved settings in `config.json` under the names of the flags, so that the file is
 * also a configuration with which the run can be made again.
 */

import { type AdapterMode, type ModelConfig, parseConfig } from "../../models/config.ts";
import { isTrainable, parameterInventory, type TrainablePart } from "../../models/inventory.ts";
import type { LocatedTask } from "../data/own/load.ts";
import { withSubtasks } from "../data/tasks.ts";
import { UserError } from "../errors.ts";
import type { BeamRule } from "../graph/ops/beam-step.ts";
import { beamRuleOf } from "./model-generation.ts";
import type { TokenizerRule } from "../text/tokenizer-files.ts";
import type { WeightStorage } from "./storage.ts";
import { learningRates, optimizerDefaults, type OptimizerSettings } from "./optimizer-settings.ts";

/** Settings of the adapters, which the model's own `config.json` may decide. */
export interface AdapterSettings {
  readonly encoderAdapter: AdapterMode;
  readonly decoderAdapter: AdapterMode;
  readonly encoderAdapterDim: number;
  readonly decoderAdapterDim: number;
  /** Hidden size of the hypernetwork. */
  readonly hypernetworkBottleneck: number;
  /** Adapters read the normed input of the feed-forward layer instead of the residual stream. */
  readonly adapterNormInput: boolean;
  /** A two-layer perceptron stands between the pooled encoder output and the hypernetwork. */
  readonly processEncoderOutput: boolean;
}

/** Settings that have a default for each kind of model. */
export interface Recipe extends OptimizerSettings {
  /** Optimiser updates. */
  readonly steps: number;
  /** Examples per micro-batch. */
  readonly batchSize: number;
  /** Micro-batches per update. */
  readonly accumulate: number;
  readonly labelSmoothing: number;
  /** An update's loss: the sum over its target tokens, as in the paper, or their mean. */
  readonly lossReduction: "sum" | "mean";
  /** The mean is that of all target tokens of an update, or that of its micro-batches' means. */
  readonly accumulateMean: "tokens" | "batches";
  /** Blocks are computed again in the backward pass instead of kept: less memory, more time. */
  readonly recompute: boolean;
  /** Bytes that training may take on the device, by cutting batches and computing again; 0: any. */
  readonly maxMemory: number;
  /** How the frozen matrices lie on the device: `auto` is f16 where that loses nothing. */
  readonly weightStorage: WeightStorage;
  /** Share of activations dropped; the model's own rate where it is left open. */
  readonly dropout?: number;
  /** 1 mixes tasks in proportion to size; the larger, the more evenly. */
  readonly temperature: number;
  /** In ids, end of sequence included. */
  readonly maxSourceLength: number;
  readonly maxTargetLength: number;
  /** Training examples per task, drawn at random; 0 for all of them. */
  readonly trainLimit: number;
  /** Chunks of a context without an answer are left out of what is trained on. */
  readonly filterNulls: boolean;
  /** Tasks whose files have no labelled test split get a validation split of their own. */
  readonly splitValidation: boolean;
  /** Updates between evaluations on the validation split; 0 for none. */
  readonly evalEvery: number;
  /** Validation examples per task; 0 for all of them. */
  readonly evalLimit: number;
  /** Test examples per task; 0 for all of them. */
  readonly testLimit: number;
  /** Beams that answers are searched with; 1 is greedy choice, 0 as many as the task has. */
  readonly beams: number;
  /** Splits that are scored at the end. */
  readonly finalSplits: readonly ("validation" | "test")[];
  /** Scored at the end are the weights that were best on validation, not the last. */
  readonly loadBest: boolean;
  /** Updates between checkpoints; 0 for one at the end only. */
  readonly saveEvery: number;
  /** Updates between readings of the log on the device. */
  readonly logEvery: number;
}

/** All settings of a run, resolved. */
export interface Settings extends Required<Recipe>, AdapterSettings {
  /** `miniature`, or a model's directory. */
  readonly model: string;
  /** A directory or hub id with the tokenizer, if it is not beside the model. */
  readonly tokenizer?: string;
  /** How the tokenizer's files are read, if not as they call for. */
  readonly tokenizerRule?: TokenizerRule;
  /** Where the tasks' folders are, and tables of the user's own: paths, separated by commas. */
  readonly data?: string;
  /** The user's own tasks, which \`tasks\` names. */
  readonly taskFile?: readonly LocatedTask[];
  /** Rows of data that cannot be read are left out; where they are published so unless told. */
  readonly skipBad?: boolean;
  readonly tasks: readonly string[];
  /** Tasks that are scored; those that are trained unless told. */
  readonly evalTasks: readonly string[];
  /** Examples per batch of an evaluation; `batchSize` unless told. */
  readonly evalBatchSize: number;
  /** Ids that an answer may have, end of sequence included; 0 for as many as the task has. */
  readonly maxAnswerLength: number;
  /** Whose rules beams go by; the model's unless told. */
  readonly beamRule: BeamRule;
  /** Training begins from random weights instead of the model's. */
  readonly randomWeights: boolean;
  /** Which parts of the model change. */
  readonly train: readonly TrainablePart[];
  readonly seed: number;
  /** Seed of which examples are drawn; `seed` unless told. */
  readonly dataSeed: number;
}

/** Settings in updates that may also be said as `epoch`: as many as go through the examples once. */
type Periods = "evalEvery" | "saveEvery";

/** What a user may say of them. */
export type Options =
  & { readonly [Key in Exclude<keyof Settings, Periods>]?: Settings[Key] | undefined }
  & { readonly [Key in Periods]?: number | "epoch" | undefined }
  & {
    /** Passes over all training examples, where `steps` is not said. */
    readonly epochs?: number | undefined;
  };

/** What holds when nobody says otherwise: for the embedded model, and for a T5 of the user's. */
export const defaults: Readonly<Record<"miniature" | "t5", Recipe & AdapterSettings>> = {
  miniature: {
    steps: 600,
    batchSize: 32,
    accumulate: 1,
    ...optimizerDefaults,
    learningRate: 5e-3,
    warmupSteps: 30,
    labelSmoothing: 0.1,
    lossReduction: "sum",
    accumulateMean: "tokens",
    recompute: false,
    maxMemory: 0,
    weightStorage: "auto",
    dropout: 0,
    temperature: 1,
    maxSourceLength: 64,
    maxTargetLength: 16,
    trainLimit: 0,
    filterNulls: false,
    splitValidation: false,
    evalEvery: 200,
    evalLimit: 50,
    testLimit: 0,
    beams: 0,
    finalSplits: ["test"],
    loadBest: true,
    saveEvery: 200,
    logEvery: 10,
    encoderAdapter: "manual",
    decoderAdapter: "generated",
    encoderAdapterDim: 64,
    decoderAdapterDim: 64,
    hypernetworkBottleneck: 128,
    adapterNormInput: false,
    processEncoderOutput: true,
  },
  t5: {
    steps: 10_000,
    batchSize: 32,
    accumulate: 1,
    ...optimizerDefaults,
    learningRate: 3e-4,
    warmupSteps: 0.05,
    labelSmoothing: 0.1,
    lossReduction: "sum",
    accumulateMean: "tokens",
    recompute: false,
    maxMemory: 0,
    weightStorage: "auto",
    temperature: 10,
    maxSourceLength: 256,
    maxTargetLength: 64,
    trainLimit: 0,
    filterNulls: false,
    splitValidation: false,
    evalEvery: 1000,
    evalLimit: 200,
    testLimit: 0,
    beams: 0,
    finalSplits: ["test"],
    loadBest: true,
    saveEvery: 500,
    logEvery: 10,
    encoderAdapter: "manual",
    decoderAdapter: "generated",
    encoderAdapterDim: 64,
    decoderAdapterDim: 64,
    hypernetworkBottleneck: 128,
    adapterNormInput: false,
    processEncoderOutput: true,
  },
};

/** What runs did before there was a setting for it: their files do not say it. */
export const formerly = {
  accumulateMean: "batches",
  beamRule: "reference",
} as const satisfies Partial<Settings>;

/**
 * Completes what the user said: first from the model's configuration, then from the defaults.
 *
 * @param json the model's `config.json`
 * @param file its name, for errors
 * @param tasks the tasks trained, when the user named none
 * @param examples training examples of all tasks together, which epochs are counted in
 * @throws {UserError} for a configuration that is no T5's, or settings that leave nothing to train
 */
export function resolveSettings(
  options: Options,
  json: Readonly<Record<string, unknown>>,
  file: string,
  tasks: readonly string[],
  examples = 0,
): { settings: Settings; config: ModelConfig } {
  const { model = "miniature", train = ["adapters"], seed = 0, data, skipBad } = options;
  const { evalTasks = tasks } = options;
  const recipe = { ...defaults[model === "miniature" ? "miniature" : "t5"], ...given(options) };
  // A backbone has no adapters yet: adapter training gives it some.
  const isBackbone = [json.encoder_adapter, json.decoder_adapter]
    .every((mode) => mode === undefined || mode === "none");
  const wantsAdapters = train.some((part) => part.endsWith("adapters"));
  const adapters = isBackbone && wantsAdapters ? recipe : options;
  // A model whose adapters depend on the task keeps the tasks that it was made for.
  const known = isBackbone || json.tasks === undefined
    ? withSubtasks([...tasks, ...evalTasks])
    : json.tasks;
  const config = parseConfig({ ...json, ...fields(adapters), tasks: known }, file);
  const { initializer_factor: factor = 1 } = json;
  if (options.randomWeights && factor !== 1) {
    throw new UserError(
      `${file}: random weights are drawn for an "initializer_factor" of 1, not ${factor}`,
    );
  }
  if (!parameterInventory(config).some(({ name }) => isTrainable(train, name))) {
    throw new UserError(
      "the model has no adapters to train: give it some with --encoder-adapter manual or " +
        "--decoder-adapter generated, or train all of it with --train all",
    );
  }
  const epoch = updatesPerEpoch(examples, recipe);
  const period = (updates: number | "epoch") => updates === "epoch" ? epoch : updates;
  const { epochs } = options;
  const steps = options.steps ?? (epochs === undefined ? recipe.steps : Math.ceil(epochs * epoch));
  const settings: Settings = {
    model,
    ...(options.tokenizer !== undefined && { tokenizer: options.tokenizer }),
    ...(options.tokenizerRule !== undefined && { tokenizerRule: options.tokenizerRule }),
    ...(data !== undefined && { data }),
    ...(options.taskFile && { taskFile: options.taskFile }),
    ...(skipBad !== undefined && { skipBad }),
    tasks,
    evalTasks,
    train,
    seed,
    dataSeed: options.dataSeed ?? seed,
    randomWeights: options.randomWeights ?? false,
    evalBatchSize: options.evalBatchSize ?? recipe.batchSize,
    maxAnswerLength: options.maxAnswerLength ?? 0,
    beamRule: options.beamRule ?? beamRuleOf(json),
    ...recipe,
    steps,
    evalEvery: period(recipe.evalEvery),
    saveEvery: period(recipe.saveEvery),
    dropout: recipe.dropout ?? config.dropoutRate,
    warmupSteps: warmupOf(recipe.warmupSteps, steps),
    encoderAdapter: config.encoderAdapter,
    decoderAdapter: config.decoderAdapter,
    encoderAdapterDim: config.encoderAdapterDim,
    decoderAdapterDim: config.decoderAdapterDim,
    hypernetworkBottleneck: config.hypernetworkBottleneck,
    adapterNormInput: config.adapterNormInput,
    processEncoderOutput: config.processEncoderOutput,
  };
  learningRates(settings, steps); // refuses settings that contradict each other
  return { settings, config };
}

/** Updates that go through all training examples once, as Hugging Face's trainer counts them. */
function updatesPerEpoch(
  examples: number,
  { batchSize, accumulate }: Pick<Recipe, "batchSize" | "accumulate">,
): number {
  return Math.max(1, Math.floor(Math.ceil(examples / batchSize) / accumulate));
}

/** Updates of rising learning rate; `warmup` below 1 is a share of all `steps`. */
export function warmupOf(warmup: number, steps: number): number {
  return warmup < 1 ? Math.round(warmup * steps) : warmup;
}

/** The options of the recipe that were given. */
function given(options: Options): Partial<Recipe & AdapterSettings> {
  return Object.fromEntries(
    Object.keys({ ...defaults.t5, dropout: undefined })
      .map((key) => [key, options[key as keyof Options]] as const)
      .filter(([, value]) => value !== undefined),
  );
}

/** Adapter settings as fields of `config.json`. */
function fields(settings: Options): Record<string, unknown> {
  const named = {
    encoder_adapter: settings.encoderAdapter,
    decoder_adapter: settings.decoderAdapter,
    encoder_adapter_dim: settings.encoderAdapterDim,
    decoder_adapter_dim: settings.decoderAdapterDim,
    hypernetwork_bottleneck: settings.hypernetworkBottleneck,
    adapter_norm_input: settings.adapterNormInput,
    process_encoder_output: settings.processEncoderOutput,
  };
  return Object.fromEntries(Object.entries(named).filter(([, value]) => value !== undefined));
}
