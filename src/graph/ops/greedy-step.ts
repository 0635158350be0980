/**
 * Greedy decoding with all state on the device: a step is one program without inputs, so that many steps
 * go into one submit and no token is read back in between.
 */

import source from "../../../shaders/greedy-step.wgsl" with { type: "text" };
import { linearGrid } from "../dispatch.ts";
import { withLanes } from "../lanes.ts";
import { applyAll, type Op, type Tensor } from "../tensor.ts";
import {
  decodingInputs,
  type DecodingOptions,
  decodingShape,
  type DecodingState,
} from "./decoding-state.ts";

/**
 * Chooses each sequence's most probable next token (the lowest on ties) and writes it, with its
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
  const { eosId, padId, minLength } = options;
  const inputs = decodingInputs(state, [logits, position], options);
  const outputs = applyAll(greedyStepOp, inputs, { eosId, padId, minLength });
  return { finished: outputs[0], tokens: outputs[1], logProbabilities: outputs[2] };
}

const greedyStepOp: Op<Omit<DecodingOptions, "banned">> = {
  name: "greedy step",
  inPlace: [0, 1, 2],
  shape: (inputs) => decodingShape("greedy step", inputs, inputs[5]),
  kernel({ inputs, outputs: [finished, tokens, logProbabilities], attributes }, gpu) {
    const [, , , logits, position, banned] = inputs;
    const [rows, columns] = logits.shape;
    const [, maxLength, slots] = tokens.shape;
    return [{
      shader: withLanes({ name: "greedy-step", source }, gpu),
      constants: { has_banned: Number(banned !== undefined) },
      uniforms: {
        rows,
        columns,
        slots,
        max_length: maxLength,
        min_length: attributes.minLength,
        end: attributes.eosId,
        padding: attributes.padId,
      },
      bindings: {
        logits,
        position,
        ...(banned && { banned }),
        finished,
        tokens,
        log_probabilities: logProbabilities,
      },
      workgroups: linearGrid(rows, 1),
      flops: 4 * rows * columns,
    }];
  },
};
