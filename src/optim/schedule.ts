/**
 * Learning-rate schedules: a factor on the base rate, from the number of updates done so far.
 */

/** Factor in [0, 1] for the update after `step` earlier ones. */
export type Schedule = (step: number) => number;

/**
 * Linear warm-up from 0, then linear decay to 0 at `total`: the reference's default.
 *
 * The first update has factor 0 if there is any warm-up (its moments still count).
 */
export function linearSchedule(warmup: number, total: number): Schedule {
  return (step) =>
    step < warmup
      ? step / Math.max(1, warmup)
      : Math.max(0, (total - step) / Math.max(1, total - warmup));
}

/** Factor 1 after a linear warm-up. */
export function constantSchedule(warmup: number): Schedule {
  return (step) => step < warmup ? step / Math.max(1, warmup) : 1;
}
