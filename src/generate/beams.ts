/**
 * Beam search: what the device needs for it, and the hypotheses that come of it.
 *
 * Every token that was ever chosen stays where it was written, with the beam that it was appended to, so a
 * hypothesis is no more than its last token: the host reads the rest backwards.
 */

import type { ModelConfig } from "../../models/config.ts";
import type { Gpu } from "../gpu/device.ts";
import { read, type Variable } from "../graph/leaves.ts";
import {
  type BeamState,
  beamStep,
  type Hypothesis,
  readHypotheses,
} from "../graph/ops/beam-step.ts";
import type { HostArray } from "../graph/program.ts";
import { size, type Tensor } from "../graph/tensor.ts";
import { writeVariable } from "../graph/variables.ts";
import type { Beams, Settings } from "./options.ts";
import { TokenRules } from "./rules.ts";
import {
  blankTokens,
  type GeneratedSequence,
  type Progress,
  type Search,
  type SearchShape,
  type SearchStart,
  withoutEnd,
} from "./search.ts";
import type { VariableSet } from "./variable-set.ts";

/** Where beams start that are copies of the first: only it should be gone on from. */
const NEVER = -1e9;

/** See the module's header. */
export class BeamSearch implements Search {
  readonly tokens: Tensor;
  readonly ancestors: Tensor;
  readonly state: readonly Variable[];
  readonly #config: ModelConfig;
  readonly #settings: Settings;
  readonly #beams: Beams;
  readonly #rules: TokenRules;
  readonly #gpu: Gpu;
  readonly #variables: Readonly<Record<keyof BeamState | "divisors", Variable>>;

  constructor(
    config: ModelConfig,
    settings: Settings & { readonly strategy: Beams },
    shape: SearchShape,
    variables: VariableSet,
  ) {
    const { batchSize: batch } = shape;
    const { maxLength, strategy } = settings;
    const { beams } = strategy;
    this.#config = config;
    this.#settings = settings;
    this.#beams = strategy;
    this.#rules = new TokenRules(config, settings, shape, variables);
    this.#gpu = variables.gpu;
    this.#variables = {
      tokens: variables.create("tokens", [batch, maxLength, beams], "i32"),
      parents: variables.create("parents", [batch, maxLength, beams], "i32"),
      sums: variables.create("sums", [batch, maxLength, beams, 2]),
      ancestors: variables.create("ancestors", [batch, beams, maxLength], "u32"),
      hypotheses: variables.create("hypotheses", [batch, 2 + 5 * beams]),
      divisors: variables.create("divisors", [maxLength + 1]),
    };
    const { tokens, parents, sums, ancestors, hypotheses } = this.#variables;
    this.state = [tokens, parents, sums, hypotheses];
    this.tokens = read(tokens);
    this.ancestors = read(ancestors);
  }

  step(logits: Tensor, position: Tensor): Tensor[] {
    const { parents, sums, hypotheses, divisors } = this.#variables;
    const { tokens, ancestors } = this;
    const { padId } = this.#config;
    const { endIds, minLength } = this.#rules;
    const { rule, earlyStopping, lengthPenalty, renormalize } = this.#beams;
    // Where "never", a row is only done when not even its best beam could win at its longest.
    const isLongest = earlyStopping === "never" && lengthPenalty > 0;
    const next = beamStep(
      logits,
      { tokens, parents: read(parents), sums: read(sums), ancestors, hypotheses: read(hypotheses) },
      position,
      read(divisors),
      {
        endIds,
        padId,
        minLength,
        rule,
        earlyStopping: earlyStopping === true,
        bestLength: isLongest ? this.#settings.maxLength - 1 : 0,
        isRenormalised: renormalize,
        ...this.#rules.apply(logits, position, tokens, ancestors),
      },
    );
    return [next.tokens, next.parents, next.sums, next.ancestors, next.hypotheses];
  }

  reset(start: SearchStart): void {
    const { tokens, parents, sums, ancestors, hypotheses, divisors } = this.#variables;
    const { beams } = this.#beams;
    const [, length] = tokens.shape;
    const { startId } = this.#rules;
    const write = (variable: Variable, values: HostArray) =>
      writeVariable(this.#gpu, variable, values);
    const count = size(tokens.shape);
    write(tokens, blankTokens(tokens.shape, startId, this.#config.padId));
    write(parents, new Int32Array(count));
    write(
      sums,
      Float32Array.from(
        { length: 2 * count },
        (_, i) => Math.floor(i / 2) % beams === 0 ? 0 : NEVER,
      ),
    );
    write(ancestors, Uint32Array.from({ length: count }, (_, i) => Math.floor(i / length) % beams));
    write(hypotheses, new Float32Array(size(hypotheses.shape)));
    write(divisors, Float32Array.from({ length: length + 1 }, (_, i) => this.#divisor(i)));
    this.#rules.reset(start);
  }

  progress(values: readonly HostArray[], length: number): Progress {
    const [batch] = this.#variables.tokens.shape;
    const { beams } = this.#beams;
    const hypotheses = values[3] as Float32Array;
    const width = 2 + 5 * beams;
    const rows = Array.from(
      { length: batch },
      (_, row) => readHypotheses(hypotheses.subarray(row * width, (row + 1) * width)),
    );
    const { outputs } = this.#settings;
    return {
      isDone: rows.every(({ isDone }) => isDone),
      sequences: () =>
        rows.map(({ isDone, hypotheses }, row) => {
          const open = isDone ? [] : this.#open(values, row, length);
          const kept = open.reduce((kept, last) => this.#add(kept, last), [
            ...hypotheses as Last[],
          ]);
          const sequences = this.#ranked(kept).slice(0, outputs)
            .map((last) => this.#sequence(values, row, last));
          return [...sequences, ...new Array(outputs - sequences.length).fill(NOTHING)];
        }),
    };
  }

  /** The beams as hypotheses, in order. */
  #open(values: readonly HostArray[], row: number, length: number): Last[] {
    const { beams } = this.#beams;
    const [, maxLength] = this.#variables.tokens.shape;
    const newest = (row * maxLength + length - 1) * beams;
    return Array.from({ length: beams }, (_, slot) => {
      const [sum, logLikelihood] = values[2].subarray(2 * (newest + slot));
      return { sum, logLikelihood, length, slot };
    });
  }

  /** Hypotheses, oldest first, after one more: of the worst the oldest goes if there are too many. */
  #add(kept: readonly Last[], last: Last): Last[] {
    if (kept.length < this.#beams.beams) return [...kept, last];
    const worst = kept.reduce((a, b) => this.#score(b) < this.#score(a) ? b : a);
    if (!(this.#score(last) > this.#score(worst))) return [...kept];
    return [...kept.filter((other) => other !== worst), last];
  }

  /**
   * The best first. Of equal ones the youngest first by the reference's rule, which sorts upwards and takes
   * from the end, else the oldest.
   */
  #ranked(kept: readonly Last[]): Last[] {
    const ordered = this.#beams.rule === "reference" ? kept.toReversed() : [...kept];
    // Not a difference, which two infinities do not have.
    return ordered.sort((a, b) =>
      Number(this.#score(b) > this.#score(a)) - Number(this.#score(b) < this.#score(a))
    );
  }

  /** The reference counts the start token of a sequence that has not ended; transformers no longer does. */
  #score({ sum, length, token }: Last): number {
    const isCounted = token !== undefined || this.#beams.rule === "reference";
    return sum / this.#divisor(isCounted ? length : length - 1);
  }

  #divisor(length: number): number {
    return length ** this.#beams.lengthPenalty;
  }

  /** Reads a hypothesis backwards. */
  #sequence(values: readonly HostArray[], row: number, last: Last): GeneratedSequence {
    const [tokens, parents, sums] = values;
    const [, maxLength, beams] = this.#variables.tokens.shape;
    const isClosed = last.token !== undefined;
    const ids: number[] = isClosed ? [last.token!] : [];
    // Sums after each token, with that before the first.
    const totals: number[] = isClosed ? [last.sum] : [];
    for (let position = last.length - 1, slot = last.slot; position >= 0; position--) {
      const at = (row * maxLength + position) * beams + slot;
      totals.unshift(sums[2 * at]);
      if (position > 0) ids.unshift(tokens[at]);
      slot = parents[at];
    }
    return {
      tokens: withoutEnd(ids, this.#config),
      ended: isClosed && this.#rules.endIds.includes(last.token!),
      logLikelihood: last.logLikelihood,
      score: this.#score(last),
      choices: totals.slice(1).map((total, i) => total - totals[i]),
    };
  }
}

/** A hypothesis, or a beam that is counted as one though it has no last token beside those in its slot. */
type Last = Omit<Hypothesis, "token"> & Partial<Pick<Hypothesis, "token">>;

/** What transformers gives for a sequence that a search did not find. */
const NOTHING: GeneratedSequence = {
  tokens: [],
  ended: false,
  logLikelihood: NEVER,
  score: NEVER,
  choices: [],
};
