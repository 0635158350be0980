/**
 * The GPU that tests run on: the machine's own in Deno, the page's in a browser.
 *
 * In Deno, `HYPERDECODER_TEST_GPU=swiftshader` or `=dawn` chooses SwiftShader, or Dawn's WebGPU in place
 * of Deno's: the same tests, other compilers. One device per process: opening one costs more than most
 * tests.
 */
import { acquireDevice, type Gpu } from "../../src/gpu/device.ts";

let device: Promise<Gpu> | undefined;

/** The process's test device. */
export function testDevice(): Promise<Gpu> {
  return device ??= openDevice();
}

async function openDevice(): Promise<Gpu> {
  const gpu = "Deno" in globalThis ? await openInDeno() : await acquireDevice();
  if (!gpu) throw new Error("There is no WebGPU adapter.");
  return gpu;
}

async function openInDeno(): Promise<Gpu | undefined> {
  const choice = Deno.env.get("HYPERDECODER_TEST_GPU");
  if (choice === "dawn") {
    const { openDawn } = await import("../dawn/dawn.ts");
    return await acquireDevice({ gpu: await openDawn() });
  }
  if (choice === "swiftshader") {
    const { loadSwiftShader } = await import("../../src/platform/swiftshader.ts");
    await loadSwiftShader();
  }
  const { acquireGpu } = await import("../../src/platform/adapter.ts");
  return await acquireGpu();
}
