/** Dawn, Chromium's WebGPU, as a second opinion on what Deno's own WebGPU accepts. */
import { packageDirectory } from "../../src/platform/npm.ts";
import { hasChromium, loadSwiftShader } from "../../src/platform/swiftshader.ts";

const DAWN = "npm:webgpu@0.6.2";

// Held on to: the bindings crash the process once it is garbage-collected, even if its devices live.
let dawn: GPU | undefined;

/**
 * Dawn's WebGPU entry point, downloading it (132 MB unpacked) at the first use.
 *
 * On Linux it runs on SwiftShader, which Dawn accepts in every version, unlike the system's drivers. The
 * Vulkan driver of the whole process is SwiftShader from then on.
 *
 * @param options `isNull`: on no driver, so that it checks all and computes nothing
 */
export async function openDawn({ isNull = false } = {}): Promise<GPU> {
  if (!isNull && hasChromium()) await loadSwiftShader();
  const { create } = await import(`file://${await packageDirectory(DAWN)}/index.js`);
  return dawn ??= create(isNull ? ["backend=null"] : []) as GPU;
}
