/**
 * How to generate, as people say it and as it is compiled.
 *
 * Invariant: what `resolveOptions` lets through can be run; whatever cannot, or would have no effect, is
 * refused with a sentence.
 */

import { UserError } from "../errors.ts";

/** How to draw tokens instead of taking the likeliest. */
export interface SamplingOptions {
  /** What logits are divided by: below 1 the likely becomes likelier. 1 unless given. */
  readonly temperature?: number | undefined;
  /** How many of the likeliest tokens are drawn from; 0, unless given, for all. */
  readonly topK?: number | undefined;
  /** Of those the fewest are drawn from whose probabilities sum up to this. 1 unless given: all. */
  readonly topP?: number | undefined;
  /** The same seed draws the same tokens. A whole number, 0 unless given. */
  readonly seed?: number | undefined;
}

/** How to generate. Greedy choice unless `beams` or `sampling` are given. */
export interface GenerationOptions {
  /** Most tokens of a sequence, the start token included. */
  readonly maxLength: number;
  /** The end token is forbidden while a sequence has fewer tokens, the start token included. */
  readonly minLength?: number | undefined;
  /** No n-gram of this many tokens occurs twice in a sequence; 0, unless given, for no such rule. */
  readonly noRepeatNgram?: number | undefined;
  /** Sequences to return for each row, 1 unless given: the best of so many beams, or samples. */
  readonly outputs?: number | undefined;
  readonly sampling?: SamplingOptions | undefined;
  /** Beams of a search; 1, unless given, is greedy choice. */
  readonly beams?: number | undefined;
  /**
   * Power of the length by which a beam's log-probability is divided: above 0 the long, below 0 the short
   * are preferred. 1 unless given.
   */
  readonly lengthPenalty?: number | undefined;
  /** Stop as soon as there are as many finished sequences as beams, though better ones might come. */
  readonly earlyStopping?: boolean | undefined;
}

/** What tokens are drawn from. */
export interface Sampling {
  readonly kind: "sampling";
  readonly temperature: number;
  readonly topK: number;
  readonly topP: number;
}

/** Beam search. */
export interface Beams {
  readonly kind: "beams";
  readonly beams: number;
  readonly lengthPenalty: number;
  readonly earlyStopping: boolean;
}

/** All that a program is compiled for, and nothing else: two equal ones can share it. */
export interface Settings {
  readonly maxLength: number;
  readonly minLength: number;
  readonly noRepeatNgram: number;
  readonly outputs: number;
  readonly strategy: { readonly kind: "greedy" } | Sampling | Beams;
}

/** More beams than any search is better for; each has a share of a shader's registers. */
const MOST_BEAMS = 64;

/**
 * Checks options and fills in what is not given.
 *
 * @throws {UserError} naming the option that cannot be
 */
export function resolveOptions(options: GenerationOptions): Settings {
  const { maxLength, minLength = 0, noRepeatNgram = 0, outputs = 1 } = options;
  whole("maxLength", maxLength, 2, "it counts the start token");
  whole("minLength", minLength, 0);
  whole("noRepeatNgram", noRepeatNgram, 0);
  whole("outputs", outputs, 1);
  if (minLength > maxLength) {
    throw new UserError(`minLength ${minLength} is more than maxLength ${maxLength}`);
  }
  const strategy = strategyOf(options);
  if (strategy.kind === "greedy" && outputs > 1) {
    throw new UserError(
      `greedy choice has one result, not ${outputs} outputs: give beams, or sampling, as well`,
    );
  }
  if (strategy.kind === "beams" && outputs > strategy.beams) {
    throw new UserError(`${strategy.beams} beams cannot give ${outputs} outputs: give more beams`);
  }
  return { maxLength, minLength, noRepeatNgram, outputs, strategy };
}

function strategyOf(options: GenerationOptions): Settings["strategy"] {
  const { sampling, beams = 1, lengthPenalty = 1, earlyStopping = false } = options;
  whole("beams", beams, 1);
  if (beams > MOST_BEAMS) throw new UserError(`beams is ${beams}: ${MOST_BEAMS} is the most`);
  if (!Number.isFinite(lengthPenalty)) {
    throw new UserError(`lengthPenalty is ${lengthPenalty}: it must be a number`);
  }
  if (sampling && beams > 1) {
    throw new UserError("sampling and beam search cannot be combined: leave out one of them");
  }
  if (beams > 1) return { kind: "beams", beams, lengthPenalty, earlyStopping };
  if (options.lengthPenalty !== undefined || options.earlyStopping !== undefined) {
    throw new UserError(
      "lengthPenalty and earlyStopping belong to beam search: give beams as well",
    );
  }
  if (!sampling) return { kind: "greedy" };

  const { temperature = 1, topK = 0, topP = 1, seed = 0 } = sampling;
  if (!(temperature > 0 && temperature < Infinity)) {
    throw new UserError(
      `temperature is ${temperature}: it must be above 0 (without sampling, the likeliest is taken)`,
    );
  }
  whole("topK", topK, 0);
  if (!(topP > 0 && topP <= 1)) {
    throw new UserError(`topP is ${topP}: it must be above 0 and at most 1`);
  }
  whole("seed", seed, 0);
  return { kind: "sampling", temperature, topK, topP };
}

function whole(name: string, value: number, least: number, because?: string): void {
  if (Number.isSafeInteger(value) && value >= least) return;
  const reason = because ? `: ${because}, so it` : ": it";
  throw new UserError(`${name} is ${value}${reason} must be a whole number from ${least} on`);
}
