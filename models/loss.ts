/**
 * The training loss, from the decoder's states, without the logits of a whole batch ever being in memory.
 *
 * Logits are the largest tensor of all: 512 tokens of T5's vocabulary are 66 MB, their gradient as much
 * again. Both are needed only between two products, so rows go through LM head, loss and back in chunks,
 * which then take turns in the same memory: execution is depth-first, so a program that lists gradients
 * before the loss finishes a chunk before it begins the next. Chunks are of rows, not of the vocabulary: a row's softmax is complete in its chunk,
 * so nothing is computed twice; the price is that each chunk reads the head's weights again.
 */

import { add } from "../src/graph/ops/add.ts";
import {
  type LabelSmoothedLoss,
  labelSmoothedLoss,
  type LabelSmoothedLossOptions,
} from "../src/graph/ops/label-smoothed-loss.ts";
import { reshape } from "../src/graph/ops/reshape.ts";
import { split } from "../src/graph/ops/split.ts";
import { size, type Tensor } from "../src/graph/tensor.ts";
import { type Model, project } from "./t5.ts";

/** Bytes of logits in memory at once: large enough for efficient products, whatever the vocabulary. */
export const CHUNK_BYTES = 32 * 2 ** 20;

/**
 * Label-smoothed cross-entropy of the decoder's predictions, summed over labels that are not padding.
 *
 * @param hidden the decoder's last hidden state [B, T, D]
 * @param labels i32[B, T]
 * @param chunkBytes most bytes of logits at a time
 */
export function projectedLoss(
  model: Model,
  hidden: Tensor,
  labels: Tensor,
  options: LabelSmoothedLossOptions,
  chunkBytes: number = CHUNK_BYTES,
): LabelSmoothedLoss {
  const rows = size(labels.shape);
  const lengths = chunkLengths(rows, 4 * model.config.vocabSize, chunkBytes);
  const states = split(reshape(hidden, [rows, model.config.modelDim]), lengths);
  const targets = split(reshape(labels, [rows]), lengths);
  const losses = states.map((state, i) =>
    labelSmoothedLoss(project(model, state), targets[i], options)
  );
  return {
    loss: losses.map(({ loss }) => loss).reduce((sum, loss) => add(sum, loss)),
    sums: losses.map(({ sums }) => sums).reduce((sum, sums) => add(sum, sums)),
  };
}

/** Rows of each chunk: whole multiples of 64, so that every chunk begins where a binding may, but the last. */
function chunkLengths(rows: number, rowBytes: number, chunkBytes: number): number[] {
  const chunks = Math.ceil(rows * rowBytes / chunkBytes);
  const length = Math.min(rows, 64 * Math.ceil(rows / chunks / 64));
  const lengths: number[] = [];
  for (let rest = rows; rest > 0; rest -= length) lengths.push(Math.min(length, rest));
  return lengths;
}
