/** The flags that say how to generate, and what they come to with what the model's files say. */

import { type Command, InvalidArgumentError, Option } from "commander";
import type { ModelConfig } from "../../models/config.ts";
import { UserError } from "../../src/errors.ts";
import {
  describeDefaults,
  type GenerationDefaults,
  type GivenOptions,
  readGenerationConfig,
  withDefaults,
} from "../../src/generate/generation-config.ts";
import type { EarlyStopping, GenerationOptions, LengthDecay } from "../../src/generate/options.ts";
import type { BeamRule } from "../../src/graph/ops/beam-step.ts";
import { parseJsonObject } from "../../src/io/json.ts";
import { readBytes } from "../../src/platform/files.ts";
import type { Tokenizer } from "../../src/text/tokenizer.ts";
import type { AnswerWays } from "../../src/train/evaluate.ts";
import { generationDefaults, waysOf } from "../../src/train/model-generation.ts";
import type { Settings } from "../../src/train/settings.ts";
import type { TrainedModel } from "../../src/train/trained-model.ts";
import { numeric, positiveInteger, positiveNumber, valued, wholeNumber } from "./config.ts";

/** The values of the flags that a search for answers has. */
export interface SearchFlags {
  readonly beams?: number;
  readonly sample?: boolean;
  readonly temperature?: number;
  readonly topK?: number;
  readonly topP?: number;
  readonly seed?: number;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly lengthPenalty?: number;
  readonly earlyStopping?: EarlyStopping;
  readonly beamRule?: BeamRule;
  readonly renormalizeLogits?: boolean;
  readonly noRepeatNgram?: number;
  readonly encoderNoRepeatNgram?: number;
  readonly repetitionPenalty?: number;
  readonly encoderRepetitionPenalty?: number;
  readonly badWords?: readonly string[];
  readonly suppressTokens?: readonly number[];
  readonly beginSuppressTokens?: readonly number[];
  readonly forcedBosToken?: number;
  readonly forcedEosToken?: readonly number[];
  readonly eosToken?: readonly number[];
  readonly decoderStartToken?: number;
  readonly exponentialDecayLengthPenalty?: LengthDecay;
  readonly removeInvalidValues?: boolean;
  readonly generationConfig?: string;
}

/** The values of the flags. */
export interface GenerationFlags extends SearchFlags {
  readonly outputs?: number;
}

const share = numeric("a number above 0 and at most 1", (value) => value > 0 && value <= 1);
const number = numeric("a number", Number.isFinite);

/** Ids separated by commas, or none. */
function ids(text: string): number[] {
  return text === "none" ? [] : text.split(",").map((id) => wholeNumber(id.trim()));
}

function someIds(text: string): number[] {
  const found = ids(text);
  if (found.length > 0) return found;
  throw new InvalidArgumentError("it must be ids separated by commas");
}

function words(text: string): string[] {
  return text === "none" ? [] : text.split(",");
}

function decay(text: string): LengthDecay {
  const [start, factor, ...others] = text.split(",");
  if (factor === undefined || others.length > 0) {
    throw new InvalidArgumentError("it must be ids and a factor, as 20,1.05");
  }
  return { start: wholeNumber(start.trim()), factor: positiveNumber(factor.trim()) };
}

function early(text: string | true): EarlyStopping {
  if (text === "never") return text;
  if (text === "true" || text === "false") return text === "true";
  throw new InvalidArgumentError("it must be true, false or never");
}

/** Adds all flags to a command. */
export function withGeneration(command: Command): Command {
  return withSearch(
    command.addOption(
      valued(
        "--outputs <count>",
        "answers to each text, of beams or samples (default: the model's, else 1)",
        positiveInteger,
      ),
    ).addOption(
      valued(
        "--beams <count>",
        "search with so many beams (default: the model's, else 1)",
        positiveInteger,
      ),
    ),
  );
}

/** Adds the flags that go with one answer to each text, `--beams` aside. */
export function withSearch(command: Command): Command {
  const flag = <T>(flags: string, description: string, parse: (text: string) => T) =>
    command.addOption(valued(flags, description, parse));
  flag(
    "--max-length <ids>",
    "longest answer (default: the model's, else the run's)",
    positiveInteger,
  );
  flag("--min-length <ids>", "shortest answer, counted like the longest", wholeNumber);
  flag(
    "--length-penalty <power>",
    "of beams: above 0 favours long, below 0 short (default: 1)",
    number,
  );
  command.addOption(
    new Option(
      "--early-stopping [when]",
      "end a search when there are as many answers as beams: true; when none is likely to become " +
        "better: false; when none can: never",
    ).argParser(early).preset("true"),
  );
  command.addOption(
    new Option(
      "--beam-rule <rule>",
      "beams by the rules of transformers today, or of the reference (default: the run's, or " +
        "reference for models that its code saved; docs/generation.md)",
    ).choices(["transformers", "reference"]),
  );
  command.option(
    "--renormalize-logits",
    "beams: shares sum up to 1 after all that bans or penalises",
  );
  command.option("--no-renormalize-logits", "beams: shares stay as the model has them");
  command.option("--sample", "draw ids by their probability");
  command.option("--no-sample", "take the likeliest, whatever the model's files say");
  flag("--temperature <number>", "below 1 favours the likely (default: 1)", positiveNumber);
  flag(
    "--top-k <count>",
    "draw from so many of the likeliest ids; 0: all (default: 0)",
    wholeNumber,
  );
  flag("--top-p <share>", "draw from the likeliest that have this share (default: 1)", share);
  flag("--seed <number>", "draws other ids (default: 0)", wholeNumber);
  flag("--no-repeat-ngram <ids>", "no sequence of so many ids twice; 0: no such rule", wholeNumber);
  flag(
    "--encoder-no-repeat-ngram <ids>",
    "no sequence of so many ids of the text; 0: no such rule",
    wholeNumber,
  );
  flag(
    "--repetition-penalty <factor>",
    "above 1: against ids that the answer has; 1: none",
    positiveNumber,
  );
  flag(
    "--encoder-repetition-penalty <factor>",
    "above 1: against ids that the text does not have; 1: none",
    positiveNumber,
  );
  flag("--bad-words <words>", "words that must not come, separated by commas; or none", words);
  flag("--suppress-tokens <ids>", "ids that must not come, separated by commas; or none", ids);
  flag("--begin-suppress-tokens <ids>", "ids that must not come first; or none", ids);
  flag("--forced-bos-token <id>", "the id that comes first", wholeNumber);
  flag(
    "--forced-eos-token <ids>",
    "the id, or one of the ids, that come last at the longest; or none",
    ids,
  );
  flag("--eos-token <ids>", "ids that end an answer, separated by commas", someIds);
  flag("--decoder-start-token <id>", "the id before the first", wholeNumber);
  flag(
    "--exponential-decay-length-penalty <start,factor>",
    "after so many ids, favour the end by a power of the factor",
    decay,
  );
  command.option("--remove-invalid-values", "take logits that are no numbers for 0");
  command.option("--no-remove-invalid-values", "let logits that are no numbers show");
  return command.option(
    "--generation-config <file>",
    "another generation_config.json than the model's, or none",
  );
}

/**
 * What flags say.
 *
 * @param isSampled whether ids are drawn where no flag says otherwise
 * @throws {UserError} for flags that have no effect without another
 */
export function givenOptions(
  flags: GenerationFlags,
  tokenizer: Pick<Tokenizer, "encodeWithOffsets">,
  isSampled = false,
): GivenOptions {
  const { sample, temperature, topK, topP, seed } = flags;
  const drawing = { temperature, topK, topP, seed };
  const isDrawn = Object.values(drawing).some((value) => value !== undefined);
  if (isDrawn && !(sample ?? isSampled)) {
    throw new UserError(
      "--temperature, --top-k, --top-p and --seed belong to --sample: give it too",
    );
  }
  return {
    // With the start token, which answers are counted without.
    maxLength: flags.maxLength === undefined ? undefined : flags.maxLength + 1,
    // The end token is one of an answer's ids, and comes after the others.
    minLength: flags.minLength,
    outputs: flags.outputs,
    beams: flags.beams,
    lengthPenalty: flags.lengthPenalty,
    earlyStopping: flags.earlyStopping,
    ...flags.beamRule && { beamRule: flags.beamRule },
    renormalize: flags.renormalizeLogits,
    noRepeatNgram: flags.noRepeatNgram,
    sourceNgram: flags.encoderNoRepeatNgram,
    repetitionPenalty: flags.repetitionPenalty,
    sourcePenalty: flags.encoderRepetitionPenalty,
    badWords: flags.badWords?.map((word) => tokenizer.encodeWithOffsets(word).ids),
    suppressTokens: flags.suppressTokens,
    beginSuppressTokens: flags.beginSuppressTokens,
    forcedBos: flags.forcedBosToken,
    forcedEos: flags.forcedEosToken,
    endIds: flags.eosToken,
    startId: flags.decoderStartToken,
    lengthDecay: flags.exponentialDecayLengthPenalty,
    removeInvalid: flags.removeInvalidValues,
    ...sample === false && { sampling: false },
    ...(sample || isDrawn) && { sampling: drawing },
  };
}

/**
 * How a model is to answer: as flags say, else as its files do.
 *
 * @param limits of the run, where nothing says otherwise: the longest answer in ids, whose rules beams go by
 * @throws {UserError} for what cannot be, or would have no effect
 */
export async function chosenWays(
  flags: GenerationFlags,
  { files }: Pick<TrainedModel, "files">,
  { maxTargetLength, beamRule }: Pick<Settings, "maxTargetLength"> & Partial<Settings>,
): Promise<AnswerWays & { readonly options: GenerationOptions }> {
  const { minLength, maxLength = maxTargetLength } = flags;
  if (minLength !== undefined && minLength > maxLength) {
    throw new UserError(
      `--min-length ${minLength} is more than the longest answer has, ${maxLength}`,
    );
  }
  const defaults = await readDefaults(flags.generationConfig, files);
  const given = givenOptions(flags, files.tokenizer, defaults?.isSampled);
  const ways = waysOf(files, given, beamRule, defaults);
  const options = withDefaults(ways.given, ways.defaults, maxTargetLength + 1);
  return { ...ways, options };
}

/** Tells what the model's files changed about how it answers. */
export function tellWays(
  { given, defaults }: AnswerWays,
  options: GenerationOptions,
  config: ModelConfig,
): void {
  if (defaults === undefined) return;
  const taken = describeDefaults(defaults, given, options, config);
  if (taken.length > 0) console.error(`Generation: ${taken.join(", ")} (from ${defaults.file})`);
  if (defaults.unknown.length > 0) {
    console.error(`${defaults.file}: no effect have ${defaults.unknown.join(", ")}`);
  }
}

/** What files say of generation: the model's, or the one that a flag names, or none. */
async function readDefaults(
  file: string | undefined,
  model: TrainedModel["files"],
): Promise<GenerationDefaults | null> {
  if (file === undefined) return generationDefaults(model);
  if (file === "none") return null;
  const named = { file, fields: parseJsonObject(await readBytes(file), file) };
  return readGenerationConfig(named, named);
}
