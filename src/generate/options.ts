/**
 * How to generate, as people say it and as it is compiled.
 *
 * Invariant: what `resolveOptions` lets through can be run; whatever cannot, or would have no effect, is
 * refused with a sentence.
 */

import { UserError } from "../errors.ts";
import { type BeamRule, MOST_BEAMS } from "../graph/ops/beam-step.ts";

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
  /** No n-gram of this many tokens is taken from the source; 0, unless given, for no such rule. */
  readonly sourceNgram?: number | undefined;
  /**
   * What the logits of tokens that a sequence has, the start token among them, are divided by (negative
   * ones are multiplied): above 1 against repetition. 1 unless given.
   */
  readonly repetitionPenalty?: number | undefined;
  /** The same for tokens that are not in the source, in effect: above 1 against inventions. 1 unless given. */
  readonly sourcePenalty?: number | undefined;
  /** Sequences of tokens that must not come. */
  readonly badWords?: readonly (readonly number[])[] | undefined;
  /** Tokens that must not come. */
  readonly suppressTokens?: readonly number[] | undefined;
  /** Tokens that must not come first (or, if the first is forced, second). */
  readonly beginSuppressTokens?: readonly number[] | undefined;
  /** The first token, whatever the model says. */
  readonly forcedBos?: number | undefined;
  /** The last token that there is room for, one of these. */
  readonly forcedEos?: readonly number[] | undefined;
  /** The tokens that end a sequence; unless given, those of the model's configuration. */
  readonly endIds?: readonly number[] | undefined;
  /** The token that sequences start with; unless given, that of the model's configuration. */
  readonly startId?: number | undefined;
  /** So many tokens on, end tokens are favoured more with each: factor ^ tokens since then. */
  readonly lengthDecay?: LengthDecay | undefined;
  /** Beams: probabilities sum up to 1 after everything that bans or penalises tokens. */
  readonly renormalize?: boolean | undefined;
  /** Logits that are no numbers, or infinite, are taken for 0 and the largest numbers. */
  readonly removeInvalid?: boolean | undefined;
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
  /**
   * Whether to stop as soon as there are as many finished sequences as beams, though better ones might
   * come; "never" before none can, however long. False unless given: when none is likely to.
   */
  readonly earlyStopping?: EarlyStopping | undefined;
  /** Whose beam search: of transformers today, unless given, or of the reference (4.14). */
  readonly beamRule?: BeamRule | undefined;
}

/** When a beam search stops. */
export type EarlyStopping = boolean | "never";

/** Growing favour for the end of a sequence. */
export interface LengthDecay {
  /** Tokens, the start token not counted, without it. */
  readonly start: number;
  readonly factor: number;
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
  readonly earlyStopping: EarlyStopping;
  readonly rule: BeamRule;
  readonly renormalize: boolean;
}

/** What decides on tokens beside the model. What is not there has no effect. */
export interface Rules {
  readonly noRepeatNgram?: number;
  readonly sourceNgram?: number;
  readonly repetitionPenalty?: number;
  readonly sourcePenalty?: number;
  readonly badWords?: readonly (readonly number[])[];
  readonly suppressTokens?: readonly number[];
  readonly beginSuppressTokens?: readonly number[];
  readonly forcedBos?: number;
  readonly forcedEos?: readonly number[];
  readonly lengthDecay?: LengthDecay;
  readonly removeInvalid?: true;
}

/** All that a program is compiled for, and nothing else: two equal ones can share it. */
export interface Settings {
  readonly maxLength: number;
  readonly minLength: number;
  readonly outputs: number;
  /** The model's own if there are none. */
  readonly endIds?: readonly number[];
  readonly startId?: number;
  readonly rules: Rules;
  readonly strategy: { readonly kind: "greedy" } | Sampling | Beams;
}

/**
 * Checks options and fills in what is not given.
 *
 * @throws {UserError} naming the option that cannot be
 */
export function resolveOptions(options: GenerationOptions): Settings {
  const { maxLength, minLength = 0, outputs = 1, endIds, startId } = options;
  whole("maxLength", maxLength, 2, "it counts the start token");
  whole("minLength", minLength, 0);
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
  if (endIds?.length === 0) throw new UserError("endIds is empty: leave it out, or name a token");
  idList("endIds", endIds);
  if (startId !== undefined) whole("startId", startId, 0);
  return {
    maxLength,
    minLength,
    outputs,
    ...endIds && { endIds: distinct(endIds) },
    ...startId !== undefined && { startId },
    rules: rulesOf(options),
    strategy,
  };
}

/** Rules that have an effect; those without one are left out, so that programs can be shared. */
function rulesOf(options: GenerationOptions): Rules {
  const { noRepeatNgram = 0, sourceNgram = 0, repetitionPenalty = 1, sourcePenalty = 1 } = options;
  const { badWords = [], suppressTokens = [], beginSuppressTokens = [] } = options;
  const { forcedBos, forcedEos = [], lengthDecay, removeInvalid } = options;
  whole("noRepeatNgram", noRepeatNgram, 0);
  whole("sourceNgram", sourceNgram, 0);
  positive("repetitionPenalty", repetitionPenalty);
  positive("sourcePenalty", sourcePenalty);
  for (const word of badWords) {
    if (word.length === 0) throw new UserError("badWords has an empty sequence: leave it out");
    idList("badWords", word);
  }
  idList("suppressTokens", suppressTokens);
  idList("beginSuppressTokens", beginSuppressTokens);
  idList("forcedEos", forcedEos);
  if (forcedBos !== undefined) whole("forcedBos", forcedBos, 0);
  if (lengthDecay) {
    whole("lengthDecay.start", lengthDecay.start, 0);
    positive("lengthDecay.factor", lengthDecay.factor);
  }
  const forced = [...forcedBos === undefined ? [] : [forcedBos], ...forcedEos];
  const both = forced.find((id) => suppressTokens.includes(id));
  if (both !== undefined) {
    throw new UserError(`the token ${both} is forced and must not come: leave out one of the two`);
  }
  return {
    ...noRepeatNgram > 0 && { noRepeatNgram },
    ...sourceNgram > 0 && { sourceNgram },
    ...repetitionPenalty !== 1 && { repetitionPenalty },
    ...sourcePenalty !== 1 && { sourcePenalty },
    ...badWords.length > 0 && { badWords },
    ...suppressTokens.length > 0 && { suppressTokens: distinct(suppressTokens) },
    ...beginSuppressTokens.length > 0 && { beginSuppressTokens: distinct(beginSuppressTokens) },
    ...forcedBos !== undefined && { forcedBos },
    ...forcedEos.length > 0 && { forcedEos: distinct(forcedEos) },
    ...lengthDecay && lengthDecay.factor !== 1 && { lengthDecay },
    ...removeInvalid && { removeInvalid },
  };
}

function strategyOf(options: GenerationOptions): Settings["strategy"] {
  const { sampling, beams = 1, lengthPenalty = 1, earlyStopping = false } = options;
  const { beamRule: rule = "transformers", renormalize = false } = options;
  whole("beams", beams, 1);
  if (beams > MOST_BEAMS) throw new UserError(`beams is ${beams}: ${MOST_BEAMS} is the most`);
  if (!Number.isFinite(lengthPenalty)) {
    throw new UserError(`lengthPenalty is ${lengthPenalty}: it must be a number`);
  }
  if (sampling && beams > 1) {
    throw new UserError("sampling and beam search cannot be combined: leave out one of them");
  }
  if (rule === "reference" && earlyStopping === "never") {
    throw new UserError(
      'earlyStopping "never" is a rule of transformers today: give beamRule "transformers" as well',
    );
  }
  if (beams > 1) return { kind: "beams", beams, lengthPenalty, earlyStopping, rule, renormalize };
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

function positive(name: string, value: number): void {
  if (value > 0 && value < Infinity) return;
  throw new UserError(`${name} is ${value}: it must be a number above 0`);
}

function idList(name: string, ids: readonly number[] = []): void {
  for (const id of ids) whole(name, id, 0, "it names tokens by their ids");
}

function distinct(ids: readonly number[]): number[] {
  return [...new Set(ids)];
}
