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
 * @param now milliseconds from any origin
 */
export async function measure(
  run: (repeat: number) => Promise<unknown>,
  { samples, sampleMilliseconds }: Effort,
  now: () => number = () => performance.now(),
): Promise<Spread> {
  const time = async (repeat: number) => {
    const start = now();
    await run(repeat);
    return now() - start;
  };
  // The first run pays for what drivers put off until then.
  await run(1);
  let repeat = 1;
  // Not by proportion: a short trial is mostly the wait.
  while (await time(repeat) < sampleMilliseconds) repeat *= 2;
  const times: number[] = [];
  while (times.length < samples) times.push(await time(repeat) / repeat);
  return spread(times);
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
