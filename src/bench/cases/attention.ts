/** Attention with T5's position bias and key masks. */

import type { ModelConfig } from "../../../models/config.ts";
import { CROSS_MASK, SELF_MASK } from "../../../models/t5.ts";
import * as ops from "../../graph/ops/attention.ts";
import { selfAttentionStep } from "../../graph/ops/self-attention-step.ts";
import { size } from "../../graph/tensor.ts";
import { type Case, type Differentiable, withGradients } from "../kernels.ts";
import type { Workbench } from "../workbench.ts";

/** Self-attention in the encoder. */
export function encoderAttention(config: ModelConfig, batch: number, length: number): Case[] {
  return withGradients((bench) => attend(bench, config, batch, length, length, "encoder"));
}

/** Causal self-attention in the decoder. */
export function decoderAttention(config: ModelConfig, batch: number, length: number): Case[] {
  return withGradients((bench) => attend(bench, config, batch, length, length, "decoder"));
}

/** Attention of the decoder to the encoder's output. */
export function crossAttention(
  config: ModelConfig,
  batch: number,
  targetLength: number,
  sourceLength: number,
): Case[] {
  return withGradients((bench) =>
    attend(bench, config, batch, targetLength, sourceLength, "cross")
  );
}

function attend(
  bench: Workbench,
  { heads, headDim, relativeBuckets }: ModelConfig,
  batch: number,
  queries: number,
  keys: number,
  kind: "encoder" | "decoder" | "cross",
): Differentiable {
  const width = heads * headDim, scale = headDim ** -0.25;
  const keyMask = bench.operand("mask", [batch, keys], new Int32Array(batch * keys).fill(1), "i32");
  const table = bench.floats("table", [relativeBuckets, heads]);
  const options = {
    encoder: { positions: { table, bidirectional: true }, keyMask, maskValue: SELF_MASK },
    decoder: { positions: { table, bidirectional: false }, causal: true, maskValue: SELF_MASK },
    cross: { keyMask, maskValue: CROSS_MASK },
  }[kind];
  const operands = kind === "cross"
    ? [
      bench.floats("query", [batch, queries, width], scale),
      bench.floats("key and value", [batch, keys, 2 * width], scale),
    ]
    : [bench.floats("query, key and value", [batch, queries, 3 * width], scale)];
  // A product of [queries, keys, headDim] per head; two forward, five backward (scores once more).
  const products = 2 * batch * heads * queries * keys * headDim;
  return {
    name: `${kind} attention ${batch}×${heads}×${queries}×${keys}×${headDim}`,
    operands,
    differentiable: operands,
    result: kind === "cross"
      ? ops.crossAttention(operands[0], operands[1], { heads, ...options })
      : ops.selfAttention(operands[0], { heads, ...options }),
    flops: 2 * products,
    backwardFlops: 5 * products,
  };
}

/** Attention of one new token to itself and to all that a cache of `length` has room for before it. */
export function cachedAttention(config: ModelConfig, batch: number, length: number): Case {
  const { heads, headDim, relativeBuckets } = config;
  return (bench) => {
    const width = heads * headDim;
    const packed = bench.floats("query, key and value", [batch, 1, 3 * width]);
    const key = bench.floats("key", [batch, length, width]);
    const value = bench.floats("value", [batch, length, width]);
    const position = bench.operand("position", [1], Uint32Array.of(length - 1), "u32");
    const table = bench.floats("table", [relativeBuckets, heads]);
    const step = selfAttentionStep(packed, { key, value }, { heads, position, table });
    return {
      name: `cached attention ${batch}×${heads}×${length}×${headDim}`,
      operands: [packed, key, value, table],
      results: [step.context],
      flops: 4 * size(key.shape),
    };
  };
}
