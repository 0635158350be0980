/**
 * Pretraining batches: a passage a row, its salient spans masked, rows of similar length together.
 *
 * Invariant: the batch of an index is a function of the passages, the seed and that index, so a run that
 * was broken off goes on with the same batches (the passages are wound forward, which takes seconds).
 */

import type { Tokenizer } from "../text/tokenizer.ts";
import { type Batch, collate, type EncodedExample } from "./batch.ts";
import { Random } from "./random.ts";
import { maskSalient, type Passage } from "./salient.ts";

export interface PretrainingOptions {
  /** Passages in a batch. */
  readonly batchSize: number;
  /** Seed of what is masked and of the order of batches. */
  readonly seed: number;
}

/** Batches that are sorted by length together. */
const WINDOW = 16;

/** Batches in rising order of index. */
export class PretrainingBatches {
  readonly #passages: Iterator<Passage>;
  /** Windows of passages taken so far. */
  #taken = 0;
  #window: readonly (readonly EncodedExample[])[] = [];

  constructor(
    passages: Iterable<Passage>,
    readonly tokenizer: Tokenizer,
    readonly options: PretrainingOptions,
  ) {
    this.#passages = passages[Symbol.iterator]();
  }

  /**
   * The batch at `index`.
   *
   * @throws RangeError for an index before the window of the last one asked for, or text that has ended
   */
  batch(index: number): Batch {
    const window = Math.floor(index / WINDOW);
    if (window < this.#taken - 1) {
      throw new RangeError(`pretraining batch ${index} was asked for after a later one`);
    }
    while (this.#taken <= window) {
      const passages = this.#take(WINDOW * this.options.batchSize);
      if (this.#taken++ === window) this.#window = this.#fillWindow(window, passages);
    }
    return collate(this.#window[index % WINDOW]);
  }

  #take(count: number): Passage[] {
    return Array.from({ length: count }, () => {
      const { value, done } = this.#passages.next();
      if (done) throw new RangeError("the pretraining text has come to its end");
      return value;
    });
  }

  #fillWindow(window: number, passages: readonly Passage[]): EncodedExample[][] {
    const { batchSize, seed } = this.options;
    const rows = passages
      .map((passage, i) => this.#encode(passage, new Random(seed, "mask", window, i)))
      .sort((a, b) => a.source.length - b.source.length);
    const batches = Array.from(
      { length: WINDOW },
      (_, i) => rows.slice(i * batchSize, (i + 1) * batchSize),
    );
    return new Random(seed, "batches", window).shuffle(batches);
  }

  #encode({ text, salient }: Passage, random: Random): EncodedExample {
    const { eosId, sentinelIds } = this.tokenizer;
    // A salient span is whole words, so the ids up to a place in the text are those of the words before it.
    const idsBefore = (end: number) =>
      this.tokenizer.encodePart(text.slice(0, end).trimEnd()).length;
    const { source, target } = maskSalient(
      this.tokenizer.encodePart(text),
      salient.map(([start, end]) => [idsBefore(start), idsBefore(end)] as const),
      { random, sentinelIds },
    );
    return {
      task: "pretraining",
      source: [...source, eosId],
      target: [...target, eosId],
      truncated: 0,
    };
  }
}

/**
 * Passages with others strewn in: before each, one of `paragraphs` with chance `share`. Without
 * paragraphs the passages are as they were.
 */
export function* mixPassages(
  passages: Iterable<Passage>,
  paragraphs: readonly string[],
  share: number,
  seed: number,
): Generator<Passage> {
  const random = new Random(seed, "mix");
  for (const passage of passages) {
    if (paragraphs.length > 0 && random.float() < share) {
      yield { text: random.pick(paragraphs), salient: [] };
    }
    yield passage;
  }
}

/** The prose paragraphs of books, each cut to the words within `maxCharacters`. */
export function paragraphs(books: readonly string[], maxCharacters = 160): string[] {
  return books
    .flatMap((book) => book.split(/\n\s*\n/).map((text) => text.replace(/\s+/g, " ").trim()))
    .filter((text) => text.length > 80)
    .map((text) =>
      text.length <= maxCharacters
        ? text
        : text.slice(0, maxCharacters + 1).replace(/ [^ ]*$/, "").slice(0, maxCharacters)
    );
}
