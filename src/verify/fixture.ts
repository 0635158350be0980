/**
 * A fixture directory: a model, a batch, and what the reference implementation computed from them.
 *
 * Names, shapes and ids are checked against the configuration before they reach the device: a directory
 * that does not hold together is the user's error, and never looks like a numerical miss.
 */

import { type ModelConfig, parseConfig } from "../../models/config.ts";
import {
  parameterAliases,
  parameterInventory,
  type ParameterSpecification,
} from "../../models/inventory.ts";
import type { Batch } from "../data/batch.ts";
import { UserError } from "../errors.ts";
import type { Gpu } from "../gpu/device.ts";
import { Parameters } from "../graph/parameters.ts";
import { sameShape } from "../graph/tensor.ts";
import { readSafetensors, type SafeTensor, toFloat32, toInt32 } from "../io/safetensors.ts";
import { type FileTensor, readBatch } from "./batch.ts";
import { Fields, parseJson } from "./json.ts";

/** The files of a fixture directory. Paths are relative to it and may start with `../`. */
export interface FixtureFiles {
  /** The directory, for messages. */
  readonly location: string;
  read(path: string): Promise<Uint8Array>;
  exists(path: string): Promise<boolean>;
}

/** A directory, read. Files that are not there are undefined. */
export interface Fixture {
  readonly location: string;
  readonly config: ModelConfig;
  readonly inventory: readonly ParameterSpecification[];
  readonly weights: ReadonlyMap<string, Float32Array>;
  readonly meta: Fields;
  readonly stored: Stored | undefined;
  readonly gradients: ReadonlyMap<string, FileTensor> | undefined;
  readonly gradientStatistics: Fields | undefined;
  readonly generation: Fields | undefined;
  readonly training: Training | undefined;
}

/** `io.safetensors`: a batch and what came of it. */
export interface Stored {
  readonly batch: Batch;
  readonly tensors: ReadonlyMap<string, FileTensor>;
}

/** Steps of the reference's optimiser. */
export interface Training {
  readonly record: Fields;
  readonly tensors: ReadonlyMap<string, FileTensor>;
}

/**
 * Reads a fixture directory.
 *
 * @throws {UserError} naming the file, field or tensor that is missing or wrong
 */
export async function readFixture(files: FixtureFiles): Promise<Fixture> {
  const path = (name: string) => `${files.location}/${name}`;
  const json = async (name: string) => parseJson(path(name), await files.read(name));
  const fields = async (name: string) => new Fields(path(name), await json(name));
  const tensors = async (name: string) => {
    const found = readSafetensors(await files.read(name), path(name));
    return new Map(Array.from(found, ([key, tensor]) => [key, decoded(tensor, key, path(name))]));
  };
  const optional = async <T>(name: string, read: (name: string) => Promise<T>) =>
    await files.exists(name) ? await read(name) : undefined;

  const config = parseConfig(await json("config.json"), path("config.json"));
  const meta = await fields("meta.json");
  const inventory = parameterInventory(config);
  const modelFiles = meta.texts("model_files");
  const weightFiles = await Promise.all(
    modelFiles.map(async (name) => [name, await tensors(name)] as const),
  );
  const io = await optional("io.safetensors", tensors);
  const record = await optional("train.json", fields);
  return {
    location: files.location,
    config,
    inventory,
    weights: collectWeights(new Map(weightFiles), config, inventory, files.location),
    meta,
    stored: io && {
      batch: readBatch(io, "", config, tasksIn(meta, "tasks"), path("io.safetensors")),
      tensors: io,
    },
    gradients: await optional("grads.safetensors", tensors),
    gradientStatistics: await optional("grad_stats.json", fields),
    generation: await optional("generate.json", fields),
    training: record && { record, tensors: await tensors("train.safetensors") },
  };
}

/** The task of each row, in the field of that name; none where it is absent or null. */
export function tasksIn(fields: Fields, name: string): string[] {
  return fields.has(name) ? fields.texts(name) : [];
}

/** The fixture's parameters on the device, those that `trainable` names for training. */
export function placeParameters(
  gpu: Gpu,
  { inventory, weights }: Fixture,
  trainable: (name: string) => boolean,
): Parameters {
  const descriptions = inventory.map(({ name, shape }) => ({
    name,
    shape,
    trainable: trainable(name),
  }));
  const parameters = new Parameters(gpu, descriptions);
  for (const [name, values] of weights) parameters.write(name, values);
  return parameters;
}

/** Later files win; what the model has no place for (deeper blocks of a shared file) is left out. */
function collectWeights(
  files: ReadonlyMap<string, ReadonlyMap<string, FileTensor>>,
  config: ModelConfig,
  inventory: readonly ParameterSpecification[],
  location: string,
): Map<string, Float32Array> {
  const aliases = parameterAliases(config);
  const found = new Map<string, FileTensor & { file: string }>();
  for (const [file, tensors] of files) {
    for (const [name, tensor] of tensors) {
      const parameter = aliases[name] ?? name;
      const isShadowed = parameter !== name && tensors.has(parameter);
      if (!isShadowed) found.set(parameter, { ...tensor, file });
    }
  }
  return new Map(inventory.map(({ name, shape }) => {
    const tensor = found.get(name);
    const wanted = `"${name}" [${shape.join(", ")}]`;
    if (!tensor) {
      throw new UserError(
        `${location}: the tensor ${wanted} of config.json's model is in none of ` +
          `${[...files.keys()].join(", ")}.`,
      );
    }
    if (!sameShape(tensor.shape, shape) || !(tensor.values instanceof Float32Array)) {
      const there = tensor.values instanceof Float32Array ? "floats" : "integers";
      throw new UserError(
        `${location}/${tensor.file} has ${there} [${
          tensor.shape.join(", ")
        }] where config.json asks ` +
          `for floats in ${wanted}.`,
      );
    }
    return [name, tensor.values];
  }));
}

function decoded(tensor: SafeTensor, name: string, file: string): FileTensor {
  const label = `${name} of ${file}`;
  const { dtype, shape } = tensor;
  return { shape, values: dtype === "I32" ? toInt32(tensor, label) : toFloat32(tensor, label) };
}
