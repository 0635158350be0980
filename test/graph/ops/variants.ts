/**
 * The same device as a CPU adapter and as a GPU sees itself, so that every variant of a kernel runs on
 * whatever adapter the tests have.
 */

import type { Gpu } from "../../../src/gpu/device.ts";

/** The device twice, under the names of the variants that its ops will choose. */
export function variants(gpu: Gpu): [name: string, gpu: Gpu][] {
  return [["CPU variant", pretending(gpu, true)], ["GPU variant", pretending(gpu, false)]];
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
