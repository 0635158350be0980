/**
 * Every kernel family, each on the shapes of a model's training step, against the adapter's ceilings.
 *
 * Counted are the operations that the mathematics asks for and the bytes of operands and results, each
 * once: a kernel that computes or moves more than that is not credited for it. `share` is of whichever
 * ceiling is nearer; above 1 when operands stay in a cache that is faster than memory.
 */

import type { ModelConfig } from "../../models/config.ts";
import { isAdapterParameter, parameterInventory } from "../../models/inventory.ts";
import { SELF_MASK } from "../../models/t5.ts";
import type { Gpu } from "../gpu/device.ts";
import type { ProgramDescription } from "../graph/compile.ts";
import { adamW } from "../graph/ops/adamw.ts";
import { adapter } from "../graph/ops/adapter.ts";
import { attention } from "../graph/ops/attention.ts";
import { geluGate } from "../graph/ops/gelu-gate.ts";
import { labelSmoothedLoss } from "../graph/ops/label-smoothed-loss.ts";
import { matmul, type MatmulOptions } from "../graph/ops/matmul.ts";
import { rmsNorm } from "../graph/ops/rms-norm.ts";
import { byteLength, size, type Tensor } from "../graph/tensor.ts";
import type { Ceilings } from "./ceilings.ts";
import type { Effort, Spread } from "./measure.ts";
import { Workbench } from "./workbench.ts";

/** A piece of work and what it amounts to. */
export interface KernelCase {
  readonly name: string;
  readonly operands: readonly Tensor[];
  readonly results: readonly Tensor[];
  /** The results are operands with new values. */
  readonly inPlace?: true;
  readonly flops: number;
}

/** How fast a piece of work was. */
export interface KernelResult {
  readonly name: string;
  readonly milliseconds: Spread;
  /** 10⁹ operations per second. */
  readonly gigaflops: number;
  /** 10⁹ bytes per second. */
  readonly gigabytes: number;
  /** Of the ceiling that is nearer. */
  readonly share: number;
}

/** A batch's shape. */
export interface BatchShape {
  readonly batchSize: number;
  readonly sourceLength: number;
  readonly targetLength: number;
}

/** Sides of the square products measured beside a model's own. */
export const SQUARES: readonly number[] = [512, 1024];

/** Measures every case. */
export async function measureKernels(
  gpu: Gpu,
  ceilings: Ceilings,
  cases: Iterable<(bench: Workbench) => KernelCase>,
  effort: Effort,
): Promise<KernelResult[]> {
  const results: KernelResult[] = [];
  for (const make of cases) {
    const bench = new Workbench(gpu);
    const work = make(bench);
    const milliseconds = await bench.time(descriptionOf(work), effort);
    bench.destroy();
    results.push(rate(work, milliseconds, ceilings));
  }
  return results;
}

/** The cases of square products. */
export function squareProducts(sides: readonly number[]): ((bench: Workbench) => KernelCase)[] {
  return sides.flatMap((n) => [
    product("square", [n, n], [n, n], {}),
    product("square", [n, n], [n, n], { transposeB: true }),
  ]);
}

/** The cases of a model's training step on batches of a shape. */
export function trainingKernels(
  config: ModelConfig,
  { batchSize, sourceLength, targetLength }: BatchShape,
): ((bench: Workbench) => KernelCase)[] {
  const { modelDim, feedForwardDim, vocabSize, decoderAdapterDim } = config;
  const inner = config.heads * config.headDim;
  const rows = batchSize * sourceLength, targets = batchSize * targetLength;
  const trained = parameterInventory(config)
    .filter(({ name }) => isAdapterParameter(name))
    .reduce((sum, { shape }) => sum + size(shape), 0);
  const encoder = { batch: batchSize, length: sourceLength };
  const transposeB = true, transposeA = true;
  return [
    product("attention input", [rows, modelDim], [inner, modelDim], { transposeB }),
    product("feed-forward up", [rows, modelDim], [feedForwardDim, modelDim], { transposeB }),
    product("feed-forward down", [rows, feedForwardDim], [modelDim, feedForwardDim], {
      transposeB,
    }),
    product("feed-forward input gradient", [rows, feedForwardDim], [feedForwardDim, modelDim], {}),
    product("feed-forward weight gradient", [rows, feedForwardDim], [rows, modelDim], {
      transposeA,
    }),
    product("logits", [targets, modelDim], [vocabSize, modelDim], { transposeB }),
    ...[false, true].flatMap((backward) => [
      attentionCase(config, encoder, backward),
      normCase(rows, modelDim, backward),
      geluCase(rows, feedForwardDim, backward),
      adapterCase(batchSize, targetLength, modelDim, decoderAdapterDim, backward),
      lossCase(targets, vocabSize, backward),
    ]).sort((a, b) => a.order - b.order).map(({ make }) => make),
    adamWCase(trained),
  ];
}
