/**
 * What an adapter can do at best: kernels that do nothing but multiply and add, or but copy.
 *
 * Measured, because data sheets say nothing of drivers, and a CPU adapter has none. They are ops like any
 * other, so that their time includes just what the time of any other kernel does.
 */

import type { Gpu } from "../gpu/device.ts";
import { apply, byteLength, type Op, size, type Tensor } from "../graph/tensor.ts";
import type { Clock, Effort, Timing } from "./measure.ts";
import multiplyAddSource from "./multiply-add.wgsl" with { type: "text" };
import streamSource from "./stream.wgsl" with { type: "text" };
import { Workbench } from "./workbench.ts";

/** The most that was measured of each. */
export interface Ceilings {
  /** 10⁹ floating-point operations per second, f32, a multiplication and an addition being two. */
  readonly gigaflops: number;
  /** 10⁹ bytes per second, read and written. */
  readonly gigabytes: number;
}

/** Enough for every lane of the largest GPU, and little memory. */
const INVOCATIONS = 2 ** 18;

/**
 * Repetitions of the loop: CPU adapters are done in some 40 ms, and the largest GPUs take a millisecond, beside
 * which beginning a dispatch is nothing.
 */
const ROUNDS = { cpu: 64, gpu: 2048 };

/** In a round of the loop: 16 vectors, a multiplication and an addition of 4 numbers each. */
const FLOPS_PER_ROUND = 16 * 4 * 2;

/** Floats copied: 64 MiB in all, more than a CPU's cache holds; on GPUs as many as every device can bind. */
const STREAMED = { cpu: 2 ** 23, gpu: 2 ** 25 };

/** Floats that a workgroup of the copying kernel moves. */
const STREAM_BLOCK = 1024;

interface MultiplyAdd {
  readonly invocations: number;
  readonly rounds: number;
}

const multiplyAddOp: Op<MultiplyAdd> = {
  name: "multiply and add",
  shape: (_, { invocations }) => [{ shape: [4 * invocations], dtype: "f32" }],
  kernel({ inputs: [factor, summand], outputs: [result], attributes: { invocations, rounds } }) {
    return [{
      shader: { name: "multiply-add", source: multiplyAddSource },
      constants: { rounds },
      bindings: { factor, summand, result },
      workgroups: [invocations / 64, 1, 1],
      flops: FLOPS_PER_ROUND * invocations * rounds,
    }];
  },
};

const streamOp: Op<null> = {
  name: "stream",
  shape: ([source]) => [{ shape: source.shape, dtype: "f32" }],
  kernel: ({ inputs: [source], outputs: [result] }) => [{
    shader: { name: "stream", source: streamSource },
    bindings: { source, result },
    workgroups: [size(source.shape) / STREAM_BLOCK, 1, 1],
  }],
};

/**
 * Multiplies by `factor` [1] and adds `summand` [1], 4 · `rounds` times, to 0, 1, 2 and 3; each of the
 * 4 · `invocations` results is the sum of the four. A multiple of 64 invocations.
 */
export function multiplyAdd(factor: Tensor, summand: Tensor, work: MultiplyAdd): Tensor {
  return apply(multiplyAddOp, [factor, summand], work);
}

/** A copy of `source`, a multiple of 1024 floats. */
export function stream(source: Tensor): Tensor {
  return apply(streamOp, [source], null);
}

/** Measures both ceilings. */
export async function measureCeilings(gpu: Gpu, effort: Effort, clock: Clock): Promise<Ceilings> {
  const bench = new Workbench(gpu);
  const kind = gpu.isCpu ? "cpu" : "gpu";
  const rounds = ROUNDS[kind];
  const work = { invocations: INVOCATIONS, rounds };
  const sums = multiplyAdd(bench.floats("factor", [1]), bench.floats("summand", [1]), work);
  const source = bench.floats("source", [STREAMED[kind]]);
  const arithmetic = await bench.time([sums], effort, clock);
  const copying = await bench.time([stream(source)], effort, clock);
  bench.destroy();
  const least = ({ wall, cpu = wall }: Timing) => cpu.least;
  return {
    gigaflops: FLOPS_PER_ROUND * INVOCATIONS * rounds / least(arithmetic) / 1e6,
    gigabytes: 2 * byteLength(source) / least(copying) / 1e6,
  };
}
