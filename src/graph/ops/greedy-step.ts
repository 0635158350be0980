/**
 * Greedy decoding with all state on the device: a step is one program without inputs, so that many steps
 * go into one submit and no token is read back in between.
 */

import advanceSource from "../../../shaders/advance.wgsl" with { type: "text" };
import source from "../../../shaders/greedy-step.wgsl" with { type: "text" };
import { linearGrid } from "../dispatch.ts";
import { withLanes } from "../lanes.ts";
import { apply, applyAll, type Op, sameShape, ShapeError, size, type Tensor } from "../tensor.ts";

/** What a decoding has come to; all are variables. */
export interface GreedyState {
  /** i32 [B]: 1 once a row has its end token, 0 before. */
  readonly finished: Tensor;
  /** i32 [B, maxLength]: the start token at 0, then what was chosen, then padding. */
  readonly tokens: Tensor;
  /** f32 [B, maxLength]: −ln of the probability with which each token was chosen; 0 at padding. */
  readonly scores: Tensor;
}

/** Special tokens and limits. */
export interface GreedyOptions {
  readonly eosId: number;
  readonly padId: number;
  /** The end token is forbidden while a row has fewer tokens than this, the start token included. */
  readonly minLength: number;
}

/**
 * Chooses each row's most probable next token (the lowest on ties) and writes it, with its score, at
 * `position + 1`. Finished rows are padded. At maxLength, the width of `tokens`, nothing happens.
 *
 * @param logits f32 [B, V], after the token at `position`
 * @param position u32 [1]; `advance` it in the same program
 * @returns the state's new values, to be given to `compile` as effects
 */
export function greedyStep(
  logits: Tensor,
  { finished, tokens, scores }: GreedyState,
  position: Tensor,
  { eosId, padId, minLength }: GreedyOptions,
): GreedyState {
  const inputs = [finished, tokens, scores, logits, position];
  const outputs = applyAll(greedyStepOp, inputs, { eosId, padId, minLength });
  return { finished: outputs[0], tokens: outputs[1], scores: outputs[2] };
}

/** counter ← counter + 1, in place; u32 [1]. Runs after everything else that reads the counter. */
export function advance(counter: Tensor): Tensor {
  return apply(advanceOp, [counter], null);
}

const greedyStepOp: Op<GreedyOptions> = {
  name: "greedy step",
  inPlace: [0, 1, 2],
  shape(inputs) {
    const [finished, tokens, scores, logits, position] = inputs;
    const [batch] = logits.shape;
    if (logits.shape.length !== 2 || logits.dtype !== "f32") {
      throw new ShapeError("greedy step", "logits must be f32 [batch, vocabulary]", inputs);
    }
    if (finished.dtype !== "i32" || !sameShape(finished.shape, [batch])) {
      throw new ShapeError("greedy step", "finished must be i32 [batch]", inputs);
    }
    if (tokens.dtype !== "i32" || tokens.shape.length !== 2 || tokens.shape[0] !== batch) {
      throw new ShapeError("greedy step", "tokens must be i32 [batch, maxLength]", inputs);
    }
    if (scores.dtype !== "f32" || !sameShape(scores.shape, tokens.shape)) {
      throw new ShapeError("greedy step", "scores must be f32 [batch, maxLength]", inputs);
    }
    if (position.dtype !== "u32" || size(position.shape) !== 1) {
      throw new ShapeError("greedy step", "position must be u32 [1]", inputs);
    }
    return [finished, tokens, scores].map(({ shape, dtype }) => ({ shape, dtype }));
  },
  kernel({ inputs, outputs: [finished, tokens, scores], attributes }, gpu) {
    const [, , , logits, position] = inputs;
    const [rows, columns] = logits.shape;
    return [{
      shader: withLanes({ name: "greedy-step", source }, gpu),
      uniforms: {
        rows,
        columns,
        max_length: tokens.shape[1],
        min_length: attributes.minLength,
        end: attributes.eosId,
        padding: attributes.padId,
      },
      bindings: { logits, position, finished, tokens, scores },
      workgroups: linearGrid(rows, 1),
      flops: 4 * rows * columns,
    }];
  },
};

const advanceOp: Op<null> = {
  name: "advance",
  inPlace: [0],
  shape(inputs) {
    const [counter] = inputs;
    if (counter.dtype !== "u32" || size(counter.shape) !== 1) {
      throw new ShapeError("advance", "the counter must be u32 [1]", inputs);
    }
    return [{ shape: counter.shape, dtype: "u32" }];
  },
  kernel: ({ outputs: [counter] }) => [{
    shader: { name: "advance", source: advanceSource },
    bindings: { counter },
    workgroups: [1, 1, 1],
  }],
};
