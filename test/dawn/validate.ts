/**
 * Compiles every shader with Dawn, printing a line of JSON for each entry point: what is wrong with it,
 * or null. A process of its own, because Dawn here changes the Vulkan driver of its whole process.
 *
 * A quick run does without a driver behind Dawn, which takes most of the time and seldom objects to what Dawn
 * accepts.
 */
import { acquireDevice } from "../../src/gpu/device.ts";
import { pipelineFor } from "../../src/gpu/pipelines.ts";
import { reflect } from "../../src/gpu/reflection.ts";
import { choice } from "../choice.ts";
import { allEntries, halfVariants } from "../shaders/shaders.ts";
import { openDawn } from "./dawn.ts";

const gpu = await acquireDevice({ gpu: await openDawn({ isNull: !choice.exhaustive }) });
if (!gpu) Deno.exit(3);
const { maxStorageBuffersPerShaderStage } = gpu.limits;
for (const { name, source, entry } of [...allEntries(), ...halfVariants()]) {
  let problem: string | null = null;
  try {
    // Without a driver, a device has no more bindings than any must have: of a kernel for others, the module is checked.
    if (reflect(source, entry).storage.length > maxStorageBuffersPerShaderStage) {
      problem = await moduleProblem(gpu.device, source);
    } else {
      await pipelineFor(gpu, { name, source, entry, constants: {} });
    }
  } catch (error) {
    problem = error instanceof Error ? error.message : String(error);
  }
  console.log(JSON.stringify({ name, entry, problem }));
}
Deno.exit(0);

async function moduleProblem(device: GPUDevice, source: string): Promise<string | null> {
  const code = `enable f16;\nenable subgroups;\n${source}`;
  const { messages } = await device.createShaderModule({ code }).getCompilationInfo();
  return messages.find(({ type }) => type === "error")?.message ?? null;
}
