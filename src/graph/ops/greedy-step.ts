/**
 * Greedy decoding with all state on the device: a step is one program without inputs, so that many steps
 * go into one submit and no token is read back in between.
 */

import source from "../../../shaders/greedy-step.wgsl" with { type: "text" };
import { linearGrid } from "../dispatch.ts";
import { withLanes } from "../lanes.ts";
import { applyAll, type Op, type Tensor } from "../tensor.ts";
import {
  type DecodingAttributes,
  decodingOperands,
  type DecodingOptions,
  decodingShape,
  type DecodingState,
  withEnds,
} from "./decoding-state.ts";
import { optionalOperands } from "./optional.ts";

/**
 * Chooses each sequence's next token, that of the highest score (the lowest on ties), and writes it, with its
 * log-probabilities, at `position + 1`. Finished sequences are padded. At maxLength nothing happens.
 *
 * @param logits f32 [B · K, V], after the tokens at `position`
 * @param position u32 [1]; `advance` it in the same program
 * @returns the state's new values, to be given to `compile` as effects
 */
export function greedyStep(
  logits: Tensor,
  state: DecodingState,
  position: Tensor,
  options: DecodingOptions,
): DecodingState {
  const { finished, tokens, logProbabilities } = state;
  const reads = [finished, tokens, logProbabilities, logits, position];
  const { inputs, attributes } = decodingOperands(reads, options);
  const outputs = applyAll(greedyStepOp, inputs, attributes);
  return { finished: outputs[0], tokens: outputs[1], logProbabilities: outputs[2] };
}

const greedyStepOp: Op<DecodingAttributes<DecodingOptions>> = {
  name: "greedy step",
  inPlace: [0, 1, 2],
  shape: (inputs, attributes) =>
    decodingShape("greedy step", inputs, optionalOperands(inputs, attributes)),
  kernel({ inputs, outputs: [finished, tokens, logProbabilities], attributes }, gpu) {
    const [, , , logits, position] = inputs;
    const { endIds, padId, minLength } = attributes;
    const operands = optionalOperands(inputs, attributes);
    const [rows, columns] = logits.shape;
    const [, maxLength, slots] = tokens.shape;
    return [{
      shader: withEnds(withLanes({ name: "greedy-step", source }, gpu), endIds),
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
      },
      bindings: {
        logits,
        position,
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
