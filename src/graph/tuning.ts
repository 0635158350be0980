/**
 * Choices between kernels that compute the same, made by measuring them on the adapter at hand.
 *
 * Invariant: one choice for a class of problems, made once. What is chosen decides the order of sums and so
 * the last bits of results; so a choice that a store has is never measured again, and a new one is in
 * every store before the first program that uses it runs. Kernels themselves are deterministic.
 */

import type { Gpu } from "../gpu/device.ts";
import type { Variable } from "./leaves.ts";
import type { Program } from "./program.ts";
import type { Tensor } from "./tensor.ts";

/** What can be computed in several ways. */
export interface Tunable {
  /** The class of problems that the choice is for. */
  readonly key: string;
  /** Names of the ways. The first is taken where nothing was measured, or nothing is clearly faster. */
  readonly candidates: readonly string[];
  /** The computation in one of the ways, on memory of its own. */
  build(candidate: string, gpu: Gpu): Trial;
}

/** Something to be timed. */
export interface Trial {
  readonly result: Tensor;
  /** What is given back afterwards. */
  readonly operands: readonly Variable[];
}

/** Chosen candidates by key. */
export type Choices = Readonly<Record<string, string>>;

/** Where choices are kept. */
export interface TuningStore {
  read(): Promise<Choices>;
  write(choices: Choices): Promise<void>;
}

/** Is told what was chosen by measuring. */
export type TuningListener = (tunable: Tunable, chosen: string) => void;

/** Makes a program that computes a tensor. */
type Compile = (result: Tensor) => Promise<Program>;

/** Times each candidate is measured, and the milliseconds that one measurement is at least to take. */
const ROUNDS = 5, SAMPLE_MILLISECONDS = 10;

/** What is slower than the best by this factor in the first round is not measured again. */
const HOPELESS = 1.5;

/** What is to replace the first candidate must be faster by this factor, and faster in every round. */
const MARGIN = 1.05;

/**
 * Then it must win this share of so many rounds against the first alone: of many candidates on a busy machine, one
 * may seem faster by luck.
 */
const DUEL_ROUNDS = 10, DUEL_SHARE = 0.8;

/** The choices of one device. See the module's header. */
export class Tuning {
  readonly #choices: Map<string, string>;
  readonly #open = new Map<string, Tunable>();
  readonly #stores: TuningStore[];
  readonly #tell: TuningListener;

  private constructor(store: TuningStore, choices: Choices, tell: TuningListener) {
    this.#stores = [store];
    this.#choices = new Map(Object.entries(choices));
    this.#tell = tell;
  }

  /**
   * Choices as the store has them; new ones are added to it.
   *
   * @param tell is called with each new one
   */
  static async open(store: TuningStore, tell: TuningListener = () => {}): Promise<Tuning> {
    return new Tuning(store, await store.read(), tell);
  }

  /** All choices, sorted by key. */
  get choices(): Choices {
    return Object.fromEntries([...this.#choices].toSorted(([a], [b]) => a < b ? -1 : 1));
  }

  /** Keeps the choices, those made until now and those to come, in another store as well. */
  async keepIn(store: TuningStore): Promise<void> {
    await store.write(this.choices);
    this.#stores.push(store);
  }

  /** The candidate to use now: the chosen one or, where none is, the first, until `settle` has measured. */
  choose(tunable: Tunable): string {
    const [first, ...others] = tunable.candidates;
    const chosen = this.#choices.get(tunable.key);
    if (chosen === undefined && others.length > 0) this.#open.set(tunable.key, tunable);
    // A class may hold problems that the chosen candidate is not for.
    return chosen !== undefined && others.includes(chosen) ? chosen : first;
  }

  /**
   * Calls `plan` and measures what that asked `choose` for in vain.
   *
   * @returns what `plan` gives when every choice has been made
   */
  async settle<T>(plan: () => T, gpu: Gpu, compile: Compile): Promise<T> {
    this.#open.clear(); // what was planned for a forecast alone
    const planned = plan();
    if (this.#open.size === 0) return planned;
    // A copy: the candidates' programs are compiled by way of here, too.
    for (const tunable of [...this.#open.values()]) {
      const chosen = await fastest(tunable, gpu, compile);
      this.#choices.set(tunable.key, chosen);
      this.#tell(tunable, chosen);
    }
    for (const store of this.#stores) await store.write(this.choices);
    return plan();
  }
}

const tunings = new WeakMap<GPUDevice, Tuning>();

/** Lets everything compiled for a device from now on use these choices; undefined for none. */
export function useTuning(gpu: Gpu, tuning: Tuning | undefined): void {
  if (tuning) tunings.set(gpu.device, tuning);
  else tunings.delete(gpu.device);
}

/** The choices that a device uses, or undefined. */
export function tuningOf(gpu: Gpu): Tuning | undefined {
  return tunings.get(gpu.device);
}

/** `plan`'s answer when every choice that it asks for has been made. */
export async function planTuned<T>(gpu: Gpu, plan: () => T, compile: Compile): Promise<T> {
  return await tuningOf(gpu)?.settle(plan, gpu, compile) ?? plan();
}

/** The candidate that is clearly the fastest, or else the first. */
async function fastest(tunable: Tunable, gpu: Gpu, compile: Compile): Promise<string> {
  const contenders: { name: string; program: Program; times: number[]; trial: Trial }[] = [];
  try {
    for (const name of tunable.candidates) {
      const trial = tunable.build(name, gpu);
      contenders.push({ name, program: await compile(trial.result), times: [], trial });
    }
    const repeat = await repeatsFor(contenders[0].program, gpu);
    let rest = contenders;
    // In turn, so that what else the machine does falls on all.
    for (let round = 0; round < ROUNDS; round++) {
      for (const { program, times } of rest) times.push(await time(program, repeat, gpu));
      if (round > 0) continue;
      const limit = HOPELESS * Math.min(...rest.map(({ times: [first] }) => first));
      rest = rest.filter(({ times: [first] }, i) => i === 0 || first <= limit);
    }
    const [first] = contenders;
    const best = rest.find(({ name }) => name === clearWinner(rest))!;
    return best !== first && await winsDuel(best.program, first.program, repeat, gpu)
      ? best.name
      : first.name;
  } finally {
    for (const { program, trial } of contenders) {
      program.destroy();
      for (const { buffer } of trial.operands) buffer.destroy();
    }
  }
}

/** Whether one program is faster than another when only these two are timed, now one first, now the other. */
async function winsDuel(
  program: Program,
  other: Program,
  repeat: number,
  gpu: Gpu,
): Promise<boolean> {
  const times: number[] = [], otherTimes: number[] = [];
  for (let round = 0; round < DUEL_ROUNDS; round++) {
    if (round % 2 === 0) otherTimes.push(await time(other, repeat, gpu));
    times.push(await time(program, repeat, gpu));
    if (round % 2 === 1) otherTimes.push(await time(other, repeat, gpu));
  }
  return isFaster(times, otherTimes, DUEL_SHARE);
}

/** The name of the fastest by its median, if the first has not kept up with it; else the first's. */
export function clearWinner(
  contenders: readonly { readonly name: string; readonly times: readonly number[] }[],
): string {
  const [first] = contenders;
  const best = contenders.reduce((a, b) => median(b.times) < median(a.times) ? b : a);
  return isFaster(best.times, first.times, 1) ? best.name : first.name;
}

/** Whether times are less by a margin, at best as well, and in a share of the rounds. */
export function isFaster(
  times: readonly number[],
  others: readonly number[],
  share: number,
): boolean {
  const wins = times.filter((time, round) => time < others[round]).length;
  return MARGIN * median(times) < median(others) &&
    Math.min(...times) < Math.min(...others) &&
    wins >= share * times.length;
}

/** So many runs that waiting for them is not most of the time. The first pays for what drivers put off. */
async function repeatsFor(program: Program, gpu: Gpu): Promise<number> {
  await time(program, 1, gpu);
  let repeat = 1;
  const least = await time(program, 1, gpu) + SAMPLE_MILLISECONDS;
  while (repeat < 1024 && await time(program, repeat, gpu) < least) repeat *= 2;
  return repeat;
}

async function time(program: Program, repeat: number, gpu: Gpu): Promise<number> {
  const start = performance.now();
  program.submit({}, { repeat });
  await gpu.device.queue.onSubmittedWorkDone();
  return performance.now() - start;
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1];
}
