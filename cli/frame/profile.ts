/** Kernel times as a table: the slowest kernels first. */

import type { KernelTime } from "../../src/gpu/profiler.ts";
import { table } from "./table.ts";

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
