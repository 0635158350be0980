/** The fields of the reference's argument classes that have no effect here, each with the reason. */

import {
  anything,
  flag,
  ignored,
  names,
  oneOf,
  type ReferenceField,
  share,
  text,
  type Translation,
  whole,
} from "./field.ts";

const unused = "the reference never uses it";
const oneProcess = "there is one process and one device";
const f32 = "sums are in f32";
const hub = "nothing is uploaded";
const noLayerdrop = "T5 has no layers to drop";
const logged = "every update is logged in metrics.jsonl, in the run's directory";

const isModel = (name: string, { model }: Translation) => name === model;

/** See the module's header. */
export const ignoredFields: readonly ReferenceField[] = [
  // Model, data and loss.
  ignored("config_name", text, null, "the model's own config.json is used", isModel),
  ignored("cache_dir", text, null, "HF_HUB_CACHE and HF_HOME say where hub files are kept"),
  ignored("mean_task_embeddings", flag, false, unused),
  ignored("adapters", names, null, unused),
  ignored("task_embeddings", names, null, unused),
  ignored("generate_classifier_weights", flag, false, unused),
  ignored("ignore_pad_token_for_loss", flag, true, "padding never counts in the loss"),
  ignored(
    "attention_dropout",
    share,
    null,
    "T5 has one rate for all of its dropout, which is the field dropout",
  ),
  ignored("encoder_layerdrop", share, null, noLayerdrop),
  ignored("decoder_layerdrop", share, null, noLayerdrop),
  ignored("label_smoothing_factor", share, 0, "the reference reads label_smoothing"),
  ignored("lr_scheduler_type", text, "linear", "the reference reads lr_scheduler"),
  ignored("past_index", whole(-1), -1, "T5 keeps no state from batch to batch"),
  ignored("label_names", names, null, "the targets are the labels"),
  ignored("remove_unused_columns", flag, true, "only columns that are used are read"),
  ignored("dataloader_num_workers", whole(0), 0, "batches are made in the process itself"),
  ignored("dataloader_pin_memory", flag, true, "there is no CUDA"),
  ignored("length_column_name", text, "length", "lengths are counted"),
  ignored("sortish_sampler", flag, false, "examples are always batched by similar length"),

  // Evaluations and checkpoints.
  ignored("do_predict", flag, false, "the reference reads do_test"),
  ignored(
    "predict_with_generate",
    flag,
    false,
    "scores are always those of generated answers",
    Boolean,
  ),
  ignored("prediction_loss_only", flag, false, "scores are always those of generated answers"),
  ignored("generation_max_length", whole(1), null, "the reference reads val_max_target_length"),
  ignored("generation_num_beams", whole(1), null, "the reference reads eval_beams"),
  ignored("eval_accumulation_steps", whole(1), null, "answers leave the device after every batch"),
  ignored("use_legacy_prediction_loop", flag, false, "there is one loop only"),
  ignored(
    "metric_for_best_model",
    text,
    null,
    "the best model is that of the best average over tasks",
    (metric) => /^(eval_)?average_metrics$/.test(metric),
  ),
  ignored("greater_is_better", flag, null, "of every score here the greater is better", Boolean),
  ignored(
    "ignore_metric_keys",
    names,
    ["xsum_eval_rouge1", "xsum_eval_rougeL", "xsum_eval_rougeLsum"],
    "each task counts once in the average, however many metrics it has, which is what the field is for",
  ),
  ignored(
    "save_total_limit",
    whole(1),
    null,
    "the latest and the best checkpoint are kept",
    (limit) => limit === 1,
  ),
  ignored("save_on_each_node", flag, false, oneProcess),
  ignored(
    "ignore_data_skip",
    flag,
    false,
    "a resumed run sees the batches that it would have seen",
  ),
  ignored(
    "optimize_from_scratch_with_loading_model",
    flag,
    false,
    "give the checkpoint of the earlier run as --model, and another --out",
  ),
  ignored("eval_output_dir", text, null, "deno task eval --out FILE writes predictions"),

  // Reports.
  ignored("logging_dir", text, null, logged),
  ignored("logging_strategy", oneOf(["no", "steps", "epoch"]), "steps", logged),
  ignored("logging_nan_inf_filter", anything, true, "a loss that is not finite ends the run"),
  ignored("report_to", names, ["none"], logged, (names) => names.every((name) => name === "none")),
  ignored("run_name", text, null, "a run is called after its directory"),
  ignored("log_level", text, "passive", "there is one level of messages"),
  ignored("log_level_replica", text, "passive", oneProcess),
  ignored("log_on_each_node", flag, true, oneProcess),
  ignored("disable_tqdm", flag, null, "--json prints lines instead of the bar"),
  ignored("compute_memory", flag, false, unused),
  ignored("skip_memory_metrics", flag, true, "memory is not measured"),

  // Precision, devices and processes.
  ignored("fp16", flag, false, f32),
  ignored("fp16_opt_level", text, "O1", f32),
  ignored("fp16_backend", text, "auto", f32),
  ignored("fp16_full_eval", flag, false, f32),
  ignored("half_precision_backend", text, "auto", f32),
  ignored("bf16", flag, false, f32),
  ignored("bf16_full_eval", flag, false, f32),
  ignored("tf32", flag, null, f32),
  ignored("no_cuda", flag, false, "there is no CUDA: the adapter is what WebGPU offers"),
  ignored("local_rank", whole(-1), -1, oneProcess),
  ignored("xpu_backend", text, null, oneProcess),
  ignored("tpu_num_cores", whole(1), null, "WebGPU knows no TPU"),
  ignored("tpu_metrics_debug", flag, false, "WebGPU knows no TPU"),
  ignored("debug", anything, "", "there is no such mode; --profile measures kernels"),
  ignored("sharded_ddp", anything, "", oneProcess),
  ignored("deepspeed", anything, null, oneProcess),
  ignored("ddp_find_unused_parameters", flag, null, oneProcess),
  ignored("mp_parameters", text, "", oneProcess),

  // The hub.
  ignored("push_to_hub", flag, false, hub),
  ignored("push_to_hub_model_id", text, null, hub),
  ignored("push_to_hub_organization", text, null, hub),
  ignored("push_to_hub_token", text, null, hub),
  ignored("hub_model_id", text, null, hub),
  ignored("hub_strategy", text, "every_save", hub),
  ignored("hub_token", text, null, hub),
];
