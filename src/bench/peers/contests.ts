/** What is compared with which peer. */

import type { Gpu } from "../../gpu/device.ts";
import { block, type Subject } from "../subjects.ts";
import type { Contest } from "./comparison.ts";
import { jaxDecoding } from "./jax/decoding.ts";
import type { Jax } from "./jax/jax.ts";
import { jaxProducts } from "./jax/products.ts";
import { jaxBlock, jaxModel } from "./jax/training.ts";
import * as ours from "./ours.ts";
import {
  type TensorFlow,
  tensorFlowEncoding,
  tensorFlowProducts,
} from "./tensorflow/tensorflow.ts";

/** The peers' modules, started. */
export interface Peers {
  readonly jax: Jax;
  readonly tensorFlow: TensorFlow;
}

const JAX = "jax-js", TENSORFLOW = "TensorFlow.js";

/** Products in a chain: between two waits, so that waiting is a small part. */
const CHAIN = 10;

/** Tokens of a text that is decoded. */
export const DECODED = 32;

/** f32 products of square matrices of each side. */
export function productContests(
  gpu: Gpu,
  { jax, tensorFlow }: Peers,
  sides: readonly number[],
): Contest[] {
  return sides.flatMap((side) => {
    const chain = ours.productChain(side, CHAIN);
    const contest = {
      work: `product ${side}×${side}×${side}`,
      ours: () => ours.products(gpu, chain),
      tolerance: 1e-3,
      units: CHAIN,
    };
    return [
      { ...contest, peer: JAX, theirs: () => jaxProducts(jax, chain) },
      { ...contest, peer: TENSORFLOW, theirs: () => tensorFlowProducts(tensorFlow, chain) },
    ];
  });
}

/** Training steps of an encoder block and of a model, and the block's forward pass. */
export function trainingContests(
  gpu: Gpu,
  { jax, tensorFlow }: Peers,
  subject: Subject,
): Contest[] {
  const { config, batch } = subject;
  return [{
    work: `${block.name}, forward + backward + AdamW`,
    peer: JAX,
    ours: () => ours.alone(gpu, () => ours.blockTraining(gpu, block)),
    theirs: () => jaxBlock(jax, block.config, block.batch),
    tolerance: 1e-4,
  }, {
    work: `${block.name}, forward`,
    peer: TENSORFLOW,
    ours: () => ours.encoding(gpu, block),
    theirs: () => tensorFlowEncoding(tensorFlow, block.config, block.batch),
    tolerance: 1e-4,
  }, {
    work: `${subject.name} with generated adapters, training step`,
    peer: JAX,
    ours: () => ours.alone(gpu, () => ours.modelTraining(gpu, subject)),
    theirs: () => jaxModel(jax, config, batch),
    tolerance: 1e-4,
  }];
}

/** Greedy decoding of a model, for one text and for a batch; a unit is a token of every row. */
export function decodingContests(
  gpu: Gpu,
  { jax }: Peers,
  { name, config, batch }: Subject,
): Contest[] {
  return [1, batch.batchSize].map((batchSize) => {
    const shape = { ...batch, batchSize, targetLength: DECODED };
    return {
      work: `${name} with generated adapters, greedy decoding of ${batchSize} × ${DECODED} tokens`,
      peer: JAX,
      ours: () => ours.decoding(gpu, { name, config, batch: shape }),
      theirs: () => jaxDecoding(jax, config, shape),
      tolerance: 0,
      units: DECODED,
    };
  });
}
