/**
 * T5 and its kin (Raffel et al. 2020; Shazeer 2020; Xue et al. 2021): pre-norm encoder–decoder with relative position biases.
 *
 * Plain functions from tensors to tensors. `B` is the batch, `S` the source length, `T` the target
 * length, `D` = modelDim, `H` heads of size `d`. No scaling by 1/√d; masks are added to the scores.
 */

import { activate, activationGate } from "../src/graph/ops/activation.ts";
import { add } from "../src/graph/ops/add.ts";
import {
  crossAttention,
  type RelativePositions,
  selfAttention,
} from "../src/graph/ops/attention.ts";
import { checkpoint } from "../src/graph/ops/checkpoint.ts";
import { concat } from "../src/graph/ops/concat.ts";
import { dropout, dropoutAdd } from "../src/graph/ops/dropout.ts";
import { embedding } from "../src/graph/ops/embedding.ts";
import { geluGate } from "../src/graph/ops/gelu-gate.ts";
import { linear } from "../src/graph/ops/matmul.ts";
import { relu } from "../src/graph/ops/relu.ts";
import { rmsNorm } from "../src/graph/ops/rms-norm.ts";
import { scale } from "../src/graph/ops/scale.ts";
import type { Tensor } from "../src/graph/tensor.ts";
import type { ModelConfig, Side } from "./config.ts";

/** Added to the scores of masked keys in self-attention. */
export const SELF_MASK = -10000;
/** Added to the scores of masked keys in cross-attention. */
export const CROSS_MASK = -1e9;

/** Randomness of one training step. Every use has a site of its own, so no two masks are alike. */
export class Dropout {
  #sites = 0;

  /**
   * @param rate probability of dropping an element
   * @param seed u32[2], new for every step
   */
  constructor(readonly rate: number, readonly seed: Tensor) {}

  /** Rate and seed at a new site. */
  next(): { rate: number; seed: Tensor; site: number } {
    return { rate: this.rate, seed: this.seed, site: this.#sites++ };
  }
}

/** A model at work: its parameters by name, and whether it is training. */
export interface Model {
  readonly config: ModelConfig;
  /** The parameter of a name; throws for an unknown one. */
  weight(name: string): Tensor;
  /** Absent in evaluation. */
  readonly dropout?: Dropout | undefined;
  /** Whether the backward pass computes blocks again instead of keeping what they came to. */
  readonly recompute?: boolean;
}

/** Adds the adapter of layer `layer` to `residual`: residual + adapter(x). Undefined for no adapters. */
export type AdaptLayer = (layer: number, x: Tensor, residual: Tensor) => Tensor;

/** What a stack returns. */
export interface StackOutput {
  /** Input of every block, [B, length, D]. */
  readonly hiddenStates: readonly Tensor[];
  /** After the final norm, [B, length, D]. */
  readonly lastHiddenState: Tensor;
}

/** Encoder: ids i32[B, S], mask i32[B, S] → hidden states. */
export function encode(model: Model, ids: Tensor, mask: Tensor, adapt?: AdaptLayer): StackOutput {
  const { config } = model;
  const positions = relativePositions(model, "encoder");
  const hiddenStates: Tensor[] = [];
  let h = embed(model, ids);
  for (let i = 0; i < config.encoderLayers; i++) {
    h = keep(model, h);
    hiddenStates.push(h);
    const block = `encoder.block.${i}.layer`;
    h = attend(model, `${block}.0`, "SelfAttention", h, undefined, {
      positions,
      keyMask: mask,
      maskValue: SELF_MASK,
    });
    h = feedForward(model, `${block}.1`, i, h, adapt);
  }
  return { hiddenStates, lastHiddenState: keep(model, finalNorm(model, "encoder", h)) };
}

/** Decoder: ids i32[B, T] (already shifted right), encoder states [B, S, D], mask i32[B, S]. */
export function decode(
  model: Model,
  ids: Tensor,
  encoded: Tensor,
  encoderMask: Tensor,
  adapt?: AdaptLayer,
): StackOutput {
  const { config } = model;
  const positions = relativePositions(model, "decoder");
  const hiddenStates: Tensor[] = [];
  let h = embed(model, ids);
  for (let i = 0; i < config.decoderLayers; i++) {
    h = keep(model, h);
    hiddenStates.push(h);
    const block = `decoder.block.${i}.layer`;
    h = attend(model, `${block}.0`, "SelfAttention", h, undefined, {
      positions,
      causal: true,
      maskValue: SELF_MASK,
    });
    h = attend(model, `${block}.1`, "EncDecAttention", h, encoded, {
      keyMask: encoderMask,
      maskValue: CROSS_MASK,
    });
    h = feedForward(model, `${block}.2`, i, h, adapt);
  }
  return { hiddenStates, lastHiddenState: finalNorm(model, "decoder", h) };
}

/** Hidden states [..., D] → logits [..., V]. T5 1.0 rescales by D^-½ first. */
export function project(model: Model, hidden: Tensor): Tensor {
  const { scaledOutputs, modelDim } = model.config;
  return linear(scaledOutputs ? scale(hidden, modelDim ** -0.5) : hidden, headWeight(model));
}

/** The LM head [V, D]. */
export function headWeight(model: Model): Tensor {
  return model.weight(model.config.tiedEmbeddings ? "shared.weight" : "lm_head.weight");
}

/** Token ids → vectors. */
export function embed(model: Model, ids: Tensor): Tensor {
  return drop(model, embedding(model.weight("shared.weight"), ids));
}

/** h + Attention(norm(h)); keys and values come from `memory` in cross-attention. */
function attend(
  model: Model,
  layer: string,
  name: "SelfAttention" | "EncDecAttention",
  h: Tensor,
  memory: Tensor | undefined,
  options: { positions?: RelativePositions; keyMask?: Tensor; causal?: boolean; maskValue: number },
): Tensor {
  const normed = norm(model, `${layer}.layer_norm`, h);
  const part = (x: Tensor, ...parts: string[]) =>
    linear(x, stacked(model, `${layer}.${name}`, ...parts));
  const settings = { heads: model.config.heads, dropout: model.dropout?.next(), ...options };
  const context = memory
    ? crossAttention(part(normed, "q"), part(memory, "k", "v"), settings)
    : selfAttention(part(normed, "q", "k", "v"), settings);
  return addDropped(model, part(context, "o"), h);
}

/** h + FeedForward(norm(h)), and the adapter in parallel: "Adapter position" of the reference. */
export function feedForward(
  model: Model,
  layer: string,
  index: number,
  h: Tensor,
  adapt?: AdaptLayer,
): Tensor {
  const { config } = model;
  const normed = norm(model, `${layer}.layer_norm`, h);
  const part = (x: Tensor, ...parts: string[]) =>
    linear(x, stacked(model, `${layer}.DenseReluDense`, ...parts));
  const inner = activated(model, config.gated ? part(normed, "wi_0", "wi_1") : part(normed, "wi"));
  const y = addDropped(model, part(inner, "wo"), h);
  return adapt ? adapt(index, config.adapterNormInput ? normed : h, y) : y;
}

/** What stands between the products of a feed-forward layer. */
function activated(model: Model, x: Tensor): Tensor {
  const { activation, gated } = model.config;
  if (gated && activation === "gelu_new") return geluGate(x, model.dropout?.next());
  if (gated) return drop(model, activationGate(x, activation));
  return drop(model, activation === "relu" ? relu(x) : activate(x, activation));
}

/**
 * The weights of parts of a module, one below the other: a single product then computes them all, side by
 * side. They are not copied where they are neighbours in memory.
 */
export function stacked(model: Model, module: string, ...parts: string[]): Tensor {
  const weights = parts.map((part) => model.weight(`${module}.${part}.weight`));
  const rows = weights.reduce((sum, { shape }) => sum + shape[0], 0);
  return concat(weights, [rows, weights[0].shape[1]]);
}

/** RMS norm with the weight of that name. */
export function norm(model: Model, name: string, x: Tensor): Tensor {
  return rmsNorm(x, model.weight(`${name}.weight`), model.config.normEpsilon);
}

/** The norm after the last block. */
export function finalNorm(model: Model, side: Side, h: Tensor): Tensor {
  return drop(model, norm(model, `${side}.final_layer_norm`, h));
}

/** Marks what the backward pass finds in memory where the rest is computed again. */
export function keep(model: Model, x: Tensor): Tensor {
  return model.recompute ? checkpoint(x) : x;
}

/** Name of the table that all layers of a stack share. */
export function positionTable(side: Side): string {
  return `${side}.block.0.layer.0.SelfAttention.relative_attention_bias.weight`;
}

function relativePositions(model: Model, side: Side): RelativePositions {
  const { maxDistance } = model.config;
  return {
    table: model.weight(positionTable(side)),
    bidirectional: side === "encoder",
    maxDistance,
  };
}

function drop(model: Model, x: Tensor): Tensor {
  return model.dropout ? dropout(x, model.dropout.next()) : x;
}

function addDropped(model: Model, x: Tensor, residual: Tensor): Tensor {
  return model.dropout ? dropoutAdd(x, residual, model.dropout.next()) : add(x, residual);
}
