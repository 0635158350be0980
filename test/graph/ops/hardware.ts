import type { Gpu } from "../../../src/gpu/device.ts";

/**
 * The same device under the claim to be hardware, so that ops choose their kernels for GPUs: these run
 * on a CPU adapter too, only slowly.
 */
export function asHardware(gpu: Gpu): Gpu {
  return {
    ...gpu,
    isCpu: false,
    assertHealthy: (operation) => gpu.assertHealthy(operation),
    destroy: () => gpu.destroy(),
  };
}
