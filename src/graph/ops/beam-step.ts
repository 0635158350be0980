/**
 * Beam search with all state on the device. Nothing that a beam has gathered is ever copied: tokens, sums
 * and cached keys stay in the slot in which they were made, and what moves is the table of which slots
 * make up a beam.
 */

import candidatesSource from "../../../shaders/beam-candidates.wgsl" with { type: "text" };
import source from "../../../shaders/beam-step.wgsl" with { type: "text" };
import { withConstants } from "../constants.ts";
import { linearGrid } from "../dispatch.ts";
import { withLanes } from "../lanes.ts";
import {
  applyAll,
  type Op,
  sameShape,
  type Scratch,
  type Shader,
  ShapeError,
  size,
  type Tensor,
} from "../tensor.ts";
import {
  checkBanned,
  checkScores,
  type DecodingAttributes,
  decodingOperands,
  type DecodingOptions,
  withEnds,
} from "./decoding-state.ts";
import { optionalOperands } from "./optional.ts";

/** Most beams that a search may have: the shaders keep their book in a workgroup's memory. */
export const MOST_BEAMS = 1000;

/** Candidates of a beam that an invocation lists at a time: each takes two registers, and time to compile. */
const LISTED = 8;

/** What a search with K beams for each of B rows has come to; all are variables. */
export interface BeamState {
  /** i32 [B, maxLength, K]: the start token at 0, then the token that each beam was given. */
  readonly tokens: Tensor;
  /** i32 [B, maxLength, K]: the beam that each token was appended to. */
  readonly parents: Tensor;
  /** f32 [B, maxLength, K, 2]: the sums of scores and of log-probabilities up to each token. */
  readonly sums: Tensor;
  /** u32 [B, K, maxLength]: the slot that holds each position of a beam's sequence. */
  readonly ancestors: Tensor;
  /** f32 [B, 2 + 5K]: see `readHypotheses`; zeros to begin with. */
  readonly hypotheses: Tensor;
}

/**
 * Whose rules: those of transformers 4.14, with which the reference was made, or those of transformers
 * since 4.50. They differ in when a row is done, and in what becomes of beams at the maximum length.
 */
export type BeamRule = "reference" | "transformers";

/** How to search. */
export interface BeamStepOptions extends DecodingOptions {
  /** Stop as soon as there are K hypotheses, though better ones might come. */
  readonly earlyStopping: boolean;
  readonly rule: BeamRule;
  /** The index of `divisors` by which a row's best hope is judged; 0: that of its present length. */
  readonly bestLength: number;
  /** Scores are normalised after what is banned was left out. */
  readonly isRenormalised: boolean;
}

/** A sequence that has ended. */
export interface Hypothesis {
  /** Sum of its scores, the last token's included. */
  readonly sum: number;
  /** The same of its log-probabilities. */
  readonly logLikelihood: number;
  /** Its tokens, the start token included, the last token not. */
  readonly length: number;
  /** The slot of the token before its last. */
  readonly slot: number;
  /** Its last token. */
  readonly token: number;
}

/** What a row of `BeamState.hypotheses` says. */
export function readHypotheses(row: Float32Array): { isDone: boolean; hypotheses: Hypothesis[] } {
  const [done, count] = row;
  const hypotheses = Array.from({ length: count }, (_, i): Hypothesis => {
    const [sum, logLikelihood, length, slot, token] = row.subarray(2 + 5 * i);
    return { sum, logLikelihood, length, slot, token };
  });
  return { isDone: done === 1, hypotheses };
}

/**
 * Takes the best continuations of each row's beams (1 more than there are end tokens for each beam) and
 * visits them best first: end tokens among the first K close a hypothesis, other tokens fill the beams. The
 * K best hypotheses are kept. On ties the lower beam goes first, then the lower token. At maxLength nothing
 * happens.
 *
 * @param logits f32 [B · K, V], after the tokens at `position`
 * @param position u32 [1]; `advance` it in the same program
 * @param divisors f32 [maxLength + 1]: what the sum of a hypothesis is divided by, by its length
 * @returns the state's new values, to be given to `compile` as effects
 */
export function beamStep(
  logits: Tensor,
  { tokens, parents, sums, ancestors, hypotheses }: BeamState,
  position: Tensor,
  divisors: Tensor,
  options: BeamStepOptions,
): BeamState {
  const state = [tokens, parents, sums, ancestors, hypotheses];
  const { inputs, attributes } = decodingOperands([...state, logits, position, divisors], options);
  const outputs = applyAll(beamStepOp, inputs, attributes);
  return {
    tokens: outputs[0],
    parents: outputs[1],
    sums: outputs[2],
    ancestors: outputs[3],
    hypotheses: outputs[4],
  };
}

const beamStepOp: Op<DecodingAttributes<BeamStepOptions>> = {
  name: "beam step",
  inPlace: [0, 1, 2, 3, 4],
  shape(inputs, attributes) {
    const [tokens, parents, sums, ancestors, hypotheses, logits, position, divisors] = inputs;
    const fail = (message: string): never => {
      throw new ShapeError("beam step", message, inputs);
    };
    const [batch, maxLength, beams] = tokens.shape;
    const isOf = (tensor: Tensor, dtype: string, ...shape: number[]) =>
      tensor.dtype === dtype && sameShape(tensor.shape, shape);
    if (tokens.shape.length !== 3 || !isOf(tokens, "i32", ...tokens.shape)) {
      fail("tokens must be i32 [batch, maxLength, beams]");
    }
    if (!isOf(parents, "i32", ...tokens.shape)) fail("parents must be as tokens");
    if (!isOf(sums, "f32", ...tokens.shape, 2)) {
      fail("sums must be f32 [batch, maxLength, beams, 2]");
    }
    if (!isOf(ancestors, "u32", batch, beams, maxLength)) {
      fail("ancestors must be u32 [batch, beams, maxLength]");
    }
    if (!isOf(hypotheses, "f32", batch, 2 + 5 * beams)) {
      fail("hypotheses must be f32 [batch, 2 + 5 · beams]");
    }
    if (!isOf(logits, "f32", batch * beams, logits.shape[1])) {
      fail("logits must be f32 [batch · beams, vocabulary]");
    }
    if (position.dtype !== "u32" || size(position.shape) !== 1) fail("position must be u32 [1]");
    if (!isOf(divisors, "f32", maxLength + 1)) fail("divisors must be f32 [maxLength + 1]");
    const { banned, scores } = optionalOperands(inputs, attributes);
    checkBanned("beam step", inputs, banned, [batch, beams, logits.shape[1]]);
    checkScores("beam step", inputs, scores, logits);
    return inputs.slice(0, 5).map(({ shape, dtype }) => ({ shape, dtype }));
  },
  kernel({ inputs, outputs, attributes }, gpu) {
    const [tokens, parents, sums, ancestors, hypotheses] = outputs;
    const [, , , , , logits, position, divisors] = inputs;
    const { endIds, padId, minLength } = attributes;
    const operands = optionalOperands(inputs, attributes);
    const [batch, maxLength, beams] = tokens.shape;
    const [rows, columns] = logits.shape;
    // Enough for K beams, should all end tokens of all beams be among them.
    const count = Math.max(2, 1 + endIds.length) * beams;
    const candidates: Scratch = { scratchBytes: 12 * rows * count };
    const specialised = (shader: Shader, constants: Record<string, number>) =>
      withEnds(withLanes(withConstants(shader, constants), gpu), endIds);
    return [
      {
        shader: specialised(
          { name: "beam-candidates", source: candidatesSource },
          { CANDIDATES: count, LISTED: Math.min(LISTED, count) },
        ),
        constants: {
          has_banned: Number("banned" in operands),
          has_scores: Number("scores" in operands),
          is_renormalised: Number(attributes.isRenormalised),
        },
        uniforms: { rows, columns, min_length: minLength },
        bindings: { logits, position, ...operands, candidates },
        workgroups: linearGrid(rows, 1),
        flops: 4 * rows * columns,
      },
      {
        shader: specialised(
          { name: "beam-step", source },
          { BEAMS: beams, CANDIDATES: count },
        ),
        uniforms: {
          batch,
          max_length: maxLength,
          padding: padId,
          early_stopping: Number(attributes.earlyStopping),
          is_reference: Number(attributes.rule === "reference"),
          best_length: attributes.bestLength,
        },
        bindings: {
          candidates,
          position,
          divisors,
          tokens,
          parents,
          sums,
          ancestors,
          hypotheses,
        },
        workgroups: linearGrid(batch, 1),
      },
    ];
  },
};
