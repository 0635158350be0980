/**
 * Generating answers with a model on the device: greedily, by beam search, or by sampling.
 *
 * No token is read back before the next is chosen: the host queues several steps at once and looks in
 * between whether all sequences have ended.
 */

import type { ModelConfig } from "../../models/config.ts";
import type { Model } from "../../models/t5.ts";
import { UserError } from "../errors.ts";
import type { Parameters } from "../graph/parameters.ts";
import { type GenerationOptions, resolveOptions, type Settings } from "./options.ts";
import type { GeneratedSequence, SourceBatch } from "./search.ts";
import { Session } from "./session.ts";

/**
 * Steps that are queued before the host looks whether all rows have ended. To look costs a wait of up to
 * 11 ms, with the device idle behind it; not to look, at most fifteen steps that nobody needed.
 */
const STEPS_PER_SUBMIT = { first: 16, most: 16 };

/** The same for a reader who waits for the first word: twice as many each time, up to the most. */
const STEPS_PER_CHUNK = { first: 1, most: 8 };

/** Compiled shapes that are kept for batches to come: as many as there are usual padded lengths. */
const IDLE_SESSIONS = 8;

/** What has come of each row since the chunk before. */
export interface Chunk {
  /** By row, the new ids; none for rows that had ended. The end token is left out. */
  readonly tokens: readonly (readonly number[])[];
  /** By row, whether it has its end token by now. */
  readonly ended: readonly boolean[];
}

/** Generates from batches of any shape, several at a time if need be. */
export class SequenceGenerator {
  readonly #model: Model;
  /** Compiled and not in use, the most recently used last. */
  #idle: { readonly key: string; readonly session: Session }[] = [];
  #isDestroyed = false;

  constructor(readonly config: ModelConfig, readonly parameters: Parameters) {
    this.#model = { config, weight: (name) => parameters.tensor(name) };
  }

  /**
   * Generates sequences for every row.
   *
   * @returns by row: the best beams first, samples in their order
   * @throws {UserError} for options that cannot be
   * @throws the signal's reason, once it is aborted
   */
  async generate(
    batch: SourceBatch,
    options: GenerationOptions,
    signal?: AbortSignal,
  ): Promise<GeneratedSequence[][]> {
    const settings = resolveOptions(options);
    const lease = await this.#lease(batch, settings);
    try {
      lease.session.begin(batch, options.sampling?.seed ?? 0);
      for (const steps of submits(settings.maxLength, STEPS_PER_SUBMIT)) {
        signal?.throwIfAborted();
        const progress = await lease.session.advance(steps);
        if (progress.isDone || lease.session.length === settings.maxLength) {
          return progress.sequences();
        }
      }
      throw new Error("A generation has no steps."); // maxLength is at least 2
    } finally {
      this.#giveBack(lease);
    }
  }

  /**
   * Generates one sequence for every row and yields its tokens as they come: what `generate` returns, cut
   * in pieces. To leave the loop is to stop generating.
   *
   * @throws {UserError} for options that cannot be, and for beams, whose tokens are not certain before
   * the end
   * @throws the signal's reason, once it is aborted
   */
  stream(
    batch: SourceBatch,
    options: GenerationOptions,
    signal?: AbortSignal,
  ): AsyncGenerator<Chunk, void, void> {
    const settings = resolveOptions(options);
    if (settings.strategy.kind === "beams") {
      throw new UserError(
        "a beam search may change its mind until the end: stream without beams, or generate",
      );
    }
    if (settings.outputs > 1) {
      throw new UserError(`one output can be streamed, not ${settings.outputs}`);
    }
    return this.#stream(batch, settings, options.sampling?.seed ?? 0, signal);
  }

  /** Gives all memory back that generating needed; what is in use, when it is done. */
  destroy(): void {
    this.#isDestroyed = true;
    for (const { session } of this.#idle.splice(0)) session.destroy();
  }

  async *#stream(
    batch: SourceBatch,
    settings: Settings,
    seed: number,
    signal: AbortSignal | undefined,
  ): AsyncGenerator<Chunk, void, void> {
    const lease = await this.#lease(batch, settings);
    try {
      lease.session.begin(batch, seed);
      const seen = new Array<number>(batch.batchSize).fill(0);
      for (const steps of submits(settings.maxLength, STEPS_PER_CHUNK)) {
        signal?.throwIfAborted();
        const progress = await lease.session.advance(steps);
        const rows = progress.sequences().map(([sequence]) => sequence);
        yield {
          tokens: rows.map(({ tokens }, row) => tokens.slice(seen[row])),
          ended: rows.map(({ ended }) => ended),
        };
        if (progress.isDone) return;
        rows.forEach(({ tokens }, row) => seen[row] = tokens.length);
      }
    } finally {
      this.#giveBack(lease);
    }
  }

  /** A session that nobody else uses, compiled if none is idle. */
  async #lease(batch: SourceBatch, settings: Settings) {
    const { batchSize, sourceLength } = batch;
    const key = JSON.stringify([batchSize, sourceLength, settings]);
    const index = this.#idle.findIndex((idle) => idle.key === key);
    if (index >= 0) return this.#idle.splice(index, 1)[0];
    const session = await Session.compile(this.parameters.gpu, this.#model, settings, batch);
    return { key, session };
  }

  #giveBack(lease: { readonly key: string; readonly session: Session }): void {
    this.#idle.push(lease);
    while (this.#idle.length > (this.#isDestroyed ? 0 : IDLE_SESSIONS)) {
      this.#idle.shift()!.session.destroy();
    }
  }
}

/** Steps by submit until sequences have `maxLength` tokens, of which the start token is one. */
function* submits(
  maxLength: number,
  { first, most }: { readonly first: number; readonly most: number },
): Generator<number> {
  let left = maxLength - 1;
  for (let steps = first; left > 0; steps = Math.min(2 * steps, most)) {
    yield Math.min(steps, left);
    left -= steps;
  }
}
