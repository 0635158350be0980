/**
 * Comparing what this build computes to what the reference computed.
 *
 * Tolerances are the fixtures' own ("Tolerances" of their description) and are the same for every size
 * of model. A value that is not a number matches nothing but another such value.
 */

/** How far a value may be off. */
export interface Tolerance {
  /** The largest error that passes. */
  readonly limit: number;
  /** What errors are measured in, for people. */
  readonly unit: string;
  /** One unit of error at an expected value, in a tensor whose largest magnitude is `absmax`. */
  scale(expected: number, absmax: number): number;
}

const absolute = (limit: number): Tolerance => ({ limit, unit: "absolute", scale: () => 1 });
const relative = (limit: number): Tolerance => ({ limit, unit: "relative", scale: Math.abs });

/** What is allowed for each kind of quantity. */
export const TOLERANCES = {
  /** Hidden states, generated parameters, logits: 1e-4 + 1e-4 × |expected|. */
  activation: {
    limit: 1e-4,
    unit: "absolute + relative",
    scale: (expected: number) => 1 + Math.abs(expected),
  },
  loss: relative(1e-5),
  gradient: {
    limit: 1e-4,
    unit: "of the tensor's absmax",
    scale: (_: number, absmax: number) => absmax,
  },
  gradientNorm: relative(1e-4),
  parameter: absolute(5e-6),
  /** Of a function of a few numbers about 1: some ten roundings. */
  unit: {
    limit: 1e-6,
    unit: "absolute + relative",
    scale: (expected: number) => 1 + Math.abs(expected),
  },
  metric: {
    limit: 1e-9,
    unit: "relative, absolute below 1",
    scale: (expected: number) => Math.max(1, Math.abs(expected)),
  },
  learningRate: absolute(1e-12),
  score: absolute(1e-4),
  exact: { limit: 0, unit: "exact", scale: () => 1 },
} as const satisfies Record<string, Tolerance>;

/** A quantity and what became of it. */
export interface Check {
  readonly quantity: string;
  readonly verdict: "pass" | "miss" | "not checked";
  /** Numbers compared. */
  readonly values: number;
  /** The largest error, in the tolerance's unit; absent where nothing was compared. */
  readonly worstError?: number;
  /** The value it was found at. */
  readonly worstAt?: string;
  readonly tolerance?: number;
  readonly unit?: string;
  /** What missed, or why nothing was checked: a sentence each. */
  readonly notes: readonly string[];
}

/** Numbers of a shape. */
export interface Values {
  readonly shape: readonly number[];
  readonly values: ArrayLike<number>;
}

/** A quantity that this build cannot be judged by. */
export function notChecked(quantity: string, reason: string): Check {
  return { quantity, verdict: "not checked", values: 0, notes: [reason] };
}

/** Gathers the comparisons that belong to one quantity. */
export class Comparison {
  #values = 0;
  #worst = { error: -1, at: "" };
  #misses: string[] = [];

  constructor(readonly quantity: string, readonly tolerance: Tolerance) {}

  /** Compares a tensor, element by element. */
  tensor(
    name: string,
    actual: ArrayLike<number>,
    { shape, values: expected }: Values,
    absmax = largest(expected),
  ): void {
    if (actual.length !== expected.length) {
      this.fail(`${name} has ${actual.length} elements instead of ${expected.length}`);
      return;
    }
    let worst = { error: -1, index: 0 };
    let off = 0;
    for (let i = 0; i < expected.length; i++) {
      const error = this.#error(actual[i], expected[i], absmax);
      if (error > this.tolerance.limit) off++;
      if (error > worst.error) worst = { error, index: i };
    }
    if (worst.error < 0) return;
    const at = shape.length > 0 ? `${name}[${coordinates(worst.index, shape)}]` : name;
    this.#values += expected.length;
    if (worst.error > this.#worst.error) this.#worst = { error: worst.error, at };
    if (off > 0) {
      const others = off > 1 ? `; ${off} of ${expected.length} values are off` : "";
      this.#misses.push(
        `${at} is ${actual[worst.index]} instead of ${expected[worst.index]}${others}`,
      );
    }
  }

  /** Compares a single number; `absmax` is that of the tensor it says something about. */
  value(name: string, actual: number, expected: number, absmax = Math.abs(expected)): void {
    this.tensor(name, [actual], { shape: [], values: [expected] }, absmax);
  }

  /** Compares a text. */
  text(name: string, actual: string, expected: string): void {
    if (actual !== expected) {
      this.fail(`${name} is ${JSON.stringify(actual)} instead of ${JSON.stringify(expected)}`);
    }
    this.#values++;
    if (this.#worst.error < 0) this.#worst = { error: 0, at: "" };
  }

  /** Compares two sets of names. */
  names(actual: Iterable<string>, expected: Iterable<string>): void {
    const here = new Set(actual), there = new Set(expected);
    for (const name of there.difference(here)) this.fail(`${name} is missing in this build`);
    for (const name of here.difference(there)) this.fail(`${name} is unknown to the reference`);
    this.#values += there.size;
    if (this.#worst.error < 0) this.#worst = { error: 0, at: "" };
  }

  /** Records a miss that is not a matter of degree. */
  fail(sentence: string): void {
    this.#misses.push(sentence);
    this.#worst = { error: Infinity, at: sentence };
  }

  /** The outcome; undefined where nothing was compared. */
  check(): Check | undefined {
    const { error, at } = this.#worst;
    if (error < 0) return undefined;
    return {
      quantity: this.quantity,
      verdict: this.#misses.length > 0 ? "miss" : "pass",
      values: this.#values,
      worstError: error,
      worstAt: at,
      tolerance: this.tolerance.limit,
      unit: this.tolerance.unit,
      notes: this.#misses,
    };
  }

  #error(actual: number, expected: number, absmax: number): number {
    if (Object.is(actual, expected) || actual === expected) return 0;
    const error = Math.abs(actual - expected) / this.tolerance.scale(expected, absmax);
    return Number.isNaN(error) ? Infinity : error;
  }
}

/** The outcomes of those comparisons that compared anything. */
export function outcomes(comparisons: Iterable<Comparison>): Check[] {
  return [...comparisons].map((comparison) => comparison.check()).filter((check) => !!check);
}

/** The largest magnitude. */
export function largest(values: ArrayLike<number>): number {
  let absmax = 0;
  for (let i = 0; i < values.length; i++) absmax = Math.max(absmax, Math.abs(values[i]));
  return absmax;
}

/** A flat index as one index an axis. */
function coordinates(index: number, shape: readonly number[]): string {
  const parts: number[] = [];
  for (const axis of shape.toReversed()) {
    parts.unshift(index % axis);
    index = Math.floor(index / axis);
  }
  return parts.join(", ");
}
