/**
 * A trainer's snapshot as the files of a checkpoint, and back.
 *
 * The files are a model's directory (see `model-files.ts`) with `optimizer.safetensors` beside it: what
 * evaluation reads is what training resumes from. After adapter training they hold the adapters alone
 * and refer to the backbone; after full training they stand alone.
 */

import type { ModelConfig } from "../../models/config.ts";
import { UserError } from "../errors.ts";
import { jsonFile } from "../io/json.ts";
import type { Parameters } from "../graph/parameters.ts";
import { sameShape, type Shape } from "../graph/tensor.ts";
import { fromFloat32, openSafetensors, readFloat32, writeSafetensors } from "../io/safetensors.ts";
import type { ByteSource } from "../io/source.ts";
import { configFile } from "./config-file.ts";
import { besideWeights, modelFile, type ModelFiles } from "./model-files.ts";
import type { Snapshot, Trainer } from "./trainer.ts";

const optimizerFile = "optimizer.safetensors";

/**
 * The files of a checkpoint.
 *
 * @param base the model that training began from
 * @param trainer whose snapshot it is
 * @param frozen what is not trained, where no other file has it: the checkpoint then stands alone
 */
export async function snapshotFiles(
  snapshot: Snapshot,
  config: ModelConfig,
  base: ModelFiles,
  trainer: Trainer,
  frozen: ReadonlyMap<string, Float32Array> = new Map(),
): Promise<Record<string, Uint8Array>> {
  const { descriptions } = trainer.parameters;
  const weights = new Map([...snapshot.parameters, ...frozen]);
  const saved = descriptions.filter(({ name }) => weights.has(name));
  const packed = (values: ReadonlyMap<string, Float32Array>, shapes: ReadonlyMap<string, Shape>) =>
    writeSafetensors(
      new Map(
        Array.from(shapes, ([name, shape]) => [name, fromFloat32(values.get(name)!, shape)]),
      ),
    );
  const standsAlone = saved.length === descriptions.length;
  return {
    [modelFile.config]: configFile(base.configText, config, { torch_dtype: "float32" }),
    [modelFile.weights]: packed(weights, shapesOf(saved)),
    ...(standsAlone
      ? besideWeights(base)
      : { [modelFile.backbone]: jsonFile(await base.reference()) }),
    [optimizerFile]: packed(snapshot.optimizer, trainer.optimizerShapes),
  };
}

/**
 * The snapshot in the files of a checkpoint.
 *
 * @param trainer who shall go on from it
 * @param location names the checkpoint in errors
 * @throws {UserError} naming file and tensor if what is trained differs from what was saved
 */
export async function readSnapshot(
  files: Readonly<Record<string, ByteSource>>,
  step: number,
  trainer: Trainer,
  location: string,
): Promise<Snapshot> {
  const read = async (file: string, shapes: ReadonlyMap<string, Shape>) => {
    const path = `${location}/${file}`;
    if (files[file] === undefined) {
      throw new UserError(`${path} is missing: use another checkpoint`);
    }
    const tensors = await openSafetensors(files[file]);
    const values = new Map<string, Float32Array>();
    for (const [name, shape] of shapes) {
      const tensor = tensors.get(name);
      if (tensor === undefined || !sameShape(tensor.shape, shape)) {
        const found = tensor === undefined ? "is missing" : `is [${tensor.shape.join(", ")}]`;
        throw new UserError(
          `${path}: the tensor ${name} ${found}, but training needs it as [${shape.join(", ")}]`,
        );
      }
      values.set(name, await readFloat32(tensor, name));
    }
    return values;
  };
  return {
    step,
    parameters: await read(
      modelFile.weights,
      shapesOf(trainer.parameters.descriptions.filter(({ trainable }) => trainable)),
    ),
    optimizer: await read(optimizerFile, trainer.optimizerShapes),
  };
}

function shapesOf(descriptions: Parameters["descriptions"]): Map<string, Shape> {
  return new Map(descriptions.map(({ name, shape }) => [name, shape]));
}
