/**
 * A trained model, ready to answer.
 *
 * Unlike training, which draws adapters that a file lacks, this wants every tensor: an answer of adapters
 * that nobody trained would look like one of the model's.
 */

import { type ModelConfig, parseConfig } from "../../models/config.ts";
import { parameterInventory } from "../../models/inventory.ts";
import type { BatchOptions } from "../data/batch.ts";
import { UserError } from "../errors.ts";
import type { Gpu } from "../gpu/device.ts";
import { type Answering, type AnswerWays, createAnswering } from "./evaluate.ts";
import { matchModel, modelFile, type ModelFiles } from "./model-files.ts";
import { waysOf } from "./model-generation.ts";
import { placeWeights, type Placing, type Weights } from "./weights.ts";

/** A model's configuration and all its weights. */
export interface TrainedModel {
  readonly files: ModelFiles;
  readonly config: ModelConfig;
  readonly weights: Weights;
}

/** Checks that a model's files are whole. @throws {UserError} naming what does not fit or is missing */
export function checkTrained(files: ModelFiles): TrainedModel {
  const config = parseConfig(files.config, `${files.location}/${modelFile.config}`);
  const weights = matchModel(files, config);
  const missing = parameterInventory(config).find(({ name }) => !weights.has(name));
  if (missing) {
    throw new UserError(
      `${files.location} has no tensor ${missing.name}: train its adapters first`,
    );
  }
  return { files, config, weights };
}

/**
 * Puts a model on the device, to answer texts within the limits: as its files say, unless told.
 */
export async function placeTrained(
  gpu: Gpu,
  { files, config, weights }: TrainedModel,
  limits: BatchOptions,
  { ways, ...placing }: Omit<Placing, "trainable" | "seed"> & { readonly ways?: AnswerWays } = {},
): Promise<Answering> {
  const parameters = await placeWeights(gpu, config, weights, placing);
  return createAnswering(
    config,
    parameters,
    files.tokenizer,
    limits,
    ways ?? waysOf(files),
  );
}
