/** Matrix products: squares to compare adapters by, and every shape of a training step and of decoding. */

import type { ModelConfig } from "../../../models/config.ts";
import { matmul, type MatmulOptions } from "../../graph/ops/matmul.ts";
import type { Shape } from "../../graph/tensor.ts";
import type { BatchShape } from "../inputs.ts";
import type { Case } from "../kernels.ts";

/** How the weight of a Linear layer lies. */
const WEIGHT = { transposeB: true };

/** A [n, n] product with the second operand as it is and transposed, for each n. */
export function squareProducts(sides: readonly number[]): Case[] {
  return sides.flatMap((n) => [
    product("square", [n, n], [n, n]),
    product("square", [n, n], [n, n], WEIGHT),
  ]);
}

/** The products of a training step, forward and backward. */
export function trainingProducts(
  { modelDim, feedForwardDim, heads, headDim, vocabSize }: ModelConfig,
  { batchSize, sourceLength, targetLength }: BatchShape,
): Case[] {
  const sources = batchSize * sourceLength, targets = batchSize * targetLength;
  return [
    product("attention input", [sources, modelDim], [heads * headDim, modelDim], WEIGHT),
    product("feed-forward up", [sources, modelDim], [feedForwardDim, modelDim], WEIGHT),
    product("feed-forward down", [sources, feedForwardDim], [modelDim, feedForwardDim], WEIGHT),
    product("its input gradient", [sources, modelDim], [modelDim, feedForwardDim]),
    product("its weight gradient", [sources, modelDim], [sources, feedForwardDim], {
      transposeA: true,
    }),
    product("logits", [targets, modelDim], [vocabSize, modelDim], WEIGHT),
  ];
}

/** The products of a decoded token: a row for each text. */
export function decodingProducts({ modelDim, vocabSize }: ModelConfig, batch: number): Case[] {
  return [
    product("attention input, decoding", [batch, modelDim], [modelDim, modelDim], WEIGHT),
    product("logits, decoding", [batch, modelDim], [vocabSize, modelDim], WEIGHT),
  ];
}

/** A product of [m, k] and [k, n], or of operands with a batch in front. */
export function product(
  what: string,
  aShape: Shape,
  bShape: Shape,
  options: MatmulOptions = {},
): Case {
  return (bench) => {
    const a = bench.floats("a", aShape), b = bench.floats("b", bShape);
    const result = matmul(a, b, options);
    const [m, n] = result.shape;
    const k = options.transposeA ? aShape[0] : aShape[1];
    const layout = `${options.transposeA ? "t" : "n"}${options.transposeB ? "t" : "n"}`;
    return {
      name: `product ${m}×${n}×${k} ${layout}, ${what}`,
      operands: [a, b],
      results: [result],
      flops: 2 * m * n * k,
    };
  };
}
