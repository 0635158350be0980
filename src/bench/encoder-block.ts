/**
 * One block of a T5 encoder, trained whole: embedding, block and final norm forward, everything but the
 * embedding backward, clipping and AdamW. Its loss is the dot product of its output with fixed numbers,
 * so that hardly anything but the block is measured.
 */

import type { ModelConfig } from "../../models/config.ts";
import { parameterInventory, type ParameterSpecification } from "../../models/inventory.ts";
import { encode } from "../../models/t5.ts";
import type { Gpu } from "../gpu/device.ts";
import { compile } from "../graph/compile.ts";
import { gradients } from "../graph/gradients.ts";
import { input } from "../graph/leaves.ts";
import { matmul } from "../graph/ops/matmul.ts";
import { reshape } from "../graph/ops/reshape.ts";
import type { Parameters } from "../graph/parameters.ts";
import type { HostArray, Program } from "../graph/program.ts";
import { size, type Tensor } from "../graph/tensor.ts";
import { AdamW } from "../optim/adamw.ts";
import {
  type BatchShape,
  LEARNING_RATE,
  optimizer as settings,
  placeParameters,
  randomBatch,
  randomFloats,
  randomWeights,
} from "./inputs.ts";
import { Workbench } from "./workbench.ts";

/** The parameters of the block, its position bias and final norm included, and the frozen embedding. */
export function blockInventory(config: ModelConfig): ParameterSpecification[] {
  return parameterInventory(config).filter(({ name }) =>
    name === "shared.weight" || isTrained(name)
  );
}

/** Whether training the block changes a parameter. */
export function isTrained(name: string): boolean {
  return name.startsWith("encoder.");
}

/** What the block's output is multiplied with. */
export function blockTarget(count: number): Float32Array {
  return randomFloats("target", count, 0.1);
}

/** See the module's header. */
export class EncoderBlock {
  private constructor(
    readonly program: Program,
    readonly parameters: Parameters,
    readonly optimizer: AdamW,
    readonly inputs: Readonly<Record<string, HostArray>>,
    private readonly bench: Workbench,
  ) {}

  /** Compiles the training step. */
  static async compile(gpu: Gpu, config: ModelConfig, shape: BatchShape): Promise<EncoderBlock> {
    const { batchSize, sourceLength } = shape;
    const inventory = blockInventory(config);
    const parameters = placeParameters(gpu, inventory, randomWeights(inventory), isTrained);
    const optimizer = new AdamW(parameters, settings);
    const bench = new Workbench(gpu);
    const model = { config, weight: (name: string) => parameters.tensor(name) };
    const { lastHiddenState } = encode(
      model,
      input("inputIds", [batchSize, sourceLength], "i32"),
      input("attentionMask", [batchSize, sourceLength], "i32"),
    );
    const count = size(lastHiddenState.shape);
    const target = bench.operand("target", [count, 1], blockTarget(count));
    const loss = reshape(matmul(reshape(lastHiddenState, [1, count]), target), [1]);
    const names = parameters.trainable;
    const adjoints = gradients(loss, names.map((name) => parameters.tensor(name)));
    const byName = new Map(names.map((name, i): [string, Tensor] => [name, adjoints[i]!]));
    const { effects, norm } = optimizer.update(
      byName,
      input("hyper", [optimizer.hyperLength]),
    );
    const program = await compile(gpu, { outputs: { loss, norm }, effects });
    const { inputIds, attentionMask } = randomBatch(config, shape);
    const hyper = optimizer.hyper({ learningRate: LEARNING_RATE, step: 1 });
    return new EncoderBlock(
      program,
      parameters,
      optimizer,
      { inputIds, attentionMask, hyper },
      bench,
    );
  }

  /** Makes updates and waits; the loss of the last one and the norm of its gradients. */
  async run(count: number): Promise<{ loss: number; norm: number }> {
    if (count > 1) this.program.submit(this.inputs, { repeat: count - 1 });
    const { loss, norm } = await this.program.run(this.inputs, ["loss", "norm"]);
    return { loss: loss[0], norm: norm[0] };
  }

  /** Gives all memory back. */
  destroy(): void {
    this.program.destroy();
    this.bench.destroy();
    this.optimizer.destroy();
    this.parameters.destroy();
  }
}
