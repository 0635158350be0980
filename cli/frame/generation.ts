/** The flags that say how to generate, and what they come to. */

import type { Command } from "commander";
import { UserError } from "../../src/errors.ts";
import type { GenerationOptions } from "../../src/generate/options.ts";
import { numeric, positiveInteger, positiveNumber, valued, wholeNumber } from "./config.ts";

/** The values of the flags. */
export interface GenerationFlags {
  readonly beams?: number;
  readonly outputs?: number;
  readonly sample?: true;
  readonly temperature?: number;
  readonly topK?: number;
  readonly topP?: number;
  readonly seed?: number;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly lengthPenalty?: number;
  readonly earlyStopping?: true;
  readonly noRepeatNgram?: number;
}

const share = numeric("a number above 0 and at most 1", (value) => value > 0 && value <= 1);
const number = numeric("a number", Number.isFinite);

/** Adds the flags to a command. */
export function withGeneration(command: Command): Command {
  const flag = (
    flags: string,
    description: string,
    parse: (text: string) => number,
  ) => command.addOption(valued(flags, description, parse));
  flag("--max-length <ids>", "longest answer (default: the run's)", positiveInteger);
  flag("--min-length <ids>", "shortest answer, counted like the longest", wholeNumber);
  flag("--no-repeat-ngram <ids>", "no sequence of so many ids twice", wholeNumber);
  flag(
    "--outputs <count>",
    "answers to each text, of beams or samples (default: 1)",
    positiveInteger,
  );
  flag(
    "--beams <count>",
    "search with so many beams (default: 1, the likeliest id)",
    positiveInteger,
  );
  flag("--length-penalty <power>", "above 0 favours long, below 0 short (default: 1)", number);
  command.option("--early-stopping", "end a search when there are as many answers as beams");
  command.option("--sample", "draw ids by their probability");
  flag("--temperature <number>", "below 1 favours the likely (default: 1)", positiveNumber);
  flag("--top-k <count>", "draw from so many of the likeliest ids (default: all)", wholeNumber);
  flag("--top-p <share>", "draw from the likeliest that have this share (default: 1)", share);
  return flag("--seed <number>", "draws other ids (default: 0)", wholeNumber);
}

/**
 * The options that flags stand for.
 *
 * @param maxTargetLength longest answer in ids, unless a flag says otherwise
 * @throws {UserError} for flags that have no effect without another
 */
export function generationOptions(
  flags: GenerationFlags,
  maxTargetLength: number,
): GenerationOptions {
  const { sample, temperature, topK, topP, seed, maxLength = maxTargetLength, ...others } = flags;
  const drawing = { temperature, topK, topP, seed };
  if (!sample && Object.values(drawing).some((value) => value !== undefined)) {
    throw new UserError(
      "--temperature, --top-k, --top-p and --seed belong to --sample: give it too",
    );
  }
  if (others.minLength !== undefined && others.minLength > maxLength) {
    throw new UserError(
      `--min-length ${others.minLength} is more than the longest answer has, ${maxLength}`,
    );
  }
  const { minLength, noRepeatNgram, outputs, beams, lengthPenalty, earlyStopping } = others;
  return {
    maxLength: maxLength + 1, // with the start token, which answers are counted without
    minLength,
    noRepeatNgram,
    outputs,
    beams,
    lengthPenalty,
    earlyStopping,
    ...sample && { sampling: drawing },
  };
}
