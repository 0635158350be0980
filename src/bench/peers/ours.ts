/** This project as a contender: the same programs that training and generation run. */

import { isAdapterParameter } from "../../../models/inventory.ts";
import { encode } from "../../../models/t5.ts";
import { SequenceGenerator } from "../../generate/generator.ts";
import type { Gpu } from "../../gpu/device.ts";
import { compile } from "../../graph/compile.ts";
import { input } from "../../graph/leaves.ts";
import { matmul } from "../../graph/ops/matmul.ts";
import { workspaceOf } from "../../graph/workspace.ts";
import { AdamW } from "../../optim/adamw.ts";
import { TrainingStep } from "../../train/training-step.ts";
import { blockInventory, EncoderBlock } from "../encoder-block.ts";
import {
  LABEL_SMOOTHING,
  LEARNING_RATE,
  optimizer as settings,
  placeParameters,
  randomBatch,
  randomFloats,
  randomParameters,
  randomWeights,
} from "../inputs.ts";
import type { Subject } from "../subjects.ts";
import { Workbench } from "../workbench.ts";
import type { Contender } from "./comparison.ts";

/** Products of square matrices, each with the one before. */
export interface ProductChain {
  readonly side: number;
  /** Products. */
  readonly length: number;
  readonly x: Float32Array;
  readonly w: Float32Array;
}

/** A chain of random matrices; the numbers of a product are about as large as those of its first operand. */
export function productChain(side: number, length: number): ProductChain {
  const x = randomFloats("x", side * side);
  const w = randomFloats("w", side * side, Math.sqrt(3 / side));
  return { side, length, x, w };
}

/** x · w · w · …; the last product is read back. */
export async function products(gpu: Gpu, { side, length, x, w }: ProductChain): Promise<Contender> {
  const bench = new Workbench(gpu);
  const weight = bench.operand("w", [side, side], w);
  let product = bench.operand("x", [side, side], x);
  for (let i = 0; i < length; i++) product = matmul(product, weight);
  const program = await compile(gpu, { outputs: { product } });
  return {
    async run(count) {
      if (count > 1) program.submit({}, { repeat: count - 1 });
      return [(await program.run({}, ["product"])).product];
    },
    destroy() {
      program.destroy();
      bench.destroy();
    },
  };
}

/** Makes a contender whose memory for intermediate results is made anew, so that it is counted. */
export function alone<T>(gpu: Gpu, make: () => T): T {
  workspaceOf(gpu).destroy();
  return make();
}

/** Forward, backward and AdamW of an encoder block. */
export async function blockTraining(gpu: Gpu, { config, batch }: Subject): Promise<Contender> {
  const block = await EncoderBlock.compile(gpu, config, batch);
  return {
    async run(count) {
      const { loss, norm } = await block.run(count);
      return [[loss], [norm]];
    },
    destroy: () => block.destroy(),
  };
}

/** The forward pass of an encoder. */
export async function encoding(gpu: Gpu, { config, batch: shape }: Subject): Promise<Contender> {
  const inventory = blockInventory(config);
  const parameters = placeParameters(gpu, inventory, randomWeights(inventory), () => false);
  const { batchSize, sourceLength } = shape;
  const { lastHiddenState } = encode(
    { config, weight: (name) => parameters.tensor(name) },
    input("inputIds", [batchSize, sourceLength], "i32"),
    input("attentionMask", [batchSize, sourceLength], "i32"),
  );
  const program = await compile(gpu, { outputs: { lastHiddenState } });
  const { inputIds, attentionMask } = randomBatch(config, shape);
  const inputs = { inputIds, attentionMask };
  return {
    async run(count) {
      if (count > 1) program.submit(inputs, { repeat: count - 1 });
      return [(await program.run(inputs, ["lastHiddenState"])).lastHiddenState];
    },
    destroy() {
      program.destroy();
      parameters.destroy();
    },
  };
}

/** A training step of a model's adapters, without dropout: masks could not be compared. */
export function modelTraining(gpu: Gpu, { config, batch: shape }: Subject): Contender {
  const parameters = randomParameters(gpu, config, isAdapterParameter);
  const optimizer = new AdamW(parameters, settings);
  const training = new TrainingStep(config, parameters, optimizer, {
    labelSmoothing: LABEL_SMOOTHING,
    dropoutRate: 0,
    accumulate: 1,
    seed: 0,
  });
  const batch = randomBatch(config, shape);
  return {
    async run(count) {
      const update = { learningRate: LEARNING_RATE };
      for (let i = 0; i < count; i++) await training.run([batch], 0, update);
      const [{ loss, gradNorm }] = await training.readLog(0, 1);
      return [[loss], [gradNorm]];
    },
    async destroy() {
      await training.destroy();
      optimizer.destroy();
      parameters.destroy();
    },
  };
}

/** `batch.targetLength` tokens for each row, greedily; the end token is forbidden. */
export function decoding(gpu: Gpu, { config, batch: shape }: Subject): Contender {
  const parameters = randomParameters(gpu, config, () => false);
  const generator = new SequenceGenerator(config, parameters);
  const length = shape.targetLength + 1; // with the start token
  const batch = randomBatch(config, shape);
  return {
    async run(count) {
      let tokens: number[] = [];
      for (let i = 0; i < count; i++) {
        const rows = await generator.generate(batch, { maxLength: length, minLength: length });
        tokens = rows.flatMap(([sequence]) => sequence.tokens);
      }
      return [tokens];
    },
    destroy() {
      generator.destroy();
      parameters.destroy();
    },
  };
}
