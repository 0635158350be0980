/**
 * What a decoding goes by in the place of the logits: penalties on tokens that came before, growing
 * favour for the end, and forced tokens. The order is that of the logits processors of transformers.
 */

import source from "../../../shaders/adjusted-scores.wgsl" with { type: "text" };
import { linearGrid } from "../dispatch.ts";
import { withLanes } from "../lanes.ts";
import { apply, type Op, sameShape, ShapeError, size, type Tensor } from "../tensor.ts";
import { withEnds } from "./decoding-state.ts";
import { optionalInputs, type OptionalNames, optionalOperands } from "./optional.ts";

/** How scores come of logits. */
export interface AdjustedScoresOptions {
  /** Sequences of a row. */
  readonly slots: number;
  /** Most tokens of a sequence, the start token included. */
  readonly maxLength: number;
  readonly endIds: readonly number[];
  /** Begin with the logits' log-softmax, as beam search does. */
  readonly isLogarithm: boolean;
  /** Take NaN for 0 and infinities for the largest numbers. */
  readonly isFinite: boolean;
  /** After the start token, every score is 0 (and all tokens but one are banned). */
  readonly isFirstForced: boolean;
  /** The same for the last token that there is room for. */
  readonly isLastForced: boolean;
  /** Divides the scores of tokens of the sequence: negative ones are multiplied. */
  readonly penalty?: { readonly seen: Tensor; readonly by: number } | undefined;
  /** The same for tokens of the source: u32 [B, ⌈V / 32⌉]. */
  readonly sourcePenalty?: { readonly seen: Tensor; readonly by: number } | undefined;
  /** f32 [maxLength]: by position, what share of its absolute value is added to an end token's score. */
  readonly growth?: Tensor | undefined;
}

/**
 * The scores of all tokens.
 *
 * @param logits f32 [B · K, V], after the tokens at `position`
 * @param position u32 [1]
 * @returns f32 [B · K, V]
 */
export function adjustedScores(
  logits: Tensor,
  position: Tensor,
  { penalty, sourcePenalty, growth, ...attributes }: AdjustedScoresOptions,
): Tensor {
  const { tensors, optional } = optionalInputs({
    seen: penalty?.seen,
    source_seen: sourcePenalty?.seen,
    growth,
  });
  return apply(adjustedScoresOp, [logits, position, ...tensors], {
    ...attributes,
    penalty: penalty?.by ?? 1,
    sourcePenalty: sourcePenalty?.by ?? 1,
    optional,
  });
}

interface Attributes
  extends
    Omit<AdjustedScoresOptions, "penalty" | "sourcePenalty" | "growth">,
    OptionalNames<"seen" | "source_seen" | "growth"> {
  readonly penalty: number;
  readonly sourcePenalty: number;
}

const adjustedScoresOp: Op<Attributes> = {
  name: "adjusted scores",
  shape(inputs, attributes) {
    const [logits, position] = inputs;
    const { slots, maxLength } = attributes;
    const { seen, source_seen, growth } = optionalOperands(inputs, attributes);
    const fail = (message: string): never => {
      throw new ShapeError("adjusted scores", message, inputs);
    };
    if (logits.dtype !== "f32" || logits.shape.length !== 2) {
      fail("logits must be f32 [batch · slots, vocabulary]");
    }
    const batch = logits.shape[0] / slots, words = Math.ceil(logits.shape[1] / 32);
    const isOf = (tensor: Tensor, dtype: string, ...shape: number[]) =>
      tensor.dtype === dtype && sameShape(tensor.shape, shape);
    if (position.dtype !== "u32" || size(position.shape) !== 1) fail("position must be u32 [1]");
    if (seen && !isOf(seen, "u32", batch, slots, words)) {
      fail("seen must be u32 [batch, slots, ⌈vocabulary / 32⌉]");
    }
    if (source_seen && !isOf(source_seen, "u32", batch, words)) {
      fail("the source's seen must be u32 [batch, ⌈vocabulary / 32⌉]");
    }
    if (growth && !isOf(growth, "f32", maxLength)) fail("growth must be f32 [maxLength]");
    return [{ shape: logits.shape, dtype: "f32" }];
  },
  kernel({ inputs, outputs: [scores], attributes }, gpu) {
    const [logits, position] = inputs;
    const [rows, columns] = logits.shape;
    const { endIds, slots, maxLength } = attributes;
    const operands = optionalOperands(inputs, attributes);
    return [{
      shader: withEnds(withLanes({ name: "adjusted-scores", source }, gpu), endIds),
      constants: {
        has_seen: Number(operands.seen !== undefined),
        has_source: Number(operands.source_seen !== undefined),
        has_growth: Number(operands.growth !== undefined),
        is_logarithm: Number(attributes.isLogarithm),
        is_finite: Number(attributes.isFinite),
      },
      uniforms: {
        rows,
        columns,
        slots,
        max_length: maxLength,
        forced_first: Number(attributes.isFirstForced),
        forced_last: Number(attributes.isLastForced),
        penalty: attributes.penalty,
        source_penalty: attributes.sourcePenalty,
      },
      bindings: { logits, position, ...operands, scores },
      workgroups: linearGrid(rows, 1),
      flops: 4 * rows * columns,
    }];
  },
};
