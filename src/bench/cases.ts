/**
 * The kernels of a training step, on the shapes of a model and a batch, and square products to compare
 * adapters by.
 */

import type { ModelConfig } from "../../models/config.ts";
import { isAdapterParameter, parameterInventory } from "../../models/inventory.ts";
import { SELF_MASK } from "../../models/t5.ts";
import { adamW, adamWHyper, DECAY_BLOCK } from "../graph/ops/adamw.ts";
import { adapter } from "../graph/ops/adapter.ts";
import { attention } from "../graph/ops/attention.ts";
import { geluGate } from "../graph/ops/gelu-gate.ts";
import { labelSmoothedLoss } from "../graph/ops/label-smoothed-loss.ts";
import { matmul, type MatmulOptions } from "../graph/ops/matmul.ts";
import { rmsNorm } from "../graph/ops/rms-norm.ts";
import { type Shape, size } from "../graph/tensor.ts";
import { type BatchShape, gentleUpdate } from "./inputs.ts";
import { type Case, type Differentiable, withGradients } from "./kernels.ts";
import type { Workbench } from "./workbench.ts";

/** A [n, n] product with the second operand as it is and transposed, for each n. */
export function squareProducts(sides: readonly number[]): Case[] {
  return sides.flatMap((n) => [
    product("square", [n, n], [n, n]),
    product("square", [n, n], [n, n], { transposeB: true }),
  ]);
}

/** The kernels of a step that trains a model's adapters. */
export function trainingKernels(
  config: ModelConfig,
  { batchSize, sourceLength, targetLength }: BatchShape,
): Case[] {
  const { modelDim, feedForwardDim, vocabSize, decoderAdapterDim, heads, headDim } = config;
  const sources = batchSize * sourceLength, targets = batchSize * targetLength;
  const weight = { transposeB: true };
  return [
    product("attention input", [sources, modelDim], [heads * headDim, modelDim], weight),
    product("feed-forward up", [sources, modelDim], [feedForwardDim, modelDim], weight),
    product("feed-forward down", [sources, feedForwardDim], [modelDim, feedForwardDim], weight),
    product("its input gradient", [sources, modelDim], [modelDim, feedForwardDim]),
    product("its weight gradient", [sources, modelDim], [sources, feedForwardDim], {
      transposeA: true,
    }),
    product("logits", [targets, modelDim], [vocabSize, modelDim], weight),
    ...withGradients(encoderAttention(config, batchSize, sourceLength)),
    ...withGradients(norm(sources, modelDim)),
    ...withGradients(gate(sources, feedForwardDim)),
    ...withGradients(instanceAdapter(batchSize, targetLength, modelDim, decoderAdapterDim)),
    ...withGradients(loss(targets, vocabSize)),
    optimizer(adapterSize(config)),
  ];
}

function product(what: string, aShape: Shape, bShape: Shape, options: MatmulOptions = {}): Case {
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

function encoderAttention({ heads, headDim }: ModelConfig, batch: number, length: number) {
  return (bench: Workbench): Differentiable => {
    const shape = [batch, length, heads * headDim];
    const query = bench.floats("query", shape, headDim ** -0.5);
    const key = bench.floats("key", shape), value = bench.floats("value", shape);
    const bias = bench.floats("bias", [heads, length, length]);
    const keyMask = bench.ids("key mask", [batch, length], 2);
    // A product of [length, length, headDim] per head; two forward, four backward.
    const products = 2 * batch * heads * length * length * headDim;
    return {
      name: `attention ${batch}×${heads}×${length}×${headDim}`,
      operands: [query, key, value, bias, keyMask],
      differentiable: [query, key, value, bias],
      result: attention(query, key, value, { heads, bias, keyMask, maskValue: SELF_MASK }),
      flops: 2 * products,
      backwardFlops: 4 * products,
    };
  };
}

function norm(rows: number, columns: number) {
  return (bench: Workbench): Differentiable => {
    const x = bench.floats("x", [rows, columns]), scale = bench.floats("scale", [columns]);
    return {
      name: `RMS norm ${rows}×${columns}`,
      operands: [x, scale],
      differentiable: [x],
      result: rmsNorm(x, scale),
      flops: 4 * rows * columns,
      backwardFlops: 8 * rows * columns,
    };
  };
}

function gate(rows: number, columns: number) {
  return (bench: Workbench): Differentiable => {
    const a = bench.floats("a", [rows, columns]), b = bench.floats("b", [rows, columns]);
    return {
      name: `GELU gate ${rows}×${columns}`,
      operands: [a, b],
      differentiable: [a, b],
      result: geluGate(a, b),
      flops: 10 * rows * columns,
      backwardFlops: 22 * rows * columns,
    };
  };
}

function instanceAdapter(batch: number, length: number, width: number, bottleneck: number) {
  return (bench: Workbench): Differentiable => {
    const x = bench.floats("x", [batch, length, width]);
    const parameters = {
      downWeight: bench.floats("down weight", [batch, width, bottleneck], width ** -0.5),
      downBias: bench.floats("down bias", [batch, bottleneck]),
      upWeight: bench.floats("up weight", [batch, bottleneck, width], bottleneck ** -0.5),
      upBias: bench.floats("up bias", [batch, width]),
    };
    const products = 2 * batch * length * width * bottleneck;
    const differentiable = [x, ...Object.values(parameters)];
    return {
      name: `adapters ${batch}×${length}×${width}×${bottleneck}`,
      operands: differentiable,
      differentiable,
      result: adapter(x, parameters),
      flops: 2 * products,
      backwardFlops: 4 * products,
    };
  };
}

function loss(rows: number, vocabulary: number) {
  return (bench: Workbench): Differentiable => {
    const logits = bench.floats("logits", [rows, vocabulary], 4);
    const labels = bench.ids("labels", [rows], vocabulary);
    return {
      name: `label-smoothed loss ${rows}×${vocabulary}`,
      operands: [logits, labels],
      differentiable: [logits],
      result: labelSmoothedLoss(logits, labels, { smoothing: 0.1, padId: 0 }).loss,
      flops: 4 * rows * vocabulary,
      backwardFlops: 4 * rows * vocabulary,
    };
  };
}

function optimizer(count: number): Case {
  return (bench) => {
    const operands = {
      parameters: bench.floats("parameters", [count]),
      gradients: bench.floats("gradients", [count]),
      firstMoment: bench.floats("first moments", [count]),
      secondMoment: bench.operand("second moments", [count], new Float32Array(count).fill(1)),
      decayMask: bench.floats("decay mask", [Math.ceil(count / DECAY_BLOCK)]),
      hyper: bench.operand("hyper", [8], adamWHyper(gentleUpdate)),
      norm: bench.floats("norm", [1]),
    };
    const { parameters, firstMoment, secondMoment } = adamW(operands);
    return {
      name: `AdamW ${count}`,
      operands: Object.values(operands),
      results: [parameters, firstMoment, secondMoment],
      flops: 14 * count,
    };
  };
}

/** Parameters of a model's adapters and hypernetwork. */
function adapterSize(config: ModelConfig): number {
  return parameterInventory(config)
    .filter(({ name }) => isAdapterParameter(name))
    .reduce((sum, { shape }) => sum + size(shape), 0);
}
