/**
 * Compiles every shader with Dawn, printing a line of JSON for each entry point: what is wrong with it,
 * or null. A process of its own, because Dawn here changes the Vulkan driver of its whole process.
 */
import { acquireDevice } from "../../src/gpu/device.ts";
import { pipelineFor } from "../../src/gpu/pipelines.ts";
import { allEntries, halfVariants } from "../shaders/shaders.ts";
import { openDawn } from "./dawn.ts";

const gpu = await acquireDevice({ gpu: await openDawn() });
if (!gpu) Deno.exit(3);
for (const { name, source, entry } of [...allEntries(), ...halfVariants()]) {
  let problem: string | null = null;
  try {
    await pipelineFor(gpu, { name, source, entry, constants: {} });
  } catch (error) {
    problem = error instanceof Error ? error.message : String(error);
  }
  console.log(JSON.stringify({ name, entry, problem }));
}
Deno.exit(0);
