/**
 * Adapters as the `adapters` library (AdapterHub) keeps them: `adapter_config.json` with the fields of its
 * `BnConfig`, and `adapter.safetensors`.
 *
 * Its parallel bottleneck adapter of a feed-forward layer is this project's, to the letter: y = h + FF(norm
 * (h)) + up(relu(down(h))), with h un-normalised. Adapters that read the normed input have no such form: the
 * norm that the library can put before an adapter is LayerNorm, not T5's.
 */

import { type ModelConfig, type Side, stackOf } from "../../models/config.ts";
import { feedForwardName } from "../../models/inventory.ts";
import { UserError } from "../errors.ts";
import { fromFloat32, type SafeTensor, writeSafetensors } from "../io/safetensors.ts";
import type { LinearAdapter, StaticAdapters } from "./materialise.ts";

/** The files of an adapter. */
export const adapterFile = {
  config: "adapter_config.json",
  weights: "adapter.safetensors",
} as const;

/** Version of the library whose `BnConfig` is written. */
const VERSION = "adapters.1.3.0";

/** Checks that a model's adapters have this form. @throws {UserError} if they have not */
export function checkAdapterHub({ encoderAdapter, decoderAdapter, adapterNormInput }: ModelConfig) {
  if (encoderAdapter === "none" && decoderAdapter === "none") {
    throw new UserError("the model has no adapters to export: leave --adapters-of out");
  }
  if (adapterNormInput) {
    throw new UserError(
      "adapters that read the normed input have no AdapterHub form, whose own norm is another one: " +
        "use --static, which keeps them in a model",
    );
  }
}

/**
 * The files of one adapter.
 *
 * @param name of the adapter in the library, without a dot
 * @param about what else to say of it in its configuration
 */
export function adapterHubFiles(
  name: string,
  config: ModelConfig,
  adapters: StaticAdapters,
  about: Readonly<Record<string, unknown>> = {},
): Record<string, Uint8Array> {
  const text = JSON.stringify(
    {
      ...about,
      config: bottleneckConfig(config),
      hidden_size: config.modelDim,
      model_class: "T5ForConditionalGeneration",
      model_name: "",
      model_type: "t5",
      name,
      version: VERSION,
    },
    null,
    2,
  );
  // The library wants a float here, which JSON would spell as an integer.
  const spelled = text.replace('"scaling": 1', '"scaling": 1.0');
  return {
    [adapterFile.config]: new TextEncoder().encode(`${spelled}\n`),
    [adapterFile.weights]: writeSafetensors(adapterTensors(name, config, adapters)),
  };
}

/** The fields of `BnConfig`. Its layers are counted through both stacks, the encoder's first. */
function bottleneckConfig(config: ModelConfig): Record<string, unknown> {
  const { encoderLayers, decoderLayers, modelDim } = config;
  const encoder = Array.from({ length: encoderLayers }, (_, i) => i);
  const decoder = Array.from({ length: decoderLayers }, (_, i) => encoderLayers + i);
  const without = (side: Side) => stackOf(config, side).mode === "none";
  const [first, second] = [config.encoderAdapterDim, config.decoderAdapterDim]
    .map((dim) => reductionFactor(modelDim, dim));
  const factor = without("encoder")
    ? second
    : without("decoder") || first === second
    ? first
    : { default: first, ...Object.fromEntries(decoder.map((layer) => [layer, second])) };
  return {
    mh_adapter: false,
    output_adapter: true,
    cross_adapter: false,
    reduction_factor: factor,
    non_linearity: "relu",
    is_parallel: true,
    scaling: 1,
    use_gating: false,
    dropout: 0,
    original_ln_before: false,
    original_ln_after: true,
    ln_before: false,
    ln_after: false,
    residual_before_ln: true,
    adapter_residual_before_ln: false,
    init_weights: "bert",
    inv_adapter: null,
    inv_adapter_reduction_factor: null,
    phm_layer: false,
    leave_out: [...without("encoder") ? encoder : [], ...without("decoder") ? decoder : []],
  };
}

/** A factor by which the library's floor(modelDim / factor) is the adapter's size, rounding or not. */
function reductionFactor(modelDim: number, adapterDim: number): number {
  const factor = modelDim / adapterDim;
  const floored = Math.round((modelDim - modelDim % factor) / factor);
  return floored === adapterDim ? factor : modelDim / (adapterDim + 0.5);
}

function adapterTensors(
  name: string,
  config: ModelConfig,
  adapters: StaticAdapters,
): Map<string, SafeTensor> {
  const tensors = new Map<string, SafeTensor>();
  for (const [side, layers] of Object.entries(adapters) as [Side, readonly LinearAdapter[]][]) {
    const { modelDim } = config;
    const { adapterDim } = stackOf(config, side);
    for (const [i, { downWeight, downBias, upWeight, upBias }] of layers.entries()) {
      const set = (part: string, values: Float32Array, shape: readonly number[]) =>
        tensors.set(
          `${feedForwardName(side, i)}.adapters.${name}.adapter_${part}`,
          fromFloat32(values, shape),
        );
      set("down.0.weight", downWeight, [adapterDim, modelDim]);
      set("down.0.bias", downBias, [adapterDim]);
      set("up.weight", upWeight, [modelDim, adapterDim]);
      set("up.bias", upBias, [modelDim]);
    }
  }
  return tensors;
}
