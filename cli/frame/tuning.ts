/** The flags that say whether kernels are chosen by measuring them. */

import { type Command, Option } from "commander";
import type { Gpu } from "../../src/gpu/device.ts";
import { tuneMachine } from "../../src/platform/tuning-file.ts";

/** The flag as a command finds it. */
export interface TuningFlag {
  readonly tune?: boolean;
}

/** Adds the flags to a command. */
export function withTuning(command: Command): Command {
  return command
    .option("--tune", "measure which kernels are fastest, once per adapter (default: on a GPU)")
    .addOption(new Option("--no-tune", "choose kernels by estimate"));
}

/** Lets a device measure its kernels if the flag says so; by default, if it is none of the CPU's. */
export async function tune(gpu: Gpu, { tune = !gpu.isCpu }: TuningFlag): Promise<void> {
  if (!tune) return;
  let isTold = false;
  await tuneMachine(gpu, () => {
    if (isTold) return;
    console.error("Measuring which kernels are fastest on this adapter, once for all times …");
    isTold = true;
  });
}
