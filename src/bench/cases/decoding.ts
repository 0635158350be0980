/** Choosing the next token: greedily, by sampling, and in a beam search. */

import type { ModelConfig } from "../../../models/config.ts";
import { bannedTokens } from "../../graph/ops/banned-tokens.ts";
import { beamStep } from "../../graph/ops/beam-step.ts";
import { greedyStep } from "../../graph/ops/greedy-step.ts";
import { sampleStep } from "../../graph/ops/sample-step.ts";
import type { Case } from "../kernels.ts";
import type { Workbench } from "../workbench.ts";

/** Longest sequence, the start token included. */
const LENGTH = 64;

/** Where the newest token stands; what is chosen goes behind it, always at the same place. */
const POSITION = 31;

/** The likeliest token of each row. */
export function greedyChoice(config: ModelConfig, batch: number): Case {
  return (bench) => {
    const { logits, position, state, options } = begin(bench, config, batch);
    const next = greedyStep(logits, state, position, options);
    return {
      name: `greedy choice ${batch}×${config.vocabSize}`,
      operands: [logits],
      results: [next.finished, next.tokens, next.logProbabilities],
      flops: 4 * batch * config.vocabSize,
      bytes: 4 * batch * config.vocabSize,
    };
  };
}

/** A draw from the nucleus of the likeliest tokens. */
export function nucleusChoice(config: ModelConfig, batch: number): Case {
  return (bench) => {
    const { logits, position, state, options } = begin(bench, config, batch);
    const random = bench.operand("random", [2 + batch], new Uint32Array(2 + batch), "u32");
    const sampling = { temperature: 0.8, topK: 50, topP: 0.9 };
    const next = sampleStep(logits, state, position, random, { ...options, ...sampling });
    return {
      name: `sampling ${batch}×${config.vocabSize}, top 50, nucleus 0.9`,
      operands: [logits],
      results: [next.finished, next.tokens, next.logProbabilities],
      flops: 4 * batch * config.vocabSize,
      bytes: 4 * batch * config.vocabSize,
    };
  };
}

/** A step of a beam search that may not repeat trigrams. */
export function beamChoice(config: ModelConfig, batch: number, beams: number): Case {
  const { vocabSize } = config;
  return (bench) => {
    const { logits, position, options } = begin(bench, config, batch * beams);
    const integers = (name: string, width: number) =>
      bench.ids(name, [batch, LENGTH, beams], width);
    const tokens = integers("tokens", vocabSize);
    const ancestors = bench.operand(
      "ancestors",
      [batch, beams, LENGTH],
      Uint32Array.from(
        { length: batch * beams * LENGTH },
        (_, i) => Math.floor(i / LENGTH) % beams,
      ),
      "u32",
    );
    const banned = bannedTokens(tokens, position, { size: 3, vocabulary: vocabSize, ancestors });
    const next = beamStep(
      logits,
      {
        tokens,
        parents: integers("parents", beams),
        sums: bench.floats("sums", [batch, LENGTH, beams, 2]),
        ancestors,
        hypotheses: bench.operand(
          "hypotheses",
          [batch, 2 + 5 * beams],
          new Float32Array(batch * (2 + 5 * beams)),
        ),
      },
      position,
      bench.operand("divisors", [LENGTH + 1], new Float32Array(LENGTH + 1).fill(1)),
      {
        ...options,
        earlyStopping: false,
        rule: "transformers",
        bestLength: 0,
        isRenormalised: false,
        banned,
      },
    );
    return {
      name: `beam step ${batch}×${beams}×${vocabSize}, without repeated trigrams`,
      operands: [logits],
      results: Object.values(next),
      flops: 4 * batch * beams * vocabSize,
      bytes: 4 * batch * beams * vocabSize,
    };
  };
}

function begin(bench: Workbench, { vocabSize, eosId, padId }: ModelConfig, rows: number) {
  return {
    logits: bench.floats("logits", [rows, vocabSize], 4),
    position: bench.operand("position", [1], Uint32Array.of(POSITION), "u32"),
    state: {
      finished: bench.operand("finished", [rows, 1], new Int32Array(rows), "i32"),
      tokens: bench.ids("tokens", [rows, LENGTH, 1], vocabSize),
      logProbabilities: bench.floats("log-probabilities", [rows, LENGTH, 1, 2]),
    },
    // The end token is always forbidden: a finished row would be no work.
    options: { endIds: [eosId], padId, minLength: LENGTH },
  };
}
