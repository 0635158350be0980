/**
 * Text of ids that come in pieces.
 *
 * Invariant: the pieces that were given out join to the text of all ids together. Decoding each piece by
 * itself would not do: a word's space belongs to the ids before it, and a character may take several ids.
 */

import type { Tokenizer } from "./tokenizer.ts";

/** See the module's header. */
export class IncrementalText {
  readonly #tokenizer: Tokenizer;
  readonly #ids: number[] = [];
  #given = "";

  constructor(tokenizer: Tokenizer) {
    this.#tokenizer = tokenizer;
  }

  /** The text that is certain after more ids, beyond what was given out. */
  push(ids: Iterable<number>): string {
    this.#ids.push(...ids);
    return this.#give(this.#tokenizer.decodeCertain(this.#ids));
  }

  /** What was held back in case more should come. */
  end(): string {
    return this.#give(this.#tokenizer.decode(this.#ids));
  }

  #give(text: string): string {
    const piece = text.slice(this.#given.length);
    this.#given = text.length > this.#given.length ? text : this.#given;
    return piece;
  }
}
