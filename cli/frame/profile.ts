/** Kernel times as a table: the slowest kernels first. */

import { UserError } from "../../src/errors.ts";
import type { KernelTime } from "../../src/gpu/profiler.ts";
import { gigabytes } from "../../src/train/memory-budget.ts";
import type { Run } from "../../src/train/run.ts";
import { table } from "./table.ts";

/** Measures an update of a run and prints its kernels' times, and what memory it takes. */
export async function printProfile(
  { trainer, parts: { gpu } }: Run,
  json = false,
): Promise<void> {
  if (!gpu.features.timestamps) {
    throw new UserError(`${gpu.adapterName} has no timestamp queries, which --profile needs`);
  }
  const kernels = await trainer.profile();
  const { memory: { workspaceBytes, lowerBoundBytes }, dispatchCount } = await trainer.plan();
  const parameterBytes = trainer.parameters.bytes;
  if (json) {
    const memory = { workspaceBytes, lowerBoundBytes, parameterBytes };
    return console.log(JSON.stringify({ dispatches: dispatchCount, memory, kernels }));
  }
  console.log(profileTable(kernels));
  console.log(
    `\n${dispatchCount} dispatches; ${
      gigabytes(workspaceBytes)
    } for intermediate tensors, of which ` +
      `${gigabytes(lowerBoundBytes)} are in use at once; ${
        gigabytes(parameterBytes)
      } of parameters.`,
  );
}

/** Sums the times by kernel and shows each one's share, arithmetic rate and memory rate. */
export function profileTable(times: readonly KernelTime[]): string {
  const total = times.reduce((sum, { milliseconds }) => sum + milliseconds, 0);
  const kernels = Map.groupBy(times, ({ label }) => label);
  const rows = [...kernels].map(([label, calls]) => {
    const sum = (of: (call: KernelTime) => number) => calls.reduce((s, call) => s + of(call), 0);
    return {
      label,
      calls: calls.length,
      milliseconds: sum((call) => call.milliseconds),
      flops: sum((call) => call.flops),
      bytes: sum((call) => call.bytes),
    };
  }).sort((a, b) => b.milliseconds - a.milliseconds);
  const perSecond = (amount: number, milliseconds: number) =>
    milliseconds > 0 ? (amount / milliseconds / 1e6).toFixed(2) : "–";
  return table(["kernel", "calls", "ms", "share", "GFLOP/s", "GB/s"], [
    ...rows.map(({ label, calls, milliseconds, flops, bytes }) => [
      label,
      calls,
      milliseconds.toFixed(2),
      `${(100 * milliseconds / total).toFixed(1)} %`,
      perSecond(flops, milliseconds),
      perSecond(bytes, milliseconds),
    ]),
    ["all", times.length, total.toFixed(2), "", "", ""],
  ]);
}
