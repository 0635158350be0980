/**
 * The Hyperdecoder: T5 with manual adapters in the encoder and generated ones in the decoder, and every
 * other combination of `none`, `manual` and `generated` that the configuration allows.
 */

import { adapter, type AdapterParameters } from "../src/graph/ops/adapter.ts";
import type { Tensor } from "../src/graph/tensor.ts";
import { condition, type Conditioning, generateAdapters } from "./hypernetwork.ts";
import { type AdaptLayer, decode, encode, type Model, project, type StackOutput } from "./t5.ts";

/** One padded batch on the device. */
export interface BatchTensors {
  /** i32[B, S]. */
  readonly inputIds: Tensor;
  /** i32[B, S]: 1 where `inputIds` is a token, 0 where it is padding. */
  readonly attentionMask: Tensor;
  /** i32[B, T]: the labels shifted right. */
  readonly decoderInputIds: Tensor;
}

/** The encoder's half: everything that is computed once per instance. */
export interface Encoded {
  readonly encoder: StackOutput;
  /** Present where the decoder's adapters are generated. */
  readonly conditioning?: Conditioning;
  /** Weights of the decoder's adapters by layer; absent without adapters. */
  readonly decoderAdapters?: readonly AdapterParameters[];
}

/** A whole forward pass. */
export interface Forward extends Encoded {
  readonly decoder: StackOutput;
  /** [B, T, V]. */
  readonly logits: Tensor;
}

/** Runs the encoder and, where the decoder's adapters are generated, the hypernetwork. */
export function encodeInstance(model: Model, inputIds: Tensor, attentionMask: Tensor): Encoded {
  const { config } = model;
  const encoderAdapters = config.encoderAdapter === "manual"
    ? manualAdapters(model, "encoder", config.encoderLayers)
    : undefined;
  const encoder = encode(model, inputIds, attentionMask, adaptWith(encoderAdapters));
  switch (config.decoderAdapter) {
    case "none":
      return { encoder };
    case "manual":
      return { encoder, decoderAdapters: manualAdapters(model, "decoder", config.decoderLayers) };
    case "generated": {
      const conditioning = condition(model, "decoder", encoder.lastHiddenState, attentionMask);
      const decoderAdapters = generateAdapters(
        model,
        "decoder",
        conditioning.input,
        config.decoderLayers,
        config.decoderAdapterDim,
      );
      return { encoder, conditioning, decoderAdapters };
    }
  }
}

/** The whole model under teacher forcing. */
export function forward(model: Model, batch: BatchTensors): Forward {
  const encoded = encodeInstance(model, batch.inputIds, batch.attentionMask);
  const decoder = decode(
    model,
    batch.decoderInputIds,
    encoded.encoder.lastHiddenState,
    batch.attentionMask,
    adaptWith(encoded.decoderAdapters),
  );
  return { ...encoded, decoder, logits: project(model, decoder.lastHiddenState) };
}

/** Adapter weights by layer → what a stack calls in every block. */
export function adaptWith(
  weights: readonly AdapterParameters[] | undefined,
): AdaptLayer | undefined {
  return weights && ((layer, x, residual) => adapter(x, weights[layer], residual));
}

/** The adapters that all instances share: Linear layers in the feed-forward sub-layer of every block. */
function manualAdapters(
  model: Model,
  side: "encoder" | "decoder",
  layers: number,
): AdapterParameters[] {
  const sublayer = side === "decoder" ? 2 : 1;
  return Array.from({ length: layers }, (_, i) => {
    const name = `${side}.block.${i}.layer.${sublayer}.adapter_layer`;
    return {
      downWeight: model.weight(`${name}.adapter_down_manual.weight`), // [A, D]
      downBias: model.weight(`${name}.adapter_down_manual.bias`),
      upWeight: model.weight(`${name}.adapter_up_manual.weight`), // [D, A]
      upBias: model.weight(`${name}.adapter_up_manual.bias`),
    };
  });
}
