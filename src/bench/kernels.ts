/**
 * Every kernel family against the adapter's ceilings.
 *
 * Counted are the operations that the mathematics asks for and the bytes of operands and results, each
 * once: a kernel that computes or moves more is not credited for it.
 */

import type { Gpu } from "../gpu/device.ts";
import { byteLength, type Tensor } from "../graph/tensor.ts";
import type { Ceilings } from "./ceilings.ts";
import type { Clock, Effort, Timing } from "./measure.ts";
import { Workbench } from "./workbench.ts";

/** A piece of work on operands of a bench, and what it amounts to. */
export interface Work {
  readonly name: string;
  readonly operands: readonly Tensor[];
  readonly results: readonly Tensor[];
  /** Floating-point operations. */
  readonly flops: number;
  /** Bytes moved at least; all operands and results unless given. */
  readonly bytes?: number | undefined;
}

/** Makes the operands and the graph of a piece of work. */
export type Case = (bench: Workbench) => Work;

/** How fast a piece of work was. */
export interface KernelResult {
  readonly name: string;
  readonly timing: Timing;
  /** 10⁹ operations per second; of computing time, where the clock knows it. */
  readonly gigaflops: number;
  /** 10⁹ bytes per second, likewise. */
  readonly gigabytes: number;
  /**
   * Of the ceiling that is nearer, as a fraction; above 1 where operands stay in a cache that is faster
   * than memory.
   */
  readonly share: number;
}

/** A differentiable piece of work. */
export interface Differentiable {
  readonly name: string;
  readonly operands: readonly Tensor[];
  readonly result: Tensor;
  /** Operands with a gradient. */
  readonly differentiable: readonly Tensor[];
  readonly flops: number;
  /** Of the gradients alone, given what the forward pass has kept. */
  readonly backwardFlops: number;
  /** Bytes moved at least, and by the gradients alone; all operands and results unless given. */
  readonly bytes?: number;
  readonly backwardBytes?: number;
}

/**
 * Measures cases one after another.
 *
 * @param clock rates are by its computing time, if it has one
 * @param tell is called with the name of each before it is measured
 */
export async function measureKernels(
  gpu: Gpu,
  ceilings: Ceilings,
  cases: Iterable<Case>,
  effort: Effort,
  clock: Clock,
  tell: (name: string) => void = () => {},
): Promise<KernelResult[]> {
  const results: KernelResult[] = [];
  for (const make of cases) {
    const bench = new Workbench(gpu);
    const work = make(bench);
    tell(work.name);
    const timing = await bench.time(work.results, effort, clock);
    bench.destroy();
    results.push(rated(work, timing, ceilings));
  }
  return results;
}

/** The forward pass alone, and the forward pass with its gradients. */
export function withGradients(make: (bench: Workbench) => Differentiable): Case[] {
  return [
    (bench) => {
      const { name, operands, result, flops, bytes } = make(bench);
      return { name, operands, results: [result], flops, bytes };
    },
    (bench) => {
      const { name, operands, result, differentiable, flops, bytes, ...backward } = make(bench);
      const gradient = bench.floats("gradient", result.shape);
      return {
        name: `${name}, forward + backward`,
        operands: [...operands, gradient],
        results: [result, ...gradientsOf(result, gradient, differentiable)],
        flops: flops + backward.backwardFlops,
        bytes: bytes && bytes + (backward.backwardBytes ?? 0),
      };
    },
  ];
}

/** The gradients of the ops from `wanted` to the result, a chain: a loss at its end would be work of its own. */
function gradientsOf(
  { node, index }: Tensor,
  gradient: Tensor,
  wanted: readonly Tensor[],
): Tensor[] {
  const given = node.outputs.map((_, i) => i === index ? gradient : undefined);
  const leadsToOne = (tensor: Tensor): boolean =>
    wanted.includes(tensor) || tensor.node.inputs.some(leadsToOne);
  const needed = node.inputs.map(leadsToOne);
  const gradients = node.op.gradient!(node, given, needed);
  return node.inputs.flatMap((operand, i) => {
    if (!needed[i] || !gradients[i]) return [];
    return wanted.includes(operand) ? [gradients[i]] : gradientsOf(operand, gradients[i], wanted);
  });
}

function rated(
  { name, operands, results, flops, bytes: moved }: Work,
  timing: Timing,
  ceilings: Ceilings,
): KernelResult {
  const all = [...operands, ...results].reduce((sum, tensor) => sum + byteLength(tensor), 0);
  const bytes = moved ?? all;
  const { wall, cpu = wall } = timing;
  const gigaflops = flops / cpu.median / 1e6;
  const gigabytes = bytes / cpu.median / 1e6;
  const share = Math.max(gigaflops / ceilings.gigaflops, gigabytes / ceilings.gigabytes);
  return { name, timing, gigaflops, gigabytes, share };
}
