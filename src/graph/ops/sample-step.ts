/**
 * Sampling with all state on the device, as `greedyStep`: temperature, then the k likeliest tokens (Fan et
 * al. 2018), then the nucleus (Holtzman et al. 2020).
 */

import source from "../../../shaders/sample-step.wgsl" with { type: "text" };
import { linearGrid } from "../dispatch.ts";
import { withLanes } from "../lanes.ts";
import { applyAll, type Op, sameShape, ShapeError, type Tensor } from "../tensor.ts";
import {
  type DecodingAttributes,
  decodingOperands,
  type DecodingOptions,
  decodingShape,
  type DecodingState,
  withEnds,
} from "./decoding-state.ts";
import { optionalOperands } from "./optional.ts";

/** What tokens are drawn from. */
export interface SampleStepOptions extends DecodingOptions {
  /** What logits are divided by, above 0. */
  readonly temperature: number;
  /** How many of the likeliest tokens remain, and all that equal the last of them; 0 for all. */
  readonly topK: number;
  /** Of those the fewest remain whose probabilities sum up to this, the likeliest first; 1 for all. */
  readonly topP: number;
}

/**
 * Draws each sequence's next token and writes it, with its log-probabilities, at `position + 1`. Finished
 * sequences are padded. At maxLength nothing happens.
 *
 * @param logits f32 [B · K, V], after the tokens at `position`
 * @param position u32 [1]; `advance` it in the same program
 * @param random u32 [2 + B]: two words of a seed, then a number for each row, on which (with slot and
 * position) its draws depend
 * @returns the state's new values, to be given to `compile` as effects
 */
export function sampleStep(
  logits: Tensor,
  state: DecodingState,
  position: Tensor,
  random: Tensor,
  options: SampleStepOptions,
): DecodingState {
  const { finished, tokens, logProbabilities } = state;
  const reads = [finished, tokens, logProbabilities, logits, position, random];
  const { inputs, attributes } = decodingOperands(reads, options);
  const outputs = applyAll(sampleStepOp, inputs, attributes);
  return { finished: outputs[0], tokens: outputs[1], logProbabilities: outputs[2] };
}

const sampleStepOp: Op<DecodingAttributes<SampleStepOptions>> = {
  name: "sample step",
  inPlace: [0, 1, 2],
  shape(inputs, attributes) {
    const [, tokens, , , , random] = inputs;
    const types = decodingShape("sample step", inputs, optionalOperands(inputs, attributes));
    if (random.dtype !== "u32" || !sameShape(random.shape, [2 + tokens.shape[0]])) {
      throw new ShapeError("sample step", "random must be u32 [2 + batch]", inputs);
    }
    return types;
  },
  kernel({ inputs, outputs: [finished, tokens, logProbabilities], attributes }, gpu) {
    const [, , , logits, position, random] = inputs;
    const { endIds, padId, minLength, topK, topP, temperature } = attributes;
    const operands = optionalOperands(inputs, attributes);
    const [rows, columns] = logits.shape;
    const [, maxLength, slots] = tokens.shape;
    return [{
      shader: withEnds(withLanes({ name: "sample-step", source }, gpu), endIds),
      constants: {
        has_banned: Number("banned" in operands),
        has_scores: Number("scores" in operands),
      },
      uniforms: {
        rows,
        columns,
        slots,
        max_length: maxLength,
        min_length: minLength,
        padding: padId,
        top_k: topK,
        top_p: topP,
        temperature,
      },
      bindings: {
        logits,
        position,
        random,
        ...operands,
        finished,
        tokens,
        log_probabilities: logProbabilities,
      },
      workgroups: linearGrid(rows, 1),
      flops: 4 * rows * columns,
    }];
  },
};
