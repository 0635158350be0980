/**
 * PyTorch as a contender: a child process that has the same weights and the same batch, and does what it
 * is told. Starting it is the caller's business.
 */

import { formatConfig } from "../../../models/config.ts";
import { parameterInventory } from "../../../models/inventory.ts";
import type { Gpu } from "../../gpu/device.ts";
import { fromFloat32, fromInt32, writeSafetensors } from "../../io/safetensors.ts";
import { batchInputs } from "../../train/training-step.ts";
import {
  LABEL_SMOOTHING,
  LEARNING_RATE,
  optimizer,
  randomBatch,
  randomWeights,
} from "../inputs.ts";
import type { Subject } from "../subjects.ts";
import type { Contender, Contest } from "./comparison.ts";
import { DECODED } from "./contests.ts";
import * as ours from "./ours.ts";

/** Work for the child, `count` times. */
export interface TorchCommand {
  /** `reset`: begin anew with the weights as they were. */
  readonly work: "train" | "decode" | "reset";
  readonly precision: Precision;
  readonly count: number;
  /** To decode. */
  readonly tokens: number;
}

/** How the child computes products; the last two exist on CUDA. */
export type Precision = "fp32" | "tf32" | "bf16";

/** What the child says of work that is done. */
export interface TorchReply {
  readonly values: readonly (readonly number[])[];
  /** Of the GPU's memory; 0 on a CPU. */
  readonly peakBytes: number;
}

/** The child process. */
export interface Torch {
  readonly version: string;
  readonly device: string;
  obey(command: TorchCommand): Promise<TorchReply>;
}

/** What results may differ by. On a CPU, PyTorch's own norm of T5-base's gradients is off by 2.5e-4. */
const TOLERANCE = { fp32: 1e-3, tf32: 1e-2, bf16: 5e-2 };

/** The files that the child reads before it begins, by name. */
export function torchFiles({ config, batch: shape }: Subject): Map<string, Uint8Array> {
  const inventory = parameterInventory(config);
  const weights = randomWeights(inventory);
  const { inputIds, attentionMask, decoderInputIds, labels } = batchInputs(
    randomBatch(config, shape),
    config,
  ) as Record<string, Int32Array>;
  const { batchSize, sourceLength, targetLength } = shape;
  const ids = (values: Int32Array, length: number) => fromInt32(values, [batchSize, length]);
  const settings = {
    ...formatConfig(config),
    dropout_rate: 0, // masks could not be compared
    bench: {
      learningRate: LEARNING_RATE,
      labelSmoothing: LABEL_SMOOTHING,
      weightDecay: optimizer.weightDecay,
      maxNorm: optimizer.maxNorm,
    },
  };
  return new Map([
    ["config.json", new TextEncoder().encode(JSON.stringify(settings))],
    [
      "model.safetensors",
      writeSafetensors(
        new Map(
          inventory.map(({ name, shape }) => [name, fromFloat32(weights.get(name)!, shape)]),
        ),
      ),
    ],
    [
      "batch.safetensors",
      writeSafetensors(
        new Map([
          ["source", ids(inputIds, sourceLength)],
          ["mask", ids(attentionMask, sourceLength)],
          ["shifted", ids(decoderInputIds, targetLength)],
          ["labels", ids(labels, targetLength)],
        ]),
      ),
    ],
  ]);
}

/** A training step in every precision that the child has, and greedy decoding of the batch. */
export function torchContests(gpu: Gpu, torch: Torch, subject: Subject): Contest[] {
  const { name, config, batch } = subject;
  const precisions: Precision[] = torch.device === "CPU" ? ["fp32"] : ["fp32", "tf32", "bf16"];
  const peer = (precision: string) => `PyTorch ${torch.version}, ${torch.device}, ${precision}`;
  const answer = { name, config, batch: { ...batch, targetLength: DECODED } };
  return [
    ...precisions.map((precision): Contest => ({
      work: `${name} with generated adapters, training step`,
      peer: peer(precision),
      ours: () => ours.alone(gpu, () => ours.modelTraining(gpu, subject)),
      theirs: () => torchContender(torch, "train", precision),
      tolerance: TOLERANCE[precision],
    })),
    {
      work:
        `${name} with generated adapters, greedy decoding of ${batch.batchSize} × ${DECODED} tokens`,
      peer: peer("fp32"),
      ours: () => ours.decoding(gpu, answer),
      theirs: () => torchContender(torch, "decode", "fp32"),
      tolerance: 0,
      units: DECODED,
    },
  ];
}

async function torchContender(
  torch: Torch,
  work: "train" | "decode",
  precision: Precision,
): Promise<Contender> {
  const command = { precision, tokens: DECODED };
  await torch.obey({ ...command, work: "reset", count: 1 });
  let peak = 0;
  return {
    async run(count) {
      const { values, peakBytes } = await torch.obey({ ...command, work, count });
      peak = peakBytes;
      return values;
    },
    peakBytes: () => peak,
    destroy() {},
  };
}
