/**
 * SwiftShader, a Vulkan driver that computes on the CPU, out of an npm package: the last resort on a
 * machine that has no graphics driver at all.
 *
 * Invariant: `loadSwiftShader` must run before this process first asks WebGPU for an adapter. Deno looks
 * for `libvulkan.so.1` only then and only once; a loader opened earlier is the one that it finds.
 */
import { cachedDirectory } from "./cache.ts";
import { packageDirectory, unpack } from "./npm.ts";

/** Headless Chromium, which brings SwiftShader and a Vulkan loader along; built for x86-64 Linux. */
export const CHROMIUM = "npm:@sparticuz/chromium@153.0.0";

/** Whether `CHROMIUM` has a build for this machine. */
export function hasChromium(): boolean {
  return Deno.build.os === "linux" && Deno.build.arch === "x86_64";
}

/** Makes SwiftShader this process's Vulkan driver, downloading it (68 MB) at the first use. */
export async function loadSwiftShader(): Promise<void> {
  const name = `swiftshader-${CHROMIUM.split("@").at(-1)}`;
  const directory = await cachedDirectory(name, async (directory) => {
    console.error("Fetching the software driver SwiftShader from npm (68 MB, once) …");
    await unpack(`${await packageDirectory(CHROMIUM)}/bin/swiftshader.tar.br`, directory);
  });
  // Newer Vulkan loaders read the first name, older ones the second.
  for (const name of ["VK_DRIVER_FILES", "VK_ICD_FILENAMES"]) {
    Deno.env.set(name, `${directory}/vk_swiftshader_icd.json`);
  }
  Deno.dlopen(`${directory}/libvulkan.so.1`, {});
}
