/**
 * The same work in two frameworks, on the same adapter and in the same process, in turns: whatever else
 * the machine does strikes both. Nothing is timed before both have come to the same result.
 */

import { type Census, takeCensus } from "../census.ts";
import { type Clock, type Spread, spread } from "../measure.ts";

/** A framework at work. */
export interface Contender {
  /**
   * Does the work so many times and waits for it.
   *
   * @returns numbers of one or more kinds that another framework must come to as well
   */
  run(count: number): Promise<readonly ArrayLike<number>[]>;
  /** The most memory that it had on the device, where it does not use WebGPU. */
  peakBytes?(): number;
  /** Gives all memory back. */
  destroy(): void | Promise<void>;
}

/** The same work for two frameworks. */
export interface Contest {
  readonly work: string;
  readonly peer: string;
  ours(): Contender | Promise<Contender>;
  theirs(): Contender | Promise<Contender>;
  /** Largest difference between two numbers of a kind, relative to the largest number of that kind. */
  readonly tolerance: number;
  /** Units of work in one run: products of a chain, tokens of a text. 1 unless given. */
  readonly units?: number;
}

/** How the comparison is done. */
export interface Turns {
  /** Turns of each that count. */
  readonly turns: number;
  /** A turn repeats the work until it takes at least about so long, so that the wait is a small part. */
  readonly milliseconds: number;
}

/** Enough for a median; a turn of half a second has a wait of two hundredths. */
export const usualTurns: Turns = { turns: 7, milliseconds: 500 };

/** What came of a comparison. */
export interface Comparison {
  readonly work: string;
  readonly peer: string;
  /** Milliseconds of one unit. */
  readonly ours: Spread;
  readonly theirs: Spread;
  /** Theirs over ours, turn by turn: above 1, this project is faster. */
  readonly ratio: Spread;
  /** The same ratio of computing time, which other programs on the machine disturb less. */
  readonly cpuRatio?: Spread;
  /** What each asks of WebGPU to do the work once; the memory includes what was made ready before. */
  readonly counts: { readonly ours: Census; readonly theirs: Census };
}

/**
 * Compares two frameworks.
 *
 * @throws {Error} if they come to different results
 */
export async function compare(
  contest: Contest,
  clock: Clock,
  { turns, milliseconds }: Turns = usualTurns,
): Promise<Comparison> {
  const { work, peer, units = 1 } = contest;
  const ours = await prepare(contest.ours);
  const theirs = await prepare(contest.theirs);
  requireAgreement(contest, ours.values, theirs.values);

  const counts = [await countFor(ours.contender), await countFor(theirs.contender)];
  const wall: number[][] = [], cpu: number[][] = [];
  for (let turn = 0; turn < turns; turn++) {
    const times = [];
    for (const [i, { contender }] of [ours, theirs].entries()) {
      const [start, began] = [clock.wall(), clock.cpu?.() ?? 0];
      await contender.run(counts[i]);
      const share = 1 / counts[i] / units;
      times.push([(clock.wall() - start) * share, ((clock.cpu?.() ?? 0) - began) * share]);
    }
    wall.push(times.map(([elapsed]) => elapsed));
    cpu.push(times.map(([, computed]) => computed));
  }
  await ours.contender.destroy();
  await theirs.contender.destroy();
  const ratio = (pairs: number[][]) => spread(pairs.map(([own, other]) => other / own));
  return {
    work,
    peer,
    ours: spread(wall.map(([own]) => own)),
    theirs: spread(wall.map(([, other]) => other)),
    ratio: ratio(wall),
    ...clock.cpu && { cpuRatio: ratio(cpu) },
    counts: { ours: ours.census, theirs: theirs.census },
  };

  /** Runs in a turn. The first of all pays for what drivers put off until then, and does not count. */
  async function countFor(contender: Contender): Promise<number> {
    await contender.run(1);
    // A short trial is mostly the wait: only one of about a turn's length tells how long a run takes.
    for (let count = 1;; count *= 2) {
      const start = clock.wall();
      await contender.run(count);
      const elapsed = clock.wall() - start;
      if (2 * elapsed >= milliseconds) {
        return Math.max(1, Math.ceil(count * milliseconds / elapsed));
      }
    }
  }
}

/**
 * Makes a contender and lets it work once: what is done only the first time on a device, as the choice of
 * kernels, is no part of what is measured later.
 */
export async function rehearse(make: () => Contender | Promise<Contender>): Promise<void> {
  const contender = await make();
  await contender.run(1);
  await contender.destroy();
}

/** The most memory that a contender has on the device in making itself ready and doing its work once. */
export async function peakBytes(make: () => Contender | Promise<Contender>): Promise<number> {
  const { contender, census } = await prepare(make);
  await contender.destroy();
  return census.peakBytes;
}

/** Makes a contender and lets it work once, counting. */
async function prepare(make: () => Contender | Promise<Contender>) {
  const [[contender, values, steady], made] = await takeCensus(async () => {
    const contender = await make();
    const [values, steady] = await takeCensus(() => contender.run(1));
    return [contender, values, steady] as const;
  });
  const peakBytes = contender.peakBytes?.() ?? made.peakBytes;
  return { contender, values, census: { ...steady, peakBytes } };
}

/** A comparison of speed is one of nothing if the results differ. */
function requireAgreement(
  { work, peer, tolerance }: Contest,
  ours: readonly ArrayLike<number>[],
  theirs: readonly ArrayLike<number>[],
): void {
  for (const [kind, own] of ours.entries()) {
    const other = theirs[kind];
    let difference = own.length === other.length ? 0 : Infinity, largest = 0;
    for (let i = 0; i < own.length; i++) {
      difference = Math.max(difference, Math.abs(own[i] - other[i]));
      largest = Math.max(largest, Math.abs(own[i]));
    }
    if (difference <= tolerance * largest) continue; // false for NaN as well
    throw new Error(
      `${peer} comes to another result of ${work}: numbers up to ${largest} differ by ${difference}.`,
    );
  }
}
