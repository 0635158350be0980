/**
 * Timing work on the device from the host.
 *
 * Waiting for a device has a cost of its own (11 ms in Deno), whatever was done meanwhile. So work is
 * queued many times and waited for once, so often that the wait is a small part; and this is done several
 * times, because a machine has other things to do. The median counts, the extremes show the spread.
 */

/** How hard to try. */
export interface Effort {
  /** Measurements, of which the median counts. */
  readonly samples: number;
  /** Each measurement repeats the work so often that it takes at least about so long. */
  readonly sampleMilliseconds: number;
}

/** Five times a fifth of a second: the wait in Deno adds a twentieth at most. */
export const usualEffort: Effort = { samples: 5, sampleMilliseconds: 200 };

/** Milliseconds from any origin. */
export interface Clock {
  wall(): number;
  /**
   * Where the device is the CPU: what all threads of the process have computed, over the number of cores.
   * What other programs take of the machine does not count.
   */
  cpu?(): number;
}

/** The clock of pages, and of Deno where nothing better is known. */
export const wallClock: Clock = { wall: () => performance.now() };

/** How long a piece of work takes, by a clock. */
export interface Timing {
  readonly wall: Spread;
  readonly cpu?: Spread;
}

/** The middle of some measurements, and the extremes. */
export interface Spread {
  readonly median: number;
  readonly least: number;
  readonly most: number;
}

/**
 * The milliseconds that a piece of work takes.
 *
 * @param run does the work `repeat` times and waits for it
 */
export async function measure(
  run: (repeat: number) => Promise<unknown>,
  { samples, sampleMilliseconds }: Effort,
  clock: Clock = wallClock,
): Promise<Timing> {
  const time = async (repeat: number) => {
    const [wall, cpu] = [clock.wall(), clock.cpu?.() ?? 0];
    await run(repeat);
    return { wall: clock.wall() - wall, cpu: (clock.cpu?.() ?? 0) - cpu };
  };
  // The first run pays for what drivers put off until then.
  await run(1);
  let repeat = 1;
  // Not by proportion: a short trial is mostly the wait.
  while ((await time(repeat)).wall < sampleMilliseconds) repeat *= 2;
  const times: { wall: number; cpu: number }[] = [];
  while (times.length < samples) times.push(await time(repeat));
  return {
    wall: spread(times.map(({ wall }) => wall / repeat)),
    ...clock.cpu && { cpu: spread(times.map(({ cpu }) => cpu / repeat)) },
  };
}

/** The median and the extremes of at least one value. */
export function spread(values: readonly number[]): Spread {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = (sorted.length - 1) / 2;
  return {
    median: (sorted[Math.floor(middle)] + sorted[Math.ceil(middle)]) / 2,
    least: sorted[0],
    most: sorted[sorted.length - 1],
  };
}
