/**
 * Every field of the reference's argument classes that becomes something here.
 *
 * Rows are read from top to bottom, each with its value or the reference's default; a later row may
 * change what an earlier one said. `docs/reference-configs.md` is this table in prose.
 */

import { ADAPTER_MODES } from "../../../models/config.ts";
import type { TrainablePart } from "../../../models/inventory.ts";
import { referenceSchedules } from "../../optim/schedule.ts";
import {
  becomes,
  exampleCount,
  flag,
  honoured,
  names,
  notNegative,
  oneOf,
  positive,
  type ReferenceField,
  share,
  text,
  type Translation,
  whole,
} from "./field.ts";
import { ignoredFields } from "./ignored.ts";
import { LOG_SLOTS } from "../training-step.ts";

/** Names that two old configurations use for tasks. */
const renamed: Readonly<Record<string, string>> = {
  alphanli: "art",
  wiki_lingua: "wiki_lingua_english_en",
};

const currentName = (task: string): string => renamed[task] ?? task;

function renamings(tasks: readonly string[]): string | undefined {
  const old = tasks.filter((task) => task in renamed);
  if (old.length === 0) return undefined;
  return old.map((task) => `names ${task}, which is now called ${renamed[task]}`).join(" and ");
}

const trained = (part: TrainablePart) => (is: boolean, { train = [] }: Translation) => ({
  train: is ? [...train, part] : train,
});

const strategies = ["no", "steps", "epoch"] as const;

const honouredFields: readonly ReferenceField[] = [
  // The model, and where the run goes.
  becomes("output_dir", text, null, "out"),
  becomes("model_name_or_path", text, null, "model", ": a directory, or a hub id"),
  honoured(
    "tokenizer_name",
    text,
    null,
    "`tokenizer`, where it is another name than the model's",
    (tokenizer, { model }) => tokenizer === model ? {} : { tokenizer },
  ),
  becomes("not_load_t5_checkpoint", flag, false, "randomWeights"),
  becomes("encoder_adapter", oneOf(ADAPTER_MODES), "manual", "encoderAdapter"),
  becomes("decoder_adapter", oneOf(ADAPTER_MODES), "generated", "decoderAdapter"),
  honoured(
    "adapter_dim",
    whole(1),
    null,
    "`encoderAdapterDim` and `decoderAdapterDim`, where they are not said. It is no field of the " +
      "published code any more, which passes over it and takes 64",
    (dim) => ({ encoderAdapterDim: dim, decoderAdapterDim: dim }),
    (dim, { encoderAdapter: encoder, decoderAdapter: decoder }) =>
      dim === 64 || (encoder === "none" && decoder === "none")
        ? undefined
        : `is taken for both stacks, as it was meant; the published code passes over it and takes 64`,
  ),
  becomes(
    "encoder_adapter_dim",
    whole(1),
    null,
    "encoderAdapterDim",
    "; 64, or `adapter_dim`, where it is not said",
  ),
  becomes(
    "decoder_adapter_dim",
    whole(1),
    null,
    "decoderAdapterDim",
    "; 64, or `adapter_dim`, where it is not said",
  ),
  becomes("hypernetwork_bottleneck", whole(1), 128, "hypernetworkBottleneck"),
  becomes("adapter_norm_input", flag, false, "adapterNormInput"),
  becomes("process_encoder_output", flag, true, "processEncoderOutput"),

  // What is trained.
  honoured(
    "unfreeze_encoder_adapters",
    flag,
    true,
    "`encoder-adapters` in `train`",
    trained("encoder-adapters"),
  ),
  honoured(
    "unfreeze_decoder_adapters",
    flag,
    true,
    "`decoder-adapters` in `train`. The reference also frees parts of the encoder's hypernetwork, " +
      "whose names contain `decoder`",
    trained("decoder-adapters"),
  ),
  honoured("unfreeze_encoder", flag, false, "`encoder` in `train`", trained("encoder")),
  honoured("unfreeze_decoder", flag, false, "`decoder` in `train`", trained("decoder")),
  honoured("unfreeze_layer_norms", flag, false, "`layer-norms` in `train`", trained("layer-norms")),
  honoured(
    "freeze_model",
    flag,
    true,
    "if false, `train` is `all`",
    (frozen) => frozen ? {} : { train: ["all"] },
  ),

  // The data.
  honoured(
    "tasks",
    names,
    null,
    "`tasks`; `alphanli` and `wiki_lingua` are read as `art` and `wiki_lingua_english_en`, and a model " +
      "for `mrqa` or `mrqa_reg` also knows the six sets of MRQA as tasks",
    (tasks) => ({ tasks: tasks.map(currentName) }),
    renamings,
  ),
  honoured(
    "eval_tasks",
    names,
    null,
    "`evalTasks`, with the same renamings",
    (tasks) => ({ evalTasks: tasks.map(currentName) }),
    renamings,
  ),
  becomes("max_source_length", whole(1), 128, "maxSourceLength"),
  becomes("max_target_length", whole(1), 128, "maxTargetLength"),
  honoured(
    "val_max_target_length",
    whole(1),
    128,
    "nothing to be done: each task has an answer length of its own, as in the reference, which reads " +
      "neither this nor the next. `--max-answer-length` sets one for all",
  ),
  honoured("test_max_target_length", whole(1), 128, "nothing to be done, for the same reason"),
  becomes("n_train", exampleCount, -1, "trainLimit", ", for each task; 0 for -1"),
  becomes("n_val", exampleCount, -1, "evalLimit", ", for each task; 0 for -1"),
  becomes("n_test", exampleCount, -1, "testLimit", ", for each task; 0 for -1"),
  becomes(
    "filter_nulls",
    flag,
    false,
    "filterNulls",
    ": chunks of MRQA's contexts that have no answer are not trained on. The reference fails then",
  ),
  becomes("data_seed", whole(0), 42, "dataSeed", "; the random numbers are others than PyTorch's"),
  becomes("split_validation_test", flag, false, "splitValidation"),
  honoured(
    "temperature",
    positive,
    1,
    "`temperature` is 1: the published code has its sampler switched off and draws examples in " +
      "proportion to the tasks' sizes. `--temperature` on the command line samples with it",
    () => ({ temperature: 1 }),
    (temperature) =>
      temperature === 1
        ? undefined
        : "has no effect: the reference has its sampler switched off and " +
          `draws in proportion to size; give --temperature ${temperature} to sample with it`,
  ),

  // Optimiser, schedule and loss.
  becomes("seed", whole(0), 42, "seed"),
  becomes("per_device_train_batch_size", whole(1), 8, "batchSize"),
  becomes(
    "per_gpu_train_batch_size",
    whole(1),
    null,
    "batchSize",
    ": the old name of the field above, which it overrules",
  ),
  honoured(
    "gradient_accumulation_steps",
    whole(1),
    1,
    "`accumulate`. As in the reference a mean loss is the mean of the batches' means: `accumulateMean` " +
      "is `batches`",
    (accumulate) => ({ accumulate, accumulateMean: "batches" }),
  ),
  becomes("learning_rate", positive, 5e-5, "learningRate"),
  honoured(
    "lr_scheduler",
    oneOf(Object.keys(referenceSchedules)),
    "linear",
    "`schedule`, `cosine_w_restarts` as `cosine-with-restarts` and so on",
    (name) => ({ schedule: referenceSchedules[name] }),
  ),
  becomes(
    "warmup_ratio",
    share,
    0,
    "warmupSteps",
    ", as a share of all updates, where `warmup_steps` is 0. The reference passes over it",
  ),
  honoured(
    "warmup_steps",
    whole(0),
    0,
    "`warmupSteps`",
    (warmupSteps) => warmupSteps > 0 ? { warmupSteps } : {},
  ),
  honoured(
    "adafactor",
    flag,
    false,
    "`optimizer`: `adafactor`, its scale and step not relative, as in the reference; or else `adamw`",
    (is) => ({ optimizer: is ? "adafactor" : "adamw" }),
  ),
  becomes("weight_decay", notNegative, 0, "weightDecay"),
  becomes("adam_beta1", share, 0.9, "adamBeta1", ". The reference passes over it"),
  becomes("adam_beta2", share, 0.999, "adamBeta2", ". The reference passes over it"),
  becomes("adam_epsilon", positive, 1e-8, "adamEpsilon"),
  becomes("max_grad_norm", notNegative, 1, "maxGradNorm", "; 0 for never"),
  honoured(
    "label_smoothing",
    share,
    0,
    "`labelSmoothing`. As in the reference the smoothed loss is the sum over a batch's tokens, and the " +
      "loss without smoothing their mean: `lossReduction`",
    (labelSmoothing) => ({ labelSmoothing, lossReduction: labelSmoothing > 0 ? "sum" : "mean" }),
  ),
  honoured(
    "loss_scaling",
    flag,
    true,
    "if true, `lossReduction` is `mean`, as its help text says; the reference itself fails then",
    (is) => is ? { lossReduction: "mean" } : {},
    (is) =>
      is
        ? "is true, with which the reference fails: the loss is divided by the number of tokens, as its " +
          "help text says"
        : undefined,
  ),
  becomes(
    "dropout",
    share,
    null,
    "dropout",
    ": T5's one rate; the model's own where it is not said. The reference passes over it",
  ),
  becomes("gradient_checkpointing", flag, false, "recompute"),
  honoured(
    "group_by_length",
    flag,
    false,
    "nothing to be done: examples are always batched by similar length",
  ),
  honoured(
    "dataloader_drop_last",
    flag,
    false,
    "nothing to be done: epochs run into each other, and all batches are full",
  ),
  becomes("num_train_epochs", positive, 3, "epochs", ", where there is no `max_steps`"),
  honoured(
    "max_steps",
    whole(-1),
    -1,
    "`steps`; below 1, `num_train_epochs` counts",
    (steps) => steps > 0 ? { steps, epochs: undefined } : {},
  ),
  honoured(
    "do_train",
    flag,
    false,
    "if false, `steps` is 0: the model is only scored",
    (is) => is ? {} : { steps: 0, epochs: undefined },
    (is, { out = "DIR" }) =>
      is ? undefined : "is not true, so nothing is trained and the model is scored as it is; " +
        `deno task eval --run ${out} scores what was trained before`,
  ),

  // Evaluations, checkpoints and the log.
  becomes("per_device_eval_batch_size", whole(1), 8, "evalBatchSize"),
  becomes(
    "per_gpu_eval_batch_size",
    whole(1),
    null,
    "evalBatchSize",
    ": the old name of the field above, which it overrules",
  ),
  becomes(
    "eval_beams",
    whole(1),
    null,
    "beams",
    "; each task's own number where it is not said. The reference passes over it",
  ),
  honoured(
    "logging_steps",
    whole(1),
    500,
    `\`logEvery\`, ${LOG_SLOTS} at most; each update has a line of its own in the log all the same`,
    (steps) => ({ logEvery: Math.min(steps, LOG_SLOTS), evalEvery: steps }),
  ),
  honoured("logging_first_step", flag, false, "nothing to be done: every update is logged"),
  becomes("eval_steps", whole(1), null, "evalEvery", "; `logging_steps` where it is not said"),
  honoured(
    "do_eval",
    flag,
    false,
    "`validation` in `finalSplits`",
    (is) => ({ finalSplits: is ? ["validation"] : [] }),
  ),
  honoured(
    "evaluation_strategy",
    oneOf(strategies),
    "no",
    "`no`: `evalEvery` is 0; `epoch`: `evalEvery` is `epoch`. But for `no` it implies `do_eval`",
    (strategy, { evalEvery }) => ({
      ...(strategy !== "no" && { finalSplits: ["validation"] }),
      evalEvery: strategy === "no" ? 0 : strategy === "epoch" ? "epoch" : evalEvery,
    }),
  ),
  honoured(
    "do_test",
    flag,
    false,
    "`test` in `finalSplits`",
    (is, { finalSplits = [] }) => ({ finalSplits: is ? [...finalSplits, "test"] : finalSplits }),
  ),
  becomes("load_best_model_at_end", flag, false, "loadBest"),
  becomes("save_steps", whole(1), 500, "saveEvery"),
  honoured(
    "save_strategy",
    oneOf(strategies),
    "steps",
    "`no`: `saveEvery` is 0, and only the end is saved; `epoch`: `saveEvery` is `epoch`",
    (strategy, { saveEvery }) => ({
      saveEvery: strategy === "no" ? 0 : strategy === "epoch" ? "epoch" : saveEvery,
    }),
  ),

  // A run that is there already, and reports.
  honoured(
    "overwrite_output_dir",
    flag,
    false,
    "`continue`: if there is a run in `output_dir`, it goes on. Nothing is ever overwritten",
    (is) => is ? { continue: true } : {},
  ),
  honoured(
    "optimize_from_scratch",
    flag,
    false,
    "if true, `continue` is false: a run that is in `output_dir` is an error",
    (is) => is ? { continue: undefined } : {},
  ),
  honoured("resume_from_checkpoint", text, null, "`resume`: a run's directory", (resume) => ({
    resume,
    continue: undefined,
  })),
  honoured(
    "print_num_parameters",
    flag,
    false,
    "nothing to be done: the numbers are printed at the beginning of every run",
  ),
  honoured(
    "compute_time",
    flag,
    false,
    "nothing to be done: the time is printed at the end of every run",
  ),
];

/** Every field of the reference's argument classes, in the order in which they are read. */
export const referenceFields: readonly ReferenceField[] = [...honouredFields, ...ignoredFields];
