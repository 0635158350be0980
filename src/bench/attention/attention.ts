/**
 * Attention forward and backward against the same in separate ops and in other frameworks: time in turns, and
 * memory by length.
 */

import type { Gpu } from "../../gpu/device.ts";
import {
  type Comparison,
  type Contender,
  type Contest,
  peakBytes,
  rehearse,
} from "../peers/comparison.ts";
import { tuningOf } from "../../graph/tuning.ts";
import type { Peers } from "../peers/contests.ts";
import { jaxAttention } from "../peers/jax/attention.ts";
import { alone } from "../peers/ours.ts";
import { tensorFlowAttention } from "../peers/tensorflow/attention.ts";
import { fusedAttention } from "./fused.ts";
import type { AttentionProblem } from "./problem.ts";
import { unfusedAttention } from "./unfused.ts";

/** What was measured. */
export interface AttentionResult {
  readonly comparisons: readonly Comparison[];
  readonly memory: readonly MemoryByLength[];
}

/** The most memory of one way to compute attention, operands and results included. */
export interface MemoryByLength {
  readonly name: string;
  readonly lengths: readonly number[];
  readonly bytes: readonly number[];
}

/** A way to compute loss and gradients of a problem. */
type Way = (problem: AttentionProblem) => Contender | Promise<Contender>;

/** Heads of T5-base's size, in batches that the slowest contender does in some seconds. */
const SIZES = { heads: 8, headDim: 64 }, BATCH = { cpu: 2, gpu: 4 };

/** The length at which times are compared. */
const LENGTH = 512;

/** Lengths at which memory is. */
const LENGTHS = [128, 256, 512, 1024];

const DROPOUT_RATE = 0.1;

/** An element of the table's gradient is a sum of up to 10⁵ numbers, which others add one by one. */
const TOLERANCE = 1e-3;

/** The problem at a length. */
export function attentionProblem({ isCpu }: Gpu, length: number): AttentionProblem {
  return { ...SIZES, batch: isCpu ? BATCH.cpu : BATCH.gpu, length, dropoutRate: 0 };
}

/**
 * Contests at length 512. Against this project's own ops with dropout, whose masks are the same; against
 * peers without.
 */
export function attentionContests(gpu: Gpu, peers: Peers | undefined): Contest[] {
  const problem = attentionProblem(gpu, LENGTH);
  const { batch, heads, headDim } = problem;
  const work = `attention ${batch}×${heads}×${LENGTH}×${LENGTH}×${headDim}, forward + backward`;
  const contest = (peer: string, theirs: Way): Contest => ({
    work,
    peer,
    ours: () => alone(gpu, () => fusedAttention(gpu, problem)),
    theirs: () => theirs(problem),
    tolerance: TOLERANCE,
  });
  return [
    againstUnfused(gpu, `${work}, with dropout`),
    ...peers
      ? [
        contest("jax-js", (problem) => jaxAttention(peers.jax, problem)),
        contest("TensorFlow.js", (problem) => tensorFlowAttention(peers.tensorFlow, problem)),
      ]
      : [],
    // What a GPU would be given, for information.
    ...gpu.isCpu
      ? [againstUnfused(asHardware(gpu), `${work}, with dropout, kernels for GPUs`, gpu)]
      : [],
  ];
}

/** Both ways on one device, with a problem of the size that suits `sized`. */
function againstUnfused(gpu: Gpu, work: string, sized = gpu): Contest {
  const problem = { ...attentionProblem(sized, LENGTH), dropoutRate: DROPOUT_RATE };
  return {
    work,
    peer: "unfused ops here",
    ours: () => alone(gpu, () => fusedAttention(gpu, problem)),
    theirs: () => unfusedAttention(gpu, problem),
    tolerance: TOLERANCE,
  };
}

/**
 * The peak of each way at each length.
 *
 * @param tell is called with the name of each before it is measured
 */
export async function attentionMemory(
  gpu: Gpu,
  peers: Peers | undefined,
  tell: (name: string) => void,
  lengths: readonly number[] = LENGTHS,
): Promise<MemoryByLength[]> {
  const own = new Map<string, Way>([
    ["here", (problem) => fusedAttention(gpu, problem)],
    ["unfused ops here", (problem) => unfusedAttention(gpu, problem)],
  ]);
  if (gpu.isCpu) {
    own.set("here, kernels for GPUs", (problem) => fusedAttention(asHardware(gpu), problem));
  }
  const others = new Map<string, Way>();
  if (peers) {
    others.set("jax-js", (problem) => jaxAttention(peers.jax, problem));
    others.set("TensorFlow.js", (problem) => tensorFlowAttention(peers.tensorFlow, problem));
  }
  const results: MemoryByLength[] = [];
  for (const [name, way] of [...own, ...others]) {
    tell(name);
    const bytes: number[] = [];
    for (const length of lengths) {
      const make = () => alone(gpu, () => way(attentionProblem(gpu, length)));
      if (own.has(name) && tuningOf(gpu)) await rehearse(make);
      bytes.push(await peakBytes(make));
    }
    results.push({ name, lengths, bytes });
  }
  return results;
}

/** The device as one whose adapter is hardware, so that ops choose their kernels for GPUs. */
function asHardware(gpu: Gpu): Gpu {
  const { device, adapterName, features, limits, subgroupSize, enableSubgroupsLine, lost } = gpu;
  return {
    ...{ device, adapterName, features, limits, subgroupSize, enableSubgroupsLine, lost },
    isCpu: false,
    assertHealthy: (operation) => gpu.assertHealthy(operation),
    destroy: () => gpu.destroy(),
  };
}
