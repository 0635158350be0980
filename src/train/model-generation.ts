/** How a model's files have it generate, and whose beam search it is made for. */

import {
  type GenerationDefaults,
  type GivenOptions,
  readGenerationConfig,
} from "../generate/generation-config.ts";
import type { BeamRule } from "../graph/ops/beam-step.ts";
import { parseJsonObject } from "../io/json.ts";
import type { AnswerWays } from "./evaluate.ts";
import { modelFile, type ModelFiles } from "./model-files.ts";

/**
 * What the model's `generation_config.json` says, or in its place the old fields of its `config.json`.
 *
 * @throws {UserError} naming a field of the wrong type
 */
export function generationDefaults(
  { location, config, generationConfig }: Pick<
    ModelFiles,
    "location" | "config" | "generationConfig"
  >,
): GenerationDefaults {
  const file = `${location}/${modelFile.generationConfig}`;
  return readGenerationConfig(
    generationConfig && { file, fields: parseJsonObject(generationConfig, file) },
    { file: `${location}/${modelFile.config}`, fields: config },
  );
}

/**
 * Who has a say in how a model answers.
 *
 * @param given what was asked for
 * @param rule whose rules beams go by, where that was not asked for; the model's, unless told
 * @param defaults what the model's files say, unless others are to have a say, or none
 */
export function waysOf(
  files: Pick<ModelFiles, "location" | "config" | "generationConfig">,
  given: GivenOptions = {},
  rule: BeamRule = beamRuleOf(files.config),
  defaults: GenerationDefaults | null = generationDefaults(files),
): AnswerWays {
  // Never to stop early is a rule that the reference does not have.
  const isNever = (given.earlyStopping ?? defaults?.options.earlyStopping) === "never";
  const beamRule = isNever ? "transformers" : rule;
  return { given: { beamRule, ...given }, ...defaults && { defaults } };
}

/**
 * Whose rules beams go by: the reference's for what its code has saved, which names its model.
 *
 * @param config the model's parsed `config.json`
 */
export function beamRuleOf({ architectures }: Readonly<Record<string, unknown>>): BeamRule {
  const names: unknown[] = [architectures].flat();
  return names.includes("T5ForConditionalGenerationWithAdapter") ? "reference" : "transformers";
}
