/**
 * The same device as a CPU adapter and as a GPU sees itself, so that every variant of a kernel runs on
 * whatever adapter the tests have.
 */

import type { Gpu } from "../../../src/gpu/device.ts";
import { choice } from "../../choice.ts";

/** The device twice, under the names of the variants that its ops will choose. */
export function variants(gpu: Gpu): [name: string, gpu: Gpu][] {
  return [["CPU variant", pretending(gpu, true)], ["GPU variant", pretending(gpu, false)]];
}

/**
 * Those of `variants` that are worth their time: the kind that the device is of and, in an exhaustive run, the
 * other. For kernels of which some drivers take seconds to compile each: large blocks, unrolled.
 */
export function chosenVariants(gpu: Gpu): [name: string, gpu: Gpu][] {
  return variants(gpu).filter(([, seen]) => choice.exhaustive || seen.isCpu === gpu.isCpu);
}

function pretending(gpu: Gpu, isCpu: boolean): Gpu {
  return {
    device: gpu.device,
    adapterName: gpu.adapterName,
    isCpu,
    features: gpu.features,
    limits: gpu.limits,
    subgroupSize: gpu.subgroupSize,
    enableSubgroupsLine: gpu.enableSubgroupsLine,
    lost: gpu.lost,
    assertHealthy: (operation) => gpu.assertHealthy(operation),
    destroy: () => gpu.destroy(),
  };
}
