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
import { checkBanned, type DecodingOptions } from "./decoding-state.ts";

/** What a search with K beams for each of B rows has come to; all are variables. */
export interface BeamState {
  /** i32 [B, maxLength, K]: the start token at 0, then the token that each beam was given. */
  readonly tokens: Tensor;
  /** i32 [B, maxLength, K]: the beam that each token was appended to. */
  readonly parents: Tensor;
  /** f32 [B, maxLength, K]: the sum of log-probabilities up to each token. */
  readonly sums: Tensor;
  /** u32 [B, K, maxLength]: the slot that holds each position of a beam's sequence. */
  readonly ancestors: Tensor;
  /** f32 [B, 2 + 3K]: see `readHypotheses`; zeros to begin with. */
  readonly hypotheses: Tensor;
}

/** How to search. */
export interface BeamStepOptions extends DecodingOptions {
  /** Stop as soon as there are K hypotheses, though better ones might come. */
  readonly earlyStopping: boolean;
}

/** A sequence that has ended. */
export interface Hypothesis {
  /** Sum of its log-probabilities, the end token's included. */
  readonly sum: number;
  /** Its tokens, the start token included, the end token not. */
  readonly length: number;
  /** The slot of its last token before the end. */
  readonly slot: number;
}

/** What a row of `BeamState.hypotheses` says. */
export function readHypotheses(row: Float32Array): { isDone: boolean; hypotheses: Hypothesis[] } {
  const [done, count] = row;
  const hypotheses = Array.from({ length: count }, (_, i): Hypothesis => {
    const [sum, length, slot] = row.subarray(2 + 3 * i);
    return { sum, length, slot };
  });
  return { isDone: done === 1, hypotheses };
}

/**
 * Takes the 2K best continuations of each row's beams and visits them best first: end tokens among the
 * first K close a hypothesis, other tokens fill the beams. The K best hypotheses are kept. The rules are
 * those of `BeamSearchScorer` in Hugging Face transformers 4; on ties the lower beam goes first, then
 * the lower token. At maxLength nothing happens.
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
  { banned, ...attributes }: BeamStepOptions,
): BeamState {
  const state = [tokens, parents, sums, ancestors, hypotheses];
  const inputs = [...state, logits, position, divisors, ...(banned ? [banned] : [])];
  const outputs = applyAll(beamStepOp, inputs, attributes);
  return {
    tokens: outputs[0],
    parents: outputs[1],
    sums: outputs[2],
    ancestors: outputs[3],
    hypotheses: outputs[4],
  };
}

const beamStepOp: Op<Omit<BeamStepOptions, "banned">> = {
  name: "beam step",
  inPlace: [0, 1, 2, 3, 4],
  shape(inputs) {
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
    if (!isOf(sums, "f32", ...tokens.shape)) fail("sums must be f32, of the shape of tokens");
    if (!isOf(ancestors, "u32", batch, beams, maxLength)) {
      fail("ancestors must be u32 [batch, beams, maxLength]");
    }
    if (!isOf(hypotheses, "f32", batch, 2 + 3 * beams)) {
      fail("hypotheses must be f32 [batch, 2 + 3 · beams]");
    }
    if (!isOf(logits, "f32", batch * beams, logits.shape[1])) {
      fail("logits must be f32 [batch · beams, vocabulary]");
    }
    if (position.dtype !== "u32" || size(position.shape) !== 1) fail("position must be u32 [1]");
    if (!isOf(divisors, "f32", maxLength + 1)) fail("divisors must be f32 [maxLength + 1]");
    checkBanned("beam step", inputs, inputs[8], [batch, beams, logits.shape[1]]);
    return inputs.slice(0, 5).map(({ shape, dtype }) => ({ shape, dtype }));
  },
  kernel({ inputs, outputs, attributes }, gpu) {
    const [tokens, parents, sums, ancestors, hypotheses] = outputs;
    const [, , , , , logits, position, divisors, banned] = inputs;
    const { eosId, padId, minLength, earlyStopping } = attributes;
    const [batch, maxLength, beams] = tokens.shape;
    const [rows, columns] = logits.shape;
    const candidates: Scratch = { scratchBytes: 8 * rows * 2 * beams };
    return [
      {
        shader: withLanes(candidatesShader(2 * beams), gpu),
        constants: { has_banned: Number(banned !== undefined) },
        uniforms: { rows, columns, min_length: minLength, end: eosId },
        bindings: { logits, position, ...(banned && { banned }), candidates },
        workgroups: linearGrid(rows, 1),
        flops: 4 * rows * columns,
      },
      {
        shader: withLanes(stepShader(beams), gpu),
        uniforms: {
          batch,
          max_length: maxLength,
          end: eosId,
          padding: padId,
          early_stopping: Number(earlyStopping),
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

function candidatesShader(candidates: number): Shader {
  const shader = { name: "beam-candidates", source: candidatesSource };
  return withConstants(shader, { CANDIDATES: candidates });
}

function stepShader(beams: number): Shader {
  return withConstants({ name: "beam-step", source }, { BEAMS: beams });
}
