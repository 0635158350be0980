/** Every kernel family, on the shapes of a model and a batch, and on some that stand for larger ones. */

import { isAdapterParameter, parameterInventory } from "../../../models/inventory.ts";
import { size } from "../../graph/tensor.ts";
import type { Case } from "../kernels.ts";
import type { Subject } from "../subjects.ts";
import { hypernetworkHead, instanceAdapter } from "./adapters.ts";
import {
  cachedAttention,
  crossAttention,
  decoderAttention,
  encoderAttention,
} from "./attention.ts";
import { beamChoice, greedyChoice, nucleusChoice } from "./decoding.ts";
import {
  dropoutResidual,
  gate,
  gatedLayer,
  lookUp,
  loss,
  norm,
  normedLayer,
  pooling,
} from "./layers.ts";
import { adafactorUpdate, adamWUpdate, gradientNorm } from "./optimizers.ts";
import { decodingProducts, trainingProducts } from "./products.ts";

/** The kernels of training and decoding a model. */
export function modelKernels({ config, batch }: Subject): Case[] {
  const { batchSize, sourceLength, targetLength } = batch;
  const { modelDim, feedForwardDim, vocabSize, decoderAdapterDim } = config;
  const sources = batchSize * sourceLength, targets = batchSize * targetLength;
  const trained = parameterInventory(config)
    .filter(({ name }) => isAdapterParameter(name))
    .reduce((sum, { shape }) => sum + size(shape), 0);
  return [
    ...trainingProducts(config, batch),
    ...decodingProducts(config, batchSize),
    ...encoderAttention(config, batchSize, sourceLength),
    ...decoderAttention(config, batchSize, targetLength),
    ...crossAttention(config, batchSize, targetLength, sourceLength),
    cachedAttention(config, batchSize, sourceLength),
    ...norm(sources, modelDim),
    ...normedLayer(sources, modelDim, 2 * feedForwardDim),
    ...gate(sources, feedForwardDim),
    ...gatedLayer(sources, feedForwardDim, modelDim),
    ...dropoutResidual(sources, modelDim),
    ...lookUp(sources, vocabSize, modelDim),
    ...pooling(batchSize, sourceLength, modelDim),
    ...instanceAdapter({
      batch: batchSize,
      length: targetLength,
      width: modelDim,
      bottleneck: decoderAdapterDim,
    }),
    ...hypernetworkHead(config, batchSize),
    ...loss(targets, vocabSize),
    gradientNorm(trained),
    adamWUpdate(trained),
    adafactorUpdate(modelDim * decoderAdapterDim, config.hypernetworkBottleneck),
    greedyChoice(config, batchSize),
    nucleusChoice(config, batchSize),
    beamChoice(config, Math.ceil(batchSize / 4), 4),
  ];
}

/** Shapes that other projects and this one's aims speak of. */
export function notedKernels({ config }: Subject): Case[] {
  return [
    ...encoderAttention(config, 1, 512),
    ...instanceAdapter({ batch: 32, length: 16, width: 128, bottleneck: 32 }),
    ...instanceAdapter({ batch: 32, length: 128, width: 768, bottleneck: 64 }),
  ];
}
