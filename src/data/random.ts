/**
 * Random numbers by counter (Philox 4x32-10), the same bits on every platform.
 *
 * Invariant: a number depends only on the seed, the name of its stream and its place in the stream,
 * never on what was drawn elsewhere. That is what lets a run resume at any step by knowing the step
 * alone, and what keeps one consumer's draws from moving another's.
 *
 * Source: Salmon et al. 2011, "Parallel Random Numbers: As Easy as 1, 2, 3".
 */

const MULTIPLIER_0 = 0xD2511F53;
const MULTIPLIER_1 = 0xCD9E8D57;
const WEYL_0 = 0x9E3779B9;
const WEYL_1 = 0xBB67AE85;
const ROUNDS = 10;

/** Four 32-bit words. */
export type Words = [number, number, number, number];

/** The Philox 4x32-10 block function: four random words from a counter of four words and a key of two. */
export function philox(counter: Readonly<Words>, key0: number, key1: number): Words {
  let [c0, c1, c2, c3] = counter;
  for (let round = 0; round < ROUNDS; round++) {
    const high0 = multiplyHigh(MULTIPLIER_0, c0);
    const low0 = Math.imul(MULTIPLIER_0, c0);
    const high1 = multiplyHigh(MULTIPLIER_1, c2);
    const low1 = Math.imul(MULTIPLIER_1, c2);
    c0 = high1 ^ c1 ^ key0;
    c1 = low1;
    c2 = high0 ^ c3 ^ key1;
    c3 = low0;
    key0 = (key0 + WEYL_0) | 0;
    key1 = (key1 + WEYL_1) | 0;
  }
  return [c0 >>> 0, c1 >>> 0, c2 >>> 0, c3 >>> 0];
}

/** The upper 32 bits of the 64-bit product of two unsigned words. */
function multiplyHigh(a: number, b: number): number {
  const aHigh = a >>> 16, aLow = a & 0xFFFF;
  const bHigh = b >>> 16, bLow = b & 0xFFFF;
  const middle = aHigh * bLow + ((aLow * bLow) >>> 16); // below 2^33, exact in a double
  const carry = (middle % 0x10000) + aLow * bHigh;
  return (aHigh * bHigh + Math.floor(middle / 0x10000) + Math.floor(carry / 0x10000)) >>> 0;
}

/**
 * One stream of random numbers, named by a seed and a path.
 *
 * @example
 * ```ts
 * const random = new Random(7, "mixture", epoch); // independent of every other path
 * const order = random.permutation(1000);
 * ```
 */
export class Random {
  #key0: number;
  #key1: number;
  #block = 0;
  #words: Words = [0, 0, 0, 0];
  #used = 4;

  /**
   * @param seed any safe integer
   * @param path what tells this stream from the others of the same seed: names and whole numbers
   */
  constructor(seed: number, ...path: readonly (string | number)[]) {
    [this.#key0, this.#key1] = splitWords(seed);
    for (const part of path) {
      if (typeof part === "number") this.#absorb(part, 1);
      else for (let i = 0; i <= part.length; i++) this.#absorb(part.charCodeAt(i) || 0, 2);
    }
  }

  /** Makes the key depend on one more number; `kind` keeps names and numbers apart. */
  #absorb(value: number, kind: number): void {
    const [low, high] = splitWords(value);
    [this.#key0, this.#key1] = philox([low, high, kind, 0xFFFFFFFF], this.#key0, this.#key1);
  }

  /** A whole number, uniform on [0, 2^32). */
  uint32(): number {
    if (this.#used === 4) {
      const [low, high] = splitWords(this.#block++);
      this.#words = philox([low, high, 0, 0], this.#key0, this.#key1);
      this.#used = 0;
    }
    return this.#words[this.#used++];
  }

  /** Uniform on [0, 1), with 53 random bits. */
  float(): number {
    const high = this.uint32() >>> 5;
    const low = this.uint32() >>> 6;
    return (high * 0x4000000 + low) / 0x20000000000000;
  }

  /** A whole number, uniform on [0, bound). */
  integer(bound: number): number {
    return Math.floor(this.float() * bound);
  }

  /** Normally distributed with mean 0 and variance 1 (Box and Muller's transform). */
  normal(): number {
    const radius = Math.sqrt(-2 * Math.log(1 - this.float()));
    return radius * Math.cos(2 * Math.PI * this.float());
  }

  /** One of `items`, each as likely; `items` must not be empty. */
  pick<T>(items: readonly T[]): T {
    return items[this.integer(items.length)];
  }

  /** Shuffles `items` in place (Fisher and Yates) and returns them. */
  shuffle<T extends { length: number; [index: number]: unknown }>(items: T): T {
    for (let i = items.length - 1; i > 0; i--) {
      const j = this.integer(i + 1);
      [items[i], items[j]] = [items[j], items[i]];
    }
    return items;
  }

  /** The numbers 0 … size − 1 in random order. */
  permutation(size: number): Uint32Array {
    return this.shuffle(Uint32Array.from({ length: size }, (_, i) => i));
  }
}

/** The lower and the upper 32 bits of a safe integer. */
function splitWords(value: number): [number, number] {
  if (!Number.isSafeInteger(value)) {
    throw new RangeError(`a random stream is named by whole numbers and strings, not by ${value}`);
  }
  return [value >>> 0, Math.floor(value / 0x100000000) >>> 0];
}
