/**
 * Choices for sentences: a named random stream with the two draws that grammar needs.
 *
 * A sentence depends on its own key alone, so it can be made again by itself. The published backbone was
 * pretrained on text drawn here: changing how a sentence draws changes what it saw.
 */
import { Random } from "../random.ts";

export class Draw extends Random {
  chance(probability: number): boolean {
    return this.float() < probability;
  }

  /** Two different items. */
  pair<T>(items: readonly T[]): [T, T] {
    const first = this.integer(items.length);
    const second = (first + 1 + this.integer(items.length - 1)) % items.length;
    return [items[first], items[second]];
  }
}

/** A 32-bit hash of a text (FNV-1a over UTF-16 units, finished by MurmurHash3's mixer). */
export function hash(text: string): number {
  let value = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) value = Math.imul(value ^ text.charCodeAt(i), 0x01000193);
  value = Math.imul(value ^ (value >>> 16), 0x85ebca6b);
  value = Math.imul(value ^ (value >>> 13), 0xc2b2ae35);
  return (value ^ (value >>> 16)) >>> 0;
}
