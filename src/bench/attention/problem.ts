/**
 * The self-attention of a T5 encoder as one piece of work: what every contender is given, and what it has to
 * come to.
 *
 * The loss is the dot product of the attention's result with fixed numbers; asked for are its gradients in
 * queries, keys, values and the table of position biases.
 */

import { compile } from "../../graph/compile.ts";
import { gradients } from "../../graph/gradients.ts";
import { matmul } from "../../graph/ops/matmul.ts";
import { reshape } from "../../graph/ops/reshape.ts";
import type { HostArray } from "../../graph/program.ts";
import { size, type Tensor } from "../../graph/tensor.ts";
import { randomFloats } from "../inputs.ts";
import type { Contender } from "../peers/comparison.ts";
import type { Workbench } from "../workbench.ts";

/** Sizes, and the rate of dropout on attention weights. */
export interface AttentionProblem {
  readonly batch: number;
  readonly heads: number;
  readonly headDim: number;
  /** Of queries and of keys. */
  readonly length: number;
  readonly dropoutRate: number;
}

/** Buckets of relative positions, as all T5 models have them. */
export const BUCKETS = 32;

/** What contenders are given; the values of [batch, length, heads, headDim] unless said otherwise. */
export interface AttentionValues {
  readonly query: Float32Array;
  readonly key: Float32Array;
  readonly value: Float32Array;
  /** What the result is multiplied with. */
  readonly target: Float32Array;
  /** [buckets, heads]. */
  readonly table: Float32Array;
  /** [batch, length]: the last eighth of every other text is padding. */
  readonly mask: Int32Array<ArrayBuffer>;
}

/** The values of a problem, always the same ones. */
export function attentionValues(
  { batch, heads, headDim, length }: AttentionProblem,
): AttentionValues {
  const count = batch * length * heads * headDim;
  // None below zero, so that the loss is no small difference of large numbers.
  const positive = (name: string, scale: number) =>
    randomFloats(name, count, scale).map((value) => scale + value);
  return {
    query: randomFloats("query", count, headDim ** -0.5),
    key: randomFloats("key", count),
    value: positive("value", 1),
    target: positive("target", 0.1),
    table: randomFloats("table", BUCKETS * heads),
    mask: Int32Array.from({ length: batch * length }, (_, i) => {
      const isPadded = Math.floor(i / length) % 2 === 1;
      return isPadded && i % length >= 7 / 8 * length ? 0 : 1;
    }),
  };
}

/** An attention and the gradients of its loss in this project's ops, ready to be run. */
export async function differentiated(
  bench: Workbench,
  result: Tensor,
  target: Float32Array,
  wanted: readonly Tensor[],
): Promise<Contender> {
  const { gpu } = bench;
  const count = size(result.shape);
  const weights = bench.operand("target", [count, 1], target);
  const loss = reshape(matmul(reshape(result, [1, count]), weights), [1]);
  const adjoints = gradients(loss, wanted);
  const outputs = Object.fromEntries(
    [loss, ...adjoints].map((tensor, i) => [`${i}`, tensor!]),
  );
  const names = Object.keys(outputs);
  const program = await compile(gpu, { outputs });
  return {
    async run(count): Promise<readonly HostArray[]> {
      if (count > 1) program.submit({}, { repeat: count - 1 });
      const values = await program.run({}, names);
      return names.map((name) => values[name]);
    },
    destroy() {
      program.destroy();
      bench.destroy();
    },
  };
}
