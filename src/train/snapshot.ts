/**
 * A trainer's snapshot as the files of a checkpoint, and back.
 *
 * The files are a model's directory (see `model-files.ts`) with `optimizer.safetensors` beside it: what
 * evaluation reads is what training resumes from. After adapter training they hold the adapters alone
 * and refer to the backbone; after full training they stand alone.
 */

import { formatConfig, type ModelConfig } from "../../models/config.ts";
import { UserError } from "../errors.ts";
import type { Parameters } from "../graph/parameters.ts";
import { sameShape } from "../graph/tensor.ts";
import {
  fromFloat32,
  readSafetensors,
  type SafeTensor,
  toFloat32,
  writeSafetensors,
} from "../io/safetensors.ts";
import { modelFile, type ModelFiles } from "./model-files.ts";
import type { Snapshot } from "./trainer.ts";

const optimizerFile = "optimizer.safetensors";
const first = "first_moment.", second = "second_moment.";

/**
 * The files of a checkpoint.
 *
 * @param base the model that training began from
 * @param parameters the model's, for their shapes
 */
export function snapshotFiles(
  snapshot: Snapshot,
  config: ModelConfig,
  base: ModelFiles,
  parameters: Parameters,
): Record<string, Uint8Array> {
  const trainable = parameters.descriptions.filter(({ trainable }) => trainable);
  const tensors = (values: ReadonlyMap<string, Float32Array>, prefix = "") =>
    trainable.map(({ name, shape }): [string, SafeTensor] => [
      prefix + name,
      fromFloat32(values.get(name)!, shape),
    ]);
  const standsAlone = trainable.length === parameters.descriptions.length;
  return {
    [modelFile.config]: json(formatConfig(config)),
    [modelFile.weights]: writeSafetensors(new Map(tensors(snapshot.parameters))),
    ...(standsAlone ? base.tokenizerFiles : { [modelFile.backbone]: json(base.reference) }),
    [optimizerFile]: writeSafetensors(
      new Map([
        ...tensors(snapshot.firstMoments, first),
        ...tensors(snapshot.secondMoments, second),
      ]),
    ),
  };
}

/**
 * The snapshot in the files of a checkpoint.
 *
 * @param location names the checkpoint in errors
 * @throws {UserError} naming file and tensor if what is trained differs from what was saved
 */
export function readSnapshot(
  files: Readonly<Record<string, Uint8Array>>,
  step: number,
  parameters: Parameters,
  location: string,
): Snapshot {
  const read = (file: string, prefixes: readonly string[]) => {
    const name = `${location}/${file}`;
    if (files[file] === undefined) {
      throw new UserError(`${name} is missing: use another checkpoint`);
    }
    const tensors = readSafetensors(files[file], name);
    const trainable = parameters.descriptions.filter(({ trainable }) => trainable);
    return prefixes.map((prefix) =>
      new Map(trainable.map(({ name: parameter, shape }) => {
        const tensor = tensors.get(prefix + parameter);
        if (tensor === undefined || !sameShape(tensor.shape, shape)) {
          const found = tensor === undefined ? "is missing" : `is [${tensor.shape.join(", ")}]`;
          throw new UserError(
            `${name}: the tensor ${prefix}${parameter} ${found}, but training needs it as ` +
              `[${shape.join(", ")}]`,
          );
        }
        return [parameter, toFloat32(tensor, parameter)];
      }))
    );
  };
  const [values] = read(modelFile.weights, [""]);
  const [firstMoments, secondMoments] = read(optimizerFile, [first, second]);
  return { step, parameters: values, firstMoments, secondMoments };
}

function json(value: object): Uint8Array {
  return new TextEncoder().encode(`${JSON.stringify(value, null, 2)}\n`);
}
