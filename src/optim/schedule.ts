/**
 * Learning-rate schedules: a factor on the base rate, from the number of updates done so far.
 *
 * They are those of Hugging Face's trainer, beyond the last planned update too. A warm-up rises linearly
 * from 0: the first update has factor 0, though its moments still count.
 */

/** Factor on the base rate for the update after `step` earlier ones. */
export type Schedule = (step: number) => number;

/** Names of the schedules. */
export const scheduleNames = [
  "linear",
  "cosine",
  "cosine-with-restarts",
  "polynomial",
  "constant",
  "constant-with-warmup",
] as const;

/** A schedule's name. */
export type ScheduleName = typeof scheduleNames[number];

/** The reference's `lr_scheduler` → the schedule that it means. */
export const referenceSchedules: Readonly<Record<string, ScheduleName>> = {
  linear: "linear",
  cosine: "cosine",
  cosine_w_restarts: "cosine-with-restarts",
  polynomial: "polynomial",
  constant: "constant",
  constant_w_warmup: "constant-with-warmup",
};

/** What schedules depend on. */
export interface ScheduleOptions {
  /** Updates of rising learning rate; the constant schedule has none. */
  readonly warmup: number;
  /** All updates. */
  readonly total: number;
  /** Waves of the cosine (default 0.5: down once), or its restarts (default 1). */
  readonly cycles?: number;
  /** Exponent of the polynomial decay; default 1. */
  readonly power?: number;
  /** Share of the base rate that the polynomial decay ends at; default 0. */
  readonly end?: number;
}

/** The schedule of a name. */
export function createSchedule(name: ScheduleName, options: ScheduleOptions): Schedule {
  const { warmup, total, cycles, power, end } = options;
  switch (name) {
    case "linear":
      return linearSchedule(warmup, total);
    case "cosine":
      return cosineSchedule(warmup, total, cycles);
    case "cosine-with-restarts":
      return restartingSchedule(warmup, total, cycles);
    case "polynomial":
      return polynomialSchedule(warmup, total, power, end);
    case "constant":
      return constantSchedule(0);
    case "constant-with-warmup":
      return constantSchedule(warmup);
  }
}

/** Linear decay to 0 at `total`: the reference's default. */
export function linearSchedule(warmup: number, total: number): Schedule {
  return warmed(warmup, (step) => Math.max(0, (total - step) / Math.max(1, total - warmup)));
}

/** Cosine decay: `cycles` waves until `total`, and on beyond it. */
export function cosineSchedule(warmup: number, total: number, cycles = 0.5): Schedule {
  return warmed(warmup, (step) => {
    const progress = (step - warmup) / Math.max(1, total - warmup);
    return Math.max(0, 0.5 * (1 + Math.cos(Math.PI * cycles * 2 * progress)));
  });
}

/** Half a wave from 1 to 0, `cycles` times over (Loshchilov & Hutter 2017); 0 from `total` on. */
export function restartingSchedule(warmup: number, total: number, cycles = 1): Schedule {
  return warmed(warmup, (step) => {
    const progress = (step - warmup) / Math.max(1, total - warmup);
    if (progress >= 1) return 0;
    return Math.max(0, 0.5 * (1 + Math.cos(Math.PI * ((cycles * progress) % 1))));
  });
}

/** Polynomial decay from 1 to `end` at `total`, and `end` from then on. */
export function polynomialSchedule(warmup: number, total: number, power = 1, end = 0): Schedule {
  return warmed(warmup, (step) => {
    if (step > total) return end;
    // With no update between warm-up and end there is only the beginning: 0 / 0 would be no number.
    const left = total > warmup ? 1 - (step - warmup) / (total - warmup) : 1;
    return (1 - end) * left ** power + end;
  });
}

/** Factor 1. */
export function constantSchedule(warmup: number): Schedule {
  return warmed(warmup, () => 1);
}

/**
 * Adafactor's own learning rate (Shazeer & Stern 2018, section 8): min(1e-2, 1 / sqrt(t)) for update t
 * from 1 on, or with a warm-up min(1e-6 · t, 1 / sqrt(t)). A rate, not a factor on one.
 */
export function relativeStepSize(warmup: boolean): Schedule {
  return (step) => Math.min(warmup ? 1e-6 * (step + 1) : 1e-2, 1 / Math.sqrt(step + 1));
}

function warmed(warmup: number, after: Schedule): Schedule {
  return (step) => step < warmup ? step / Math.max(1, warmup) : after(step);
}
