/**
 * Several tasks as one endless, shuffled sequence of examples.
 *
 * Invariant: the example at a position depends only on the tasks, the split, the temperature and the
 * seed. There is nothing to save but the position, and a resumed run sees what it would have seen.
 *
 * The sequence is made of epochs as long as all tasks together. In each, a task has a fixed number of
 * places, proportional to size^(1/temperature), scattered at random; it fills them by going through
 * its own examples in an order drawn anew whenever it has used them all. So at temperature 1 an epoch
 * is every example once, and at any temperature no example of a task comes again before the others
 * of that task have.
 */

import { UserError } from "../errors.ts";
import { Random } from "./random.ts";
import type { Dataset, Example, Split } from "./types.ts";

/** How tasks are mixed. */
export interface MixtureOptions {
  readonly seed: number;
  /** 1 (the default) mixes in proportion to size; the larger, the more evenly. */
  readonly temperature?: number;
  /** Which split is drawn from, `train` unless told. */
  readonly split?: Split;
}

/** A task's part of the mixture. */
interface Part {
  readonly name: string;
  readonly examples: readonly Example[];
  /** Places in an epoch. */
  readonly places: number;
}

/** What stands at each place of an epoch. */
interface Plan {
  /** Index of the part. */
  readonly part: Uint16Array;
  /** How many places of the same part come before, in this epoch. */
  readonly rank: Uint32Array;
}

/** Each task's share of the mixture: size^(1/temperature), scaled to add up to 1. */
export function mixtureWeights(sizes: readonly number[], temperature: number): number[] {
  const largest = Math.max(...sizes);
  const powers = sizes.map((size) => (size / largest) ** (1 / temperature));
  const total = powers.reduce((sum, power) => sum + power, 0);
  return powers.map((power) => power / total);
}

/** A mixture of tasks; the head of this file tells the order its examples come in. */
export class Mixture {
  /** Names the random order, together with the position. */
  readonly seed: number;
  /** Each task's places in an epoch, by task name. */
  readonly places: Readonly<Record<string, number>>;
  /** Number of examples in an epoch of the mixture. */
  readonly epochSize: number;
  readonly #parts: readonly Part[];
  // Positions are asked for in rising order, so the last plan and orders made are nearly always it.
  #plan: { epoch: number; plan: Plan } | undefined;
  readonly #orders = new Map<string, { pass: number; order: Uint32Array }>();

  /** @throws UserError when there is no task, or one has no example in the split */
  constructor(
    datasets: readonly Dataset[],
    { seed, temperature = 1, split = "train" }: MixtureOptions,
  ) {
    if (datasets.length === 0) throw new UserError("A mixture needs at least one task.");
    if (!(temperature > 0)) {
      throw new UserError(`The mixing temperature must be above 0, not ${temperature}.`);
    }
    const pools = datasets.map(({ task, splits }) => {
      const examples = splits[split] ?? [];
      if (examples.length === 0) {
        throw new UserError(`Task ${task.name} has no ${split} examples to draw from.`);
      }
      return { name: task.name, examples };
    });
    const sizes = pools.map(({ examples }) => examples.length);
    const total = sizes.reduce((sum, size) => sum + size, 0);
    const weights = mixtureWeights(sizes, temperature);
    this.seed = seed;
    this.#parts = pools.map((pool, i) => ({
      ...pool,
      places: Math.max(1, Math.round(weights[i] * total)),
    }));
    this.places = Object.fromEntries(this.#parts.map(({ name, places }) => [name, places]));
    this.epochSize = this.#parts.reduce((sum, { places }) => sum + places, 0);
  }

  /** The example at `position`, a whole number from 0 on, without end. */
  example(position: number): Example {
    const epoch = Math.floor(position / this.epochSize);
    const place = position % this.epochSize;
    if (this.#plan?.epoch !== epoch) this.#plan = { epoch, plan: this.#planEpoch(epoch) };
    const { part, rank } = this.#plan.plan;
    const { name, examples, places } = this.#parts[part[place]];
    const draw = epoch * places + rank[place];
    const order = this.#order(name, Math.floor(draw / examples.length), examples.length);
    return examples[order[draw % examples.length]];
  }

  #planEpoch(epoch: number): Plan {
    const part = new Uint16Array(this.epochSize);
    let start = 0;
    this.#parts.forEach(({ places }, i) => part.fill(i, start, start += places));
    new Random(this.seed, "mixture", epoch).shuffle(part);
    const count = this.#parts.map(() => 0);
    return { part, rank: Uint32Array.from(part, (i) => count[i]++) };
  }

  /** The order in which task `name` goes through its examples for the `pass`-th time. */
  #order(name: string, pass: number, size: number): Uint32Array {
    const last = this.#orders.get(name);
    if (last?.pass === pass) return last.order;
    const order = new Random(this.seed, "examples", name, pass).permutation(size);
    this.#orders.set(name, { pass, order });
    return order;
  }
}
