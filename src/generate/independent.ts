/**
 * Greedy choice and sampling: sequences that do not depend on one another.
 */

import type { ModelConfig } from "../../models/config.ts";
import type { Gpu } from "../gpu/device.ts";
import { read, type Variable } from "../graph/leaves.ts";
import type { DecodingState } from "../graph/ops/decoding-state.ts";
import { greedyStep } from "../graph/ops/greedy-step.ts";
import { sampleStep } from "../graph/ops/sample-step.ts";
import type { HostArray } from "../graph/program.ts";
import { size, type Tensor } from "../graph/tensor.ts";
import { writeVariable } from "../graph/variables.ts";
import type { Settings } from "./options.ts";
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

/** See the module's header. */
export class IndependentSearch implements Search {
  readonly tokens: Tensor;
  readonly state: readonly Variable[];
  readonly #config: ModelConfig;
  readonly #settings: Settings;
  readonly #rules: TokenRules;
  readonly #gpu: Gpu;
  readonly #variables: Readonly<Record<keyof DecodingState | "random", Variable>>;

  constructor(
    config: ModelConfig,
    settings: Settings,
    shape: SearchShape,
    variables: VariableSet,
  ) {
    const { maxLength, outputs } = settings;
    const { batchSize: batch } = shape;
    this.#config = config;
    this.#settings = settings;
    this.#rules = new TokenRules(config, settings, shape, variables);
    this.#gpu = variables.gpu;
    this.#variables = {
      finished: variables.create("finished", [batch, outputs], "i32"),
      tokens: variables.create("tokens", [batch, maxLength, outputs], "i32"),
      logProbabilities: variables.create("log-probabilities", [batch, maxLength, outputs, 2]),
      random: variables.create("random", [2 + batch], "u32"),
    };
    const { finished, tokens, logProbabilities } = this.#variables;
    this.state = [finished, tokens, logProbabilities];
    this.tokens = read(tokens);
  }

  step(logits: Tensor, position: Tensor): Tensor[] {
    const { finished, tokens, logProbabilities, random } = this.#variables;
    const state = {
      finished: read(finished),
      tokens: read(tokens),
      logProbabilities: read(logProbabilities),
    };
    const { padId } = this.#config;
    const { endIds, minLength } = this.#rules;
    const { strategy } = this.#settings;
    const ruled = this.#rules.apply(logits, position, state.tokens);
    const options = { endIds, padId, minLength, ...ruled };
    const next = strategy.kind === "sampling"
      ? sampleStep(logits, state, position, read(random), { ...options, ...strategy })
      : greedyStep(logits, state, position, options);
    return [next.finished, next.tokens, next.logProbabilities];
  }

  reset(start: SearchStart): void {
    const { seed, rows } = start;
    const { finished, tokens, logProbabilities, random } = this.#variables;
    const write = (variable: Variable, values: HostArray) =>
      writeVariable(this.#gpu, variable, values);
    write(finished, new Int32Array(size(finished.shape)));
    write(tokens, blankTokens(tokens.shape, this.#rules.startId, this.#config.padId));
    write(logProbabilities, new Float32Array(size(logProbabilities.shape)));
    write(random, Uint32Array.of(seed, seed / 2 ** 32, ...rows));
    this.#rules.reset(start);
  }

  progress(values: readonly HostArray[], length: number): Progress {
    const [finished, tokens, logProbabilities] = values;
    const [batch, maxLength, slots] = this.#variables.tokens.shape;
    const { endIds } = this.#rules;
    const sequence = (row: number, slot: number): GeneratedSequence => {
      const ids: number[] = [], choices: number[] = [];
      let logLikelihood = 0;
      for (let i = 1; i < length && !endIds.includes(ids.at(-1) ?? -1); i++) {
        const at = (row * maxLength + i) * slots + slot;
        ids.push(tokens[at]);
        logLikelihood += logProbabilities[2 * at];
        choices.push(logProbabilities[2 * at + 1]);
      }
      const ended = finished[row * slots + slot] === 1;
      const score = choices.reduce((sum, choice) => sum + choice, 0);
      return { tokens: withoutEnd(ids, this.#config), ended, logLikelihood, score, choices };
    };
    return {
      isDone: finished.every((flag) => flag === 1),
      sequences: () =>
        Array.from(
          { length: batch },
          (_, row) => Array.from({ length: slots }, (_, slot) => sequence(row, slot)),
        ),
    };
  }
}
