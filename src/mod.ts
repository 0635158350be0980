/**
 * The public module: what a page or a script imports.
 *
 * Everything here runs wherever WebGPU does; nothing touches files. A page brings weights, tokenizer and
 * configuration as it likes (fetch, a file input, OPFS) and gets back tensors to save.
 *
 * @module
 */

export { acquireDevice, describe, type DeviceOptions, type Gpu } from "./gpu/device.ts";
export * from "./gpu/errors.ts";
export { UserError } from "./errors.ts";

export { compile, type ProgramDescription } from "./graph/compile.ts";
export { gradients } from "./graph/gradients.ts";
export { checkpoint } from "./graph/ops/checkpoint.ts";
export { input, read, type Variable } from "./graph/leaves.ts";
export { type ParameterDescription, Parameters } from "./graph/parameters.ts";
export type { HostArray, Program } from "./graph/program.ts";
export { type DType, type Shape, ShapeError, type Tensor } from "./graph/tensor.ts";
export { Tuning, useTuning } from "./graph/tuning.ts";
export { tuningDatabase } from "./graph/tuning-database.ts";
export { createVariable, readVariables, writeVariable } from "./graph/variables.ts";
export * from "./graph/ops/mod.ts";

export { type AdapterMode, formatConfig, type ModelConfig, parseConfig } from "../models/config.ts";
export { encodeInstance, forward } from "../models/hyperdecoder.ts";
export { projectedLoss } from "../models/loss.ts";
export {
  isAdapterParameter,
  isTrainable,
  parameterAliases,
  parameterInventory,
  type TrainablePart,
} from "../models/inventory.ts";
export { Dropout, type Model } from "../models/t5.ts";

export { Adafactor, type AdafactorOptions } from "./optim/adafactor.ts";
export { AdamW, type AdamWOptions } from "./optim/adamw.ts";
export {
  isDecayed,
  type Optimizer,
  type OptimizerOptions,
  type Update,
} from "./optim/optimizer.ts";
export * from "./optim/schedule.ts";
export { type StepRecord, type TrainingSettings, TrainingStep } from "./train/training-step.ts";
export { drawParameter } from "./train/initialise.ts";
export { type Chunk, SequenceGenerator } from "./generate/generator.ts";
export {
  type GenerationDefaults,
  type GivenOptions,
  readGenerationConfig,
  withDefaults,
} from "./generate/generation-config.ts";
export type { GenerationOptions, SamplingOptions } from "./generate/options.ts";
export type { GeneratedSequence, SourceBatch } from "./generate/search.ts";

export { type Batch, evaluationBatches, TrainingBatches } from "./data/batch.ts";
export { miniatureDatasets } from "./data/miniature/mixture.ts";
export { Mixture } from "./data/mixture.ts";
export type { Dataset, Example, Split, TaskSpecification } from "./data/types.ts";
export { IncrementalText } from "./text/incremental.ts";
export { sentencepieceTokenizer } from "./text/sentencepiece.ts";
export { createTokenizer, type Tokenizer } from "./text/tokenizer.ts";
export {
  type ResolvedTokenizer,
  resolveTokenizer,
  type TokenizerContext,
  type TokenizerFiles,
  type TokenizerRule,
} from "./text/tokenizer-files.ts";
export { meanScore, score } from "./metrics/score.ts";
export { openPytorch } from "./io/pytorch.ts";
export {
  fromFloat32,
  openSafetensors,
  readFloat32,
  readSafetensors,
  toFloat32,
  writeSafetensors,
} from "./io/safetensors.ts";
export { type ByteSource, bytesSource, type StoredTensor } from "./io/source.ts";
export { matchModel, type ModelFiles, readModel } from "./train/model-files.ts";
export { type ModelSource } from "./train/weight-files.ts";
export { checkTrained, placeTrained, type TrainedModel } from "./train/trained-model.ts";
export { exportFiles, staticModel } from "./train/export.ts";
export { AdapterMean, materialise, type StaticAdapters } from "./train/materialise.ts";
export { adapterHubFiles } from "./train/adapterhub.ts";
export { type LoadProgress, matchWeights, placeWeights, type Placing } from "./train/weights.ts";
