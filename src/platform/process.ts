/** What this process has used of its machine. */

import process from "node:process";

/** Milliseconds that all its threads together have computed. */
export function computedMilliseconds(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

/** Bytes of memory that it occupies now. */
export function residentBytes(): number {
  return Deno.memoryUsage().rss;
}
