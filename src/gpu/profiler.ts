/**
 * Device-side timing of dispatches by timestamp queries.
 *
 * Each dispatch gets a compute pass of its own, so the sum is a little more than a normal run takes;
 * the shares are what counts.
 */

import type { Gpu } from "./device.ts";
import type { Pipeline } from "./pipelines.ts";
import { QUERY_RESOLVE, READBACK } from "./usage.ts";

/** A dispatch that is ready to be encoded. */
export interface TimedDispatch {
  readonly label: string;
  readonly pipeline: Pipeline;
  readonly bindGroup: GPUBindGroup;
  readonly workgroups: readonly [number, number, number];
  /** Floating-point operations it does. */
  readonly flops: number;
  /** Bytes of all the memory bound to it. */
  readonly bytes: number;
}

/** Time of one dispatch. */
export interface KernelTime {
  readonly label: string;
  readonly milliseconds: number;
  readonly flops: number;
  readonly bytes: number;
}

/** Two timestamps a dispatch; a query set holds at most 4096. */
const DISPATCHES_PER_SET = 2048;

/** Runs the dispatches in order and returns the time of each. */
export async function timeDispatches(
  gpu: Gpu,
  dispatches: readonly TimedDispatch[],
): Promise<KernelTime[]> {
  if (!gpu.features.timestamps) {
    throw new Error(`The adapter ${gpu.adapterName} has no timestamp queries; it cannot profile.`);
  }
  const times: KernelTime[] = [];
  for (let start = 0; start < dispatches.length; start += DISPATCHES_PER_SET) {
    const chunk = dispatches.slice(start, start + DISPATCHES_PER_SET);
    const stamps = await timestamps(gpu, chunk);
    chunk.forEach(({ label, flops, bytes }, i) => {
      const milliseconds = Number(stamps[2 * i + 1] - stamps[2 * i]) / 1e6;
      times.push({ label, milliseconds, flops, bytes });
    });
  }
  return times;
}

async function timestamps(gpu: Gpu, chunk: readonly TimedDispatch[]): Promise<BigUint64Array> {
  const { device } = gpu;
  const count = 2 * chunk.length;
  const querySet = device.createQuerySet({ type: "timestamp", count });
  const resolved = device.createBuffer({ size: 8 * count, usage: QUERY_RESOLVE });
  const staging = device.createBuffer({ size: 8 * count, usage: READBACK });
  const encoder = device.createCommandEncoder();
  chunk.forEach(({ pipeline, bindGroup, workgroups }, i) => {
    const pass = encoder.beginComputePass({
      timestampWrites: {
        querySet,
        beginningOfPassWriteIndex: 2 * i,
        endOfPassWriteIndex: 2 * i + 1,
      },
    });
    pass.setPipeline(pipeline.pipeline);
    pass.setBindGroup(0, bindGroup);
    pass.dispatchWorkgroups(...workgroups);
    pass.end();
  });
  encoder.resolveQuerySet(querySet, 0, count, resolved, 0);
  encoder.copyBufferToBuffer(resolved, 0, staging, 0, 8 * count);
  device.queue.submit([encoder.finish()]);
  await staging.mapAsync(1);
  const stamps = new BigUint64Array(staging.getMappedRange().slice(0));
  for (const resource of [querySet, resolved, staging]) resource.destroy();
  gpu.assertHealthy("profiling");
  return stamps;
}
