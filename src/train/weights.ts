/**
 * Checkpoint files → parameters on the device.
 *
 * All tensors of all files are held against the model's inventory before anything is placed, so a model
 * is loaded whole or not at all. Only adapters and hypernetworks may be absent: they are drawn anew. The
 * elements are then read a tensor at a time, so that a model may be larger than the host's memory.
 */

import type { ModelConfig } from "../../models/config.ts";
import { isAdapterParameter, parameterInventory } from "../../models/inventory.ts";
import { suggestion, UserError } from "../errors.ts";
import type { Gpu } from "../gpu/device.ts";
import { Parameters } from "../graph/parameters.ts";
import { sameShape, size } from "../graph/tensor.ts";
import { readFloat16, readFloat32 } from "../io/safetensors.ts";
import { byteLength, type StoredTensor } from "../io/source.ts";
import { drawParameter } from "./initialise.ts";
import { storageOf, type WeightStorage } from "./storage.ts";

/** The tensors of one file, or of the files of one index. */
export interface WeightFile {
  /** Its path, for error messages. */
  readonly name: string;
  readonly tensors: ReadonlyMap<string, StoredTensor>;
  /** Tensors that the index lists and their file lacks, with the file's name. */
  readonly absent?: ReadonlyMap<string, string>;
}

/** Where the tensors of a model come from, by parameter name. */
export type Weights = ReadonlyMap<string, StoredTensor>;

/**
 * A tensor that T5 checkpoints of the first hour carry and no implementation uses: the position bias
 * of cross-attention, which T5 has none of.
 */
const UNUSED = "decoder.block.0.layer.1.EncDecAttention.relative_attention_bias.weight";

/**
 * Finds the tensor of every parameter. Later files win.
 *
 * @param files with every matrix under one name, see `settleEmbeddings`
 * @returns by parameter name; without the adapters' parameters that no file has
 * @throws {UserError} naming file and tensor for one that is unknown, of another shape, not of a
 * floating-point type, or missing
 */
export function matchWeights(config: ModelConfig, files: readonly WeightFile[]): Weights {
  const inventory = new Map(
    parameterInventory(config).map((parameter) => [parameter.name, parameter]),
  );
  const found = new Map<string, StoredTensor>();
  for (const { name: file, tensors, absent = [] } of files) {
    for (const [name, tensor] of tensors) {
      if (name === UNUSED) continue;
      const parameter = inventory.get(name);
      if (parameter === undefined) {
        throw new UserError(
          `${file}: a model of this configuration has no tensor ${name}` +
            (explanation(name) ?? suggestion(name, inventory.keys())),
        );
      }
      if (!sameShape(parameter.shape, tensor.shape)) {
        throw new UserError(
          `${file}: the tensor ${name} is [${tensor.shape.join(", ")}], ` +
            `but the configuration asks for [${parameter.shape.join(", ")}]`,
        );
      }
      if (!["F32", "F16", "BF16"].includes(tensor.dtype)) {
        throw new UserError(
          `${file}: the tensor ${name} is ${tensor.dtype} where F32, F16 or BF16 is needed`,
        );
      }
      found.set(name, tensor);
    }
    for (const [name, shard] of absent) {
      if (name === UNUSED) continue;
      throw new UserError(
        `${file}: the tensor ${name} should be in ${shard}, which does not have it: ` +
          `are they of one checkpoint?`,
      );
    }
  }
  const missing = [...inventory.keys()]
    .filter((name) => !found.has(name) && !isAdapterParameter(name));
  if (missing.length > 0) {
    const others = missing.length > 1 ? ` and ${missing.length - 1} more` : "";
    const where = files.map(({ name }) => name).join(", ");
    const remedy = missing[0] === "lm_head.weight"
      ? `, since config.json says that tie_word_embeddings is false: if the head is the matrix of the ` +
        `embeddings, as transformers 5 then takes it, say there that tie_word_embeddings is true and ` +
        `scale_decoder_outputs false`
      : "";
    throw new UserError(
      `${where}: the tensor ${missing[0]}${others} of the model is missing${remedy}`,
    );
  }
  return found;
}

/** What a tensor that T5 does not have belongs to, where its name tells. */
function explanation(name: string): string | undefined {
  if (/\blora_|\bbase_layer\./.test(name)) {
    return ": it is of a LoRA adapter; merge that into the model (merge_and_unload of PEFT) and save it";
  }
  if (/\.(SCB|absmax|quant_state\S*|qweight|qzeros|scales|g_idx)$/.test(name)) {
    return ": it is of quantised weights, which are not read; save the model in f32, f16 or bf16";
  }
  return undefined;
}

/** Bytes sent to the device between two waits: WebGPU keeps a copy of all that it has not yet done. */
const PENDING_BYTES = 2 ** 26;

/** How far loading has come. */
export interface LoadProgress {
  /** Elements that are on the device. */
  readonly done: number;
  /** Elements of the model. */
  readonly total: number;
  /** What is read of files in all. */
  readonly bytes: number;
}

/** How a model's parameters are placed. */
export interface Placing {
  /** Which parameters training changes; none unless told. */
  readonly trainable?: (name: string) => boolean;
  /** Seed of what is drawn; 0 unless told. */
  readonly seed?: number;
  /** How the frozen matrices are stored; unless told, in f16 where that costs nothing. */
  readonly storage?: WeightStorage;
  /** Is told from time to time, and at the end. */
  readonly onProgress?: ((progress: LoadProgress) => void) | undefined;
}

/**
 * Puts a model's parameters on the device, those without a tensor drawn anew.
 *
 * @throws {UserError} if a file cannot be read, or was changed since it was opened
 */
export async function placeWeights(
  gpu: Gpu,
  config: ModelConfig,
  weights: Weights,
  { trainable = () => false, seed = 0, storage = "auto", onProgress }: Placing = {},
): Promise<Parameters> {
  const inventory = parameterInventory(config);
  const parameters = new Parameters(
    gpu,
    inventory.map(({ name, shape }) => {
      const description = { name, shape, trainable: trainable(name) };
      const dtype = weights.get(name)?.dtype;
      return { ...description, storage: storageOf(gpu, storage, { ...description, dtype }) };
    }),
  );
  const total = inventory.reduce((sum, { shape }) => sum + size(shape), 0);
  const bytes = [...weights.values()].reduce((sum, tensor) => sum + byteLength(tensor), 0);
  try {
    let done = 0, pending = 0;
    for (const specification of inventory) {
      const { name, shape } = specification;
      const tensor = weights.get(name);
      if (tensor?.dtype === "F16") parameters.writeHalf(name, await readFloat16(tensor));
      else if (tensor) parameters.write(name, await readFloat32(tensor, name));
      else parameters.write(name, drawParameter(specification, seed));
      done += size(shape);
      pending += 4 * size(shape);
      if (pending < PENDING_BYTES && done < total) continue;
      gpu.device.queue.submit([]); // sets what was written in motion
      await gpu.device.queue.onSubmittedWorkDone();
      gpu.assertHealthy("loading the model");
      pending = 0;
      onProgress?.({ done, total, bytes });
    }
  } catch (error) {
    parameters.destroy();
    throw error;
  }
  return parameters;
}
