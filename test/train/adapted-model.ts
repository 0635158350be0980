/** Tiny models with adapters that matter, of any mode: random weights, the embedded model's tokenizer. */

import { parseConfig } from "../../models/config.ts";
import { isAdapterParameter, parameterInventory } from "../../models/inventory.ts";
import { Random } from "../../src/data/random.ts";
import { size } from "../../src/graph/tensor.ts";
import { fromFloat32, type SafeTensor } from "../../src/io/safetensors.ts";
import { drawParameter } from "../../src/train/initialise.ts";
import { tinyConfig } from "./tiny-model.ts";

/** The fields of `config.json` of a model with two tasks, a deeper encoder, and those adapters. */
export function adaptedConfig(
  encoderAdapter: string,
  decoderAdapter: string,
  fields: Record<string, unknown> = {},
): Record<string, unknown> {
  return {
    ...tinyConfig,
    num_layers: 2,
    encoder_adapter: encoderAdapter,
    decoder_adapter: decoderAdapter,
    encoder_adapter_dim: 6,
    decoder_adapter_dim: 5,
    hypernetwork_bottleneck: 7,
    tasks: ["sst2", "rte"],
    ...fields,
  };
}

/** All its tensors. Adapters are drawn far larger than new ones, so that they change what is computed. */
export function adaptedTensors(
  fields: Record<string, unknown>,
  dtype: "F32" | "F16" | "BF16" = "F32",
): Map<string, SafeTensor> {
  const inventory = parameterInventory(parseConfig(fields, "config.json"));
  return new Map(inventory.map((parameter) => {
    const { name, shape } = parameter;
    const random = new Random(3, name);
    const values = isAdapterParameter(name)
      ? Float32Array.from({ length: size(shape) }, () => 0.3 * random.normal())
      : drawParameter(parameter, 1);
    return [name, fromFloat32(values, shape, dtype)];
  }));
}
