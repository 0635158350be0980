/**
 * CPU time of a process and all that it has started: what tells a test that hangs from one on a slow or busy
 * machine.
 */

/** Linux counts in these, whatever its kernel's own clock. */
const TICKS_PER_SECOND = 100;

/** Seconds of CPU time; undefined where there is no /proc, or no longer such a process. */
export async function cpuSeconds(pid: number): Promise<number | undefined> {
  if (Deno.build.os !== "linux") return undefined;
  const processes = new Map<number, { parent: number; seconds: number }>();
  for await (const { name } of Deno.readDir("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    const stat = await Deno.readTextFile(`/proc/${name}/stat`).catch(() => "");
    // What precedes is the program's name, which may hold anything.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    if (fields.length < 15) continue;
    // Its own, user and system, and that of its children that have ended.
    const ticks = fields.slice(11, 15).reduce((sum, field) => sum + Number(field), 0);
    processes.set(Number(name), { parent: Number(fields[1]), seconds: ticks / TICKS_PER_SECOND });
  }
  if (!processes.has(pid)) return undefined;
  const descends = (id: number): boolean =>
    id === pid || (processes.has(id) && descends(processes.get(id)!.parent));
  let sum = 0;
  for (const [id, { seconds }] of processes) if (descends(id)) sum += seconds;
  return sum;
}
