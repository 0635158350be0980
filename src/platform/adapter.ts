/**
 * Getting a GPU in Deno: hardware, or else the system's software driver, or else SwiftShader from npm.
 *
 * To choose another: the variable `DENO_WEBGPU_BACKEND` (`vulkan`, `gl`, `metal`, `dx12`) is Deno's own,
 * `VK_DRIVER_FILES` the Vulkan loader's.
 */
import { UserError } from "../errors.ts";
import { acquireDevice, describe, type Gpu } from "../gpu/device.ts";
import { hasChromium, loadSwiftShader } from "./swiftshader.ts";

/** Opens a device to compute on. */
export type Acquire = () => Promise<Gpu>;

/**
 * The best adapter of this machine, with all it offers.
 *
 * @throws {UserError} when there is none and none can be fetched; it says what to install
 */
export async function acquireGpu(): Promise<Gpu> {
  // Mesa complains on stderr at every adapter request when this is not set.
  if (Deno.build.os === "linux" && !Deno.env.has("XDG_RUNTIME_DIR")) {
    Deno.env.set("XDG_RUNTIME_DIR", "/tmp");
  }
  let obstacle = "";
  if (hasChromium() && !await systemHasAdapter()) {
    try {
      await loadSwiftShader();
    } catch (error) {
      obstacle = ` SwiftShader could not be used either: ${
        error instanceof Error ? error.message : error
      }`;
    }
  }
  const gpu = await acquireDevice();
  if (gpu) return gpu;
  throw new UserError(
    `This machine has no graphics driver that WebGPU can use; install one (Debian and Ubuntu: ` +
      `apt-get install mesa-vulkan-drivers libvulkan1) or the driver of your GPU.${obstacle}`,
  );
}

/** Says on stderr which adapter computes, and what to expect of a slow one. */
export function announce(gpu: Gpu): void {
  console.error(`GPU: ${describe(gpu)}`);
  if (gpu.isCpu) {
    console.error(
      "Warning: this adapter is a program on the CPU: right, but many times slower than a GPU.",
    );
  }
}

/**
 * Asks in a worker, which has a WebGPU of its own: once this thread has asked in vain, SwiftShader
 * comes too late for it. Costs about 0.1 s, most of which the second request saves again.
 */
async function systemHasAdapter(): Promise<boolean> {
  const script = "postMessage(await navigator.gpu.requestAdapter() !== null)";
  const worker = new Worker(`data:text/javascript,${encodeURIComponent(script)}`, {
    type: "module",
  });
  try {
    return await new Promise((resolve) => {
      worker.onmessage = ({ data }) => resolve(data);
      worker.onerror = (event) => {
        event.preventDefault();
        resolve(false);
      };
    });
  } finally {
    worker.terminate();
  }
}
