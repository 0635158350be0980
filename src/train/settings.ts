/**
 * Everything that decides a training run, and what it is when nobody says.
 *
 * A run keeps its resolved settings in `config.json` under the names of the flags, so that the file is
 * also a configuration with which the run can be made again.
 */

import { type AdapterMode, type ModelConfig, parseConfig } from "../../models/config.ts";
import { isTrainable, parameterInventory, type TrainablePart } from "../../models/inventory.ts";
import { UserError } from "../errors.ts";
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
  /** Share of activations dropped; the model's own rate where it is left open. */
  readonly dropout?: number;
  /** 1 mixes tasks in proportion to size; the larger, the more evenly. */
  readonly temperature: number;
  /** In ids, end of sequence included. */
  readonly maxSourceLength: number;
  readonly maxTargetLength: number;
  /** Updates between evaluations on the validation split; 0 for none. */
  readonly evalEvery: number;
  /** Examples per task of such an evaluation. */
  readonly evalLimit: number;
  /** Updates between checkpoints; 0 for one at the end only. */
  readonly saveEvery: number;
  /** Updates between readings of the log on the device. */
  readonly logEvery: number;
}

/** All settings of a run, resolved. */
export interface Settings extends Required<Recipe>, AdapterSettings {
  /** `miniature`, or a model's directory. */
  readonly model: string;
  /** Where GLUE's folders are, if any task needs them. */
  readonly data?: string;
  readonly tasks: readonly string[];
  /** Which parts of the model change. */
  readonly train: readonly TrainablePart[];
  readonly seed: number;
}

/** What a user may say of them. */
export type Options = { readonly [Key in keyof Settings]?: Settings[Key] | undefined };

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
    dropout: 0,
    temperature: 1,
    maxSourceLength: 64,
    maxTargetLength: 16,
    evalEvery: 200,
    evalLimit: 50,
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
    temperature: 10,
    maxSourceLength: 256,
    maxTargetLength: 64,
    evalEvery: 1000,
    evalLimit: 200,
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

/**
 * Completes what the user said: first from the model's configuration, then from the defaults.
 *
 * @param json the model's `config.json`
 * @param file its name, for errors
 * @param tasks the tasks trained, when the user named none
 * @throws {UserError} for a configuration that is no T5's, or settings that leave nothing to train
 */
export function resolveSettings(
  options: Options,
  json: Readonly<Record<string, unknown>>,
  file: string,
  tasks: readonly string[],
): { settings: Settings; config: ModelConfig } {
  const { model = "miniature", train = ["adapters"], seed = 0, data } = options;
  const recipe = { ...defaults[model === "miniature" ? "miniature" : "t5"], ...given(options) };
  // A backbone has no adapters yet: adapter training gives it some.
  const isBackbone = [json.encoder_adapter, json.decoder_adapter]
    .every((mode) => mode === undefined || mode === "none");
  const wantsAdapters = train.some((part) => part.endsWith("adapters"));
  const adapters = isBackbone && wantsAdapters ? recipe : options;
  // A model whose adapters depend on the task keeps the tasks that it was made for.
  const known = isBackbone || json.tasks === undefined ? tasks : json.tasks;
  const config = parseConfig({ ...json, ...fields(adapters), tasks: known }, file);
  if (!parameterInventory(config).some(({ name }) => isTrainable(train, name))) {
    throw new UserError(
      "the model has no adapters to train: give it some with --encoder-adapter manual or " +
        "--decoder-adapter generated, or train all of it with --train all",
    );
  }
  const { steps, warmupSteps } = recipe;
  const settings: Settings = {
    model,
    ...(data !== undefined && { data }),
    tasks,
    train,
    seed,
    ...recipe,
    dropout: recipe.dropout ?? config.dropoutRate,
    warmupSteps: warmupOf(warmupSteps, steps),
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
