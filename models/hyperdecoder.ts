/**
 * The Hyperdecoder and its relatives: T5 with adapters in either stack, whose weights come from where the
 * configuration says. The paper's model has manual ones in the encoder and generated ones in the decoder.
 *
 * Wherever they come from, a stack sees adapters of one of two layouts, one for all rows or one for each,
 * and does not know the difference.
 */

import { adapter, type AdapterParameters } from "../src/graph/ops/adapter.ts";
import { embedding } from "../src/graph/ops/embedding.ts";
import { reshape } from "../src/graph/ops/reshape.ts";
import type { Tensor } from "../src/graph/tensor.ts";
import { type Side, stackOf } from "./config.ts";
import {
  type Conditioning,
  conditionOnInstance,
  conditionOnTask,
  generateAdapters,
} from "./hypernetwork.ts";
import { type AdaptLayer, decode, encode, type Model, project, type StackOutput } from "./t5.ts";

/** What the encoder reads. */
export interface SourceTensors {
  /** i32[B, S]. */
  readonly inputIds: Tensor;
  /** i32[B, S]: 1 where `inputIds` is a token, 0 where it is padding. */
  readonly attentionMask: Tensor;
  /** i32[B]: each row's task as its place in the configuration's list, for adapters that depend on it. */
  readonly taskIds?: Tensor;
}

/** One padded batch on the device. */
export interface BatchTensors extends SourceTensors {
  /** i32[B, T]: the labels shifted right. */
  readonly decoderInputIds: Tensor;
}

/** The adapters of a stack. */
export interface Adaptation {
  /** What the hypernetwork was conditioned on, where there is one. */
  readonly conditioning?: Conditioning;
  /** By layer. */
  readonly adapters: readonly AdapterParameters[];
}

/** The encoder's half: everything that is computed once per instance. */
export interface Encoded {
  readonly encoder: StackOutput;
  /** Where the encoder's adapters are generated: what the pass before, with manual ones, came to. */
  readonly firstPass?: StackOutput;
  /** Absent without adapters. */
  readonly encoderAdaptation?: Adaptation | undefined;
  /** Absent without adapters. */
  readonly decoderAdaptation?: Adaptation | undefined;
}

/** A whole forward pass. */
export interface Forward extends Encoded {
  readonly decoder: StackOutput;
  /** [B, T, V]. */
  readonly logits: Tensor;
}

/** Runs the encoder and makes the decoder's adapters. */
export function encodeInstance(model: Model, source: SourceTensors): Encoded {
  const encoded = encodeSource(model, source);
  const decoderAdaptation = adaptation(model, "decoder", source, encoded.encoder.lastHiddenState);
  return { ...encoded, decoderAdaptation };
}

/** The whole model under teacher forcing. */
export function forward(model: Model, batch: BatchTensors): Forward {
  const encoded = encodeInstance(model, batch);
  const decoder = decode(
    model,
    batch.decoderInputIds,
    encoded.encoder.lastHiddenState,
    batch.attentionMask,
    adaptWith(encoded.decoderAdaptation?.adapters),
  );
  return { ...encoded, decoder, logits: project(model, decoder.lastHiddenState) };
}

/** Adapter weights by layer → what a stack calls in every block. */
export function adaptWith(
  weights: readonly AdapterParameters[] | undefined,
): AdaptLayer | undefined {
  return weights && ((layer, x, residual) => adapter(x, weights[layer], residual));
}

/**
 * The encoder with its adapters. To generate them from the instance takes an encoding of it: a first pass
 * with manual adapters makes that, and gradients flow through both.
 */
function encodeSource(model: Model, source: SourceTensors): Encoded {
  const pass = (adapters?: readonly AdapterParameters[]) =>
    encode(model, source.inputIds, source.attentionMask, adaptWith(adapters));
  if (model.config.encoderAdapter !== "generated") {
    const encoderAdaptation = adaptation(model, "encoder", source);
    return { encoder: pass(encoderAdaptation?.adapters), encoderAdaptation };
  }
  const firstPass = pass(manualAdapters(model, "encoder"));
  const encoderAdaptation = adaptation(model, "encoder", source, firstPass.lastHiddenState)!;
  return { encoder: pass(encoderAdaptation.adapters), firstPass, encoderAdaptation };
}

/**
 * The adapters of a stack, from where its mode says.
 *
 * @param encoded [B, S, D], what generated ones are conditioned on
 */
function adaptation(
  model: Model,
  side: Side,
  { attentionMask, taskIds }: SourceTensors,
  encoded?: Tensor,
): Adaptation | undefined {
  switch (stackOf(model.config, side).mode) {
    case "none":
      return undefined;
    case "manual":
      return { adapters: manualAdapters(model, side) };
    case "manual_specific":
      return { adapters: taskAdapters(model, side, taskIds!) };
    case "task": {
      const conditioning = conditionOnTask(model, side, taskIds!);
      return { conditioning, adapters: generateAdapters(model, side, conditioning.input) };
    }
    case "generated": {
      const conditioning = conditionOnInstance(model, side, encoded!, attentionMask);
      return { conditioning, adapters: generateAdapters(model, side, conditioning.input) };
    }
  }
}

/** The adapters that all rows share: Linear layers in the feed-forward sub-layer of every block. */
function manualAdapters(model: Model, side: Side): AdapterParameters[] {
  return adapterNames(model, side).map((name) => ({
    downWeight: model.weight(`${name}.adapter_down_manual.weight`), // [A, D]
    downBias: model.weight(`${name}.adapter_down_manual.bias`), // [A]
    upWeight: model.weight(`${name}.adapter_up_manual.weight`), // [D, A]
    upBias: model.weight(`${name}.adapter_up_manual.bias`), // [D]
  }));
}

/** For every row the adapters of its task. `taskIds` is i32[B]. */
function taskAdapters(model: Model, side: Side, taskIds: Tensor): AdapterParameters[] {
  const [batch] = taskIds.shape;
  /** A parameter [tasks, rows, columns] → one of these by row. */
  const pick = (name: string) => {
    const table = model.weight(name);
    const [tasks, ...shape] = table.shape;
    const flat = reshape(table, [tasks, shape[0] * shape[1]]);
    return reshape(embedding(flat, taskIds), [batch, ...shape]);
  };
  const bias = (name: string) => {
    const picked = pick(name);
    return reshape(picked, [batch, picked.shape[2]]);
  };
  return adapterNames(model, side).map((name) => ({
    downWeight: pick(`${name}.adapter_down_manual_weight`), // [B, D, A]
    downBias: bias(`${name}.adapter_down_manual_bias`), // [B, A]
    upWeight: pick(`${name}.adapter_up_manual_weight`), // [B, A, D]
    upBias: bias(`${name}.adapter_up_manual_bias`), // [B, D]
  }));
}

/** What the parameters of each layer's adapter begin with. */
function adapterNames(model: Model, side: Side): string[] {
  const sublayer = side === "decoder" ? 2 : 1;
  return Array.from(
    { length: stackOf(model.config, side).layers },
    (_, i) => `${side}.block.${i}.layer.${sublayer}.adapter_layer`,
  );
}
