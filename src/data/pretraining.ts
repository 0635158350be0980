/**
 * Pretraining batches: a stream of passages, cut into windows of ids, each span-corrupted.
 *
 * Invariant: the batch of an index is a function of the passages, the seed and that index, so a run that
 * was broken off goes on with the same batches (the stream is wound forward, which takes seconds).
 */

import type { Tokenizer } from "../text/tokenizer.ts";
import { type Batch, collate } from "./batch.ts";
import { spanCorrupt } from "./corpus.ts";
import { Random } from "./random.ts";

/** How the stream is cut. */
export interface PretrainingOptions {
  readonly batchSize: number;
  /** Ids in a window before corruption. */
  readonly windowLength: number;
  /** Seed of the places of the removed spans. */
  readonly seed: number;
}

/** Batches in rising order of index. */
export class PretrainingBatches {
  #passages: Iterator<string>;
  #ids: number[] = [];
  #next = 0;

  constructor(
    passages: Iterable<string>,
    readonly tokenizer: Tokenizer,
    readonly options: PretrainingOptions,
  ) {
    this.#passages = passages[Symbol.iterator]();
  }

  /** The batch at `index`; an index below the last one asked for is an error. */
  batch(index: number): Batch {
    if (index < this.#next) throw new Error("Pretraining batches come in rising order.");
    const { batchSize, windowLength } = this.options;
    while (this.#next < index) {
      this.#take(batchSize * windowLength);
      this.#next++;
    }
    this.#next++;
    const { seed } = this.options;
    const { eosId, sentinelIds } = this.tokenizer;
    return collate(
      Array.from({ length: batchSize }, (_, row) => {
        const { source, target } = spanCorrupt(this.#take(windowLength), {
          random: new Random(seed, "spans", index, row),
          sentinelIds,
        });
        return {
          task: "span corruption",
          source: [...source, eosId],
          target: [...target, eosId],
          truncated: 0,
        };
      }),
    );
  }

  /** The next ids of the stream: passages one after the other, nothing between them. */
  #take(count: number): number[] {
    while (this.#ids.length < count) {
      const { value, done } = this.#passages.next();
      if (done) throw new Error("The pretraining text has come to its end.");
      this.#ids.push(...this.tokenizer.encode(value).slice(0, -1));
    }
    return this.#ids.splice(0, count);
  }
}

/**
 * Two endless streams of passages mixed so that `share` of the characters come from `second`, which is
 * begun again where it ends.
 */
export function* mixPassages(
  first: Iterable<string>,
  second: readonly string[],
  share: number,
): Generator<string> {
  let characters = 0, fromSecond = 0, next = 0;
  for (const passage of first) {
    while (second.length > 0 && fromSecond < share * characters) {
      const other = second[next++ % second.length];
      fromSecond += other.length;
      characters += other.length;
      yield other;
    }
    characters += passage.length;
    yield passage;
  }
}

/** The paragraphs of plain books, in an order that mixes the books, none longer than `maxCharacters`. */
export function paragraphs(books: readonly string[], seed: number, maxCharacters = 320): string[] {
  const found = books.flatMap((book) =>
    book.split(/\n\s*\n/).map((paragraph) => paragraph.replace(/\s+/g, " ").trim())
  ).filter((paragraph) => paragraph.length > 80);
  return new Random(seed, "paragraphs").shuffle(found.map((text) => text.slice(0, maxCharacters)));
}
