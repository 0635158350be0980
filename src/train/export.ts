/**
 * A trained model as a directory that stands alone and that other tools read: the reference
 * implementation's names, one file of weights, backbone and adapters merged.
 *
 * Tensors are passed on one at a time and, unless another type is asked for, byte by byte as they lie in
 * the model's own files: what is exported and loaded again is the same to the last bit.
 */

import { type ModelConfig, type Side, stackOf } from "../../models/config.ts";
import { feedForwardName, parameterInventory } from "../../models/inventory.ts";
import { UserError } from "../errors.ts";
import type { Dtype } from "../io/header.ts";
import { fromFloat32, readFloat32 } from "../io/safetensors.ts";
import { streamSafetensors } from "../io/safetensors-writer.ts";
import type { StoredTensor } from "../io/source.ts";
import { configFile } from "./config-file.ts";
import { transformersFiles, withUnmistakenHead } from "./for-transformers.ts";
import type { LinearAdapter, StaticAdapters } from "./materialise.ts";
import { besideWeights, modelFile } from "./model-files.ts";
import type { TrainedModel } from "./trained-model.ts";

/** Element types of an export, by their usual short names. */
export const EXPORT_DTYPES = { f32: "F32", f16: "F16", bf16: "BF16" } as const;

/** One of {@linkcode EXPORT_DTYPES}. */
export type ExportDtype = keyof typeof EXPORT_DTYPES;

/** Their names in PyTorch, as `config.json` has them. */
const TORCH_NAMES: Partial<Record<Dtype, string>> = {
  F32: "float32",
  F16: "float16",
  BF16: "bfloat16",
};

/**
 * The files of an export, by name. The weights are a stream; what it yields is read as it is asked for.
 *
 * @param dtype of all tensors; each its own unless told
 * @throws {UserError} from the stream, for a value that is too large for `dtype`
 */
export function exportFiles(
  model: TrainedModel,
  dtype?: ExportDtype,
): Record<string, Uint8Array | AsyncIterable<Uint8Array>> {
  const written = withUnmistakenHead(model);
  const { files, config, weights } = written;
  const tensors = new Map(
    parameterInventory(config).map(({ name }) => [
      name,
      converted(weights.get(name)!, name, dtype),
    ]),
  );
  return {
    [modelFile.config]: configFile(files.configText, config, {
      torch_dtype: torchName([...tensors.values()]),
    }),
    ...transformersFiles(written),
    ...besideWeights(files),
    // Without this entry, transformers refuses the file.
    [modelFile.weights]: streamSafetensors(tensors, { format: "pt" }),
  };
}

/** The model with fixed adapters in place of those it has or makes: `manual` in either stack. */
export function staticModel(
  { files, config, weights }: TrainedModel,
  adapters: StaticAdapters,
): TrainedModel {
  const fixed: ModelConfig = {
    ...config,
    encoderAdapter: adapters.encoder ? "manual" : "none",
    decoderAdapter: adapters.decoder ? "manual" : "none",
    tasks: [],
  };
  const own = new Map<string, StoredTensor>();
  for (const [side, layers] of Object.entries(adapters) as [Side, readonly LinearAdapter[]][]) {
    const { modelDim } = config;
    const { adapterDim } = stackOf(config, side);
    for (const [i, { downWeight, downBias, upWeight, upBias }] of layers.entries()) {
      const set = (part: string, values: Float32Array, shape: readonly number[]) =>
        own.set(`${feedForwardName(side, i)}.adapter_layer.adapter_${part}`, stored(values, shape));
      set("down_manual.weight", downWeight, [adapterDim, modelDim]);
      set("down_manual.bias", downBias, [adapterDim]);
      set("up_manual.weight", upWeight, [modelDim, adapterDim]);
      set("up_manual.bias", upBias, [modelDim]);
    }
  }
  const kept = parameterInventory(fixed).map(({ name }): [string, StoredTensor] => [
    name,
    own.get(name) ?? weights.get(name)!,
  ]);
  return { files, config: fixed, weights: new Map(kept) };
}

/** A tensor in memory as one of a file. */
function stored(values: Float32Array, shape: readonly number[]): StoredTensor {
  const { dtype, data } = fromFloat32(values, shape);
  return { dtype, shape, read: () => Promise.resolve(data) };
}

/** The tensor with another element type; itself where that is its own. */
function converted(tensor: StoredTensor, name: string, dtype?: ExportDtype): StoredTensor {
  const target = dtype && EXPORT_DTYPES[dtype];
  if (target === undefined || tensor.dtype === target) return tensor;
  const { shape } = tensor;
  const read = async () => {
    const values = await readFloat32(tensor, name);
    if (target === "F16") checkRange(values, name);
    return fromFloat32(values, shape, target).data;
  };
  return { dtype: target, shape, read };
}

/** 65,520 and beyond are rounded to infinity. */
function checkRange(values: Float32Array, name: string): void {
  const large = values.find((value) => Math.abs(value) >= 65520 && Number.isFinite(value));
  if (large === undefined) return;
  throw new UserError(
    `the tensor ${name} has the value ${large}, too large for f16: use bf16 or f32`,
  );
}

/** The one type of all tensors, or else the widest there is. */
function torchName(tensors: readonly StoredTensor[]): string {
  const [first] = tensors;
  const isOne = tensors.every(({ dtype }) => dtype === first.dtype);
  return TORCH_NAMES[isOne ? first.dtype : "F32"]!;
}
