/**
 * The batches of a fixture, checked before they reach a kernel: an id outside the vocabulary would be
 * read from beyond the embedding's end.
 */

import { type ModelConfig, needsTasks } from "../../models/config.ts";
import type { Batch } from "../data/batch.ts";
import { UserError } from "../errors.ts";
import { sameShape } from "../graph/tensor.ts";
import type { Values } from "./comparison.ts";

/** A tensor of a file that holds integers or floats. */
export interface FileTensor extends Values {
  readonly values: Float32Array | Int32Array;
}

/**
 * Reads a batch.
 *
 * @param tensors those of the file
 * @param prefix what stands before `input_ids`, `attention_mask` and `labels` in their names
 * @param tasks each row's, where the model's adapters depend on it
 * @param file for errors
 * @throws {UserError} naming the tensor that is missing or does not fit
 */
export function readBatch(
  tensors: ReadonlyMap<string, FileTensor>,
  prefix: string,
  config: ModelConfig,
  tasks: readonly string[],
  file: string,
): Batch {
  const ids = (name: string) => readIds(tensors, `${prefix}${name}`, file);
  const inputs = ids("input_ids"), mask = ids("attention_mask"), labels = ids("labels");
  for (const name of ["input_ids", "labels"]) {
    const wrong = ids(name).values.find((id) => id < 0 || id >= config.vocabSize);
    if (wrong !== undefined) {
      throw new UserError(
        `${file}: "${prefix}${name}" holds the id ${wrong}, but the vocabulary has ${config.vocabSize}.`,
      );
    }
  }
  const [batchSize, sourceLength] = inputs.shape;
  const [rows, targetLength] = labels.shape;
  if (!sameShape(inputs.shape, mask.shape) || rows !== batchSize) {
    throw new UserError(
      `${file}: "${prefix}input_ids" [${inputs.shape}], "${prefix}attention_mask" [${mask.shape}] and ` +
        `"${prefix}labels" [${labels.shape}] are not of one batch.`,
    );
  }
  if (needsTasks(config) && tasks.length !== batchSize) {
    throw new UserError(
      `${file}: the ${batchSize} rows of "${prefix}input_ids" need a task each, not ${tasks.length}.`,
    );
  }
  const count = (ids: Int32Array) => ids.filter((id) => id !== config.padId).length;
  return {
    inputIds: inputs.values,
    attentionMask: mask.values,
    labels: labels.values,
    batchSize,
    sourceLength,
    targetLength,
    tasks,
    sourceTokens: count(inputs.values),
    targetTokens: count(labels.values),
    truncated: 0,
  };
}

function readIds(tensors: ReadonlyMap<string, FileTensor>, name: string, file: string) {
  const tensor = tensors.get(name);
  if (!tensor) throw new UserError(`${file}: the tensor "${name}" is missing.`);
  const { shape, values } = tensor;
  if (shape.length !== 2 || values.length === 0 || !(values instanceof Int32Array)) {
    throw new UserError(`${file}: the tensor "${name}" must be I32 with two axes, not empty.`);
  }
  return { shape, values };
}
