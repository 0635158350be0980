/**
 * Checkpoint files → parameters on the device.
 *
 * All tensors of all files are held against the model's inventory before anything is placed, so a model
 * is loaded whole or not at all. Only adapters and hypernetworks may be absent: they are drawn anew.
 */

import type { ModelConfig } from "../../models/config.ts";
import {
  isAdapterParameter,
  parameterAliases,
  parameterInventory,
} from "../../models/inventory.ts";
import { suggestion, UserError } from "../errors.ts";
import type { Gpu } from "../gpu/device.ts";
import { Parameters } from "../graph/parameters.ts";
import { sameShape } from "../graph/tensor.ts";
import { type SafeTensor, toFloat32 } from "../io/safetensors.ts";
import { drawParameter } from "./initialise.ts";

/** The tensors of one file. */
export interface WeightFile {
  /** Its path, for error messages. */
  readonly name: string;
  readonly tensors: ReadonlyMap<string, SafeTensor>;
}

/** Where the tensors of a model come from. */
export type Weights = ReadonlyMap<string, SafeTensor>;

/**
 * A tensor that T5 checkpoints of the first hour carry and no implementation uses: the position bias
 * of cross-attention, which T5 has none of.
 */
const UNUSED = "decoder.block.0.layer.1.EncDecAttention.relative_attention_bias.weight";

/**
 * Finds the tensor of every parameter. Aliases of a shared tensor are accepted; later files win.
 *
 * @returns by parameter name; without the adapters' parameters that no file has
 * @throws {UserError} naming file and tensor for one that is unknown, of another shape, not of a
 * floating-point type, or missing
 */
export function matchWeights(config: ModelConfig, files: readonly WeightFile[]): Weights {
  const inventory = new Map(
    parameterInventory(config).map((parameter) => [parameter.name, parameter]),
  );
  const aliases = parameterAliases(config);
  const found = new Map<string, SafeTensor>();
  for (const { name: file, tensors } of files) {
    for (const [given, tensor] of tensors) {
      const name = inventory.has(given) ? given : aliases[given];
      if (given === UNUSED || (name !== given && tensors.has(name))) continue;
      const parameter = inventory.get(name);
      if (parameter === undefined) {
        throw new UserError(
          `${file}: a model of this configuration has no tensor ${given}` +
            suggestion(given, inventory.keys()),
        );
      }
      if (!sameShape(parameter.shape, tensor.shape)) {
        throw new UserError(
          `${file}: the tensor ${given} is [${tensor.shape.join(", ")}], ` +
            `but the configuration asks for [${parameter.shape.join(", ")}]`,
        );
      }
      if (!["F32", "F16", "BF16"].includes(tensor.dtype)) {
        throw new UserError(
          `${file}: the tensor ${given} is ${tensor.dtype} where F32, F16 or BF16 is needed`,
        );
      }
      found.set(name, tensor);
    }
  }
  const missing = [...inventory.keys()]
    .filter((name) => !found.has(name) && !isAdapterParameter(name));
  if (missing.length > 0) {
    const others = missing.length > 1 ? ` and ${missing.length - 1} more` : "";
    const where = files.map(({ name }) => name).join(", ");
    throw new UserError(`${where}: the tensor ${missing[0]}${others} of the model is missing`);
  }
  return found;
}

/**
 * Puts a model's parameters on the device, those without a tensor drawn anew.
 *
 * @param trainable which parameters training changes
 * @param seed of what is drawn
 */
export function placeWeights(
  gpu: Gpu,
  config: ModelConfig,
  weights: Weights,
  trainable: (name: string) => boolean,
  seed: number,
): Parameters {
  const inventory = parameterInventory(config);
  const parameters = new Parameters(
    gpu,
    inventory.map(({ name, shape }) => ({ name, shape, trainable: trainable(name) })),
  );
  for (const specification of inventory) {
    const { name } = specification;
    const tensor = weights.get(name);
    parameters.write(name, tensor ? toFloat32(tensor, name) : drawParameter(specification, seed));
  }
  return parameters;
}
