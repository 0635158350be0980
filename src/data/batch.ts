/**
 * Examples as the rectangles of ids that a compiled program takes.
 *
 * Invariants: id 0 is padding and stands only to the right; lengths come from a short list (each pair
 * of lengths is a program to compile); the training batch of an index depends on nothing but the
 * mixture, the tokenizer, the options and that index, so a run resumes by knowing the index.
 */

import type { Tokenizer } from "../text/tokenizer.ts";
import type { Mixture } from "./mixture.ts";
import { Random } from "./random.ts";
import type { Example } from "./types.ts";

/** A padded batch. */
export interface Batch {
  /** Source ids, 0 for padding. [batchSize, sourceLength] */
  readonly inputIds: Int32Array;
  /** 1 for a source id, 0 for padding. [batchSize, sourceLength] */
  readonly attentionMask: Int32Array;
  /** Target ids, 0 for padding. [batchSize, targetLength] */
  readonly labels: Int32Array;
  readonly batchSize: number;
  readonly sourceLength: number;
  readonly targetLength: number;
  /** The task of each row. */
  readonly tasks: readonly string[];
  /** Source ids, padding not counted. */
  readonly sourceTokens: number;
  /** Target ids, padding not counted. */
  readonly targetTokens: number;
  /** Sources and targets that were longer than the limit and were cut. */
  readonly truncated: number;
}

/** A batch for evaluation. */
export interface EvaluationBatch extends Batch {
  /** For each row, the index of its example, so that predictions find their way back. */
  readonly indices: readonly number[];
}

/** The limits of a batch. */
export interface BatchOptions {
  readonly batchSize: number;
  /** The longest source in ids, end of sequence included. */
  readonly maxSourceLength: number;
  /** The longest target in ids, end of sequence included. */
  readonly maxTargetLength: number;
}

/** A row of a batch before padding. */
export interface EncodedExample {
  readonly task: string;
  readonly source: readonly number[];
  readonly target: readonly number[];
  /** How many of the two were cut to the limit. */
  readonly truncated: number;
}

/** Batches that are sorted by length together. More of them pad less and shuffle less. */
const WINDOW = 16;

/** The smallest padded length that holds `length` ids: 4, then steps of 8, of 16 and of 32. */
export function paddedLength(length: number): number {
  if (length <= 4) return 4;
  const step = length <= 32 ? 8 : length <= 64 ? 16 : 32;
  return Math.ceil(length / step) * step;
}

/** Tokenises an example, unless its source is ids already. What is over a limit is cut off before the ids that end a text. */
export function encodeExample(
  example: Example,
  tokenizer: Tokenizer,
  { maxSourceLength, maxTargetLength }: BatchOptions,
): EncodedExample {
  const { task, target } = example;
  const sourceIds = [...example.sourceIds ?? tokenizer.encode(example.source)];
  const targetIds = tokenizer.encode(target);
  const truncated = Number(cut(sourceIds, maxSourceLength, tokenizer)) +
    Number(cut(targetIds, maxTargetLength, tokenizer));
  return { task, source: sourceIds, target: targetIds, truncated };
}

function cut(
  ids: number[],
  limit: number,
  { beforeIds, afterIds, cutsBeginning }: Tokenizer,
): boolean {
  if (ids.length <= limit) return false;
  const excess = Math.min(ids.length - limit, ids.length - beforeIds.length - afterIds.length);
  ids.splice(cutsBeginning ? beforeIds.length : ids.length - afterIds.length - excess, excess);
  if (ids.length > limit) ids.splice(0, ids.length - limit); // there is no room but for the end
  return true;
}

/** Pads rows into a batch. */
export function collate(rows: readonly EncodedExample[]): Batch {
  const source = pad(rows.map((row) => row.source));
  const target = pad(rows.map((row) => row.target));
  return {
    inputIds: source.ids,
    attentionMask: source.mask,
    labels: target.ids,
    batchSize: rows.length,
    sourceLength: source.length,
    targetLength: target.length,
    tasks: rows.map((row) => row.task),
    sourceTokens: source.tokens,
    targetTokens: target.tokens,
    truncated: rows.reduce((sum, row) => sum + row.truncated, 0),
  };
}

/** A batch as several of fewer rows, padded alike: as equal as can be, the larger ones first. */
export function cutBatch(batch: Batch, parts: number): Batch[] {
  const { batchSize, sourceLength, targetLength } = batch;
  const size = Math.ceil(batchSize / parts);
  return Array.from({ length: Math.ceil(batchSize / size) }, (_, i) => {
    const from = i * size, to = Math.min(from + size, batchSize);
    const of = (ids: Int32Array, length: number) => ids.subarray(from * length, to * length);
    const attentionMask = of(batch.attentionMask, sourceLength);
    const labels = of(batch.labels, targetLength);
    return {
      ...batch,
      inputIds: of(batch.inputIds, sourceLength),
      attentionMask,
      labels,
      batchSize: to - from,
      tasks: batch.tasks.slice(from, to),
      sourceTokens: attentionMask.reduce((sum, is) => sum + is, 0),
      targetTokens: labels.reduce((sum, id) => sum + Number(id !== 0), 0),
      truncated: i === 0 ? batch.truncated : 0,
    };
  });
}

function pad(rows: readonly (readonly number[])[]) {
  const length = paddedLength(Math.max(...rows.map((row) => row.length)));
  const ids = new Int32Array(rows.length * length);
  const mask = new Int32Array(rows.length * length);
  rows.forEach((row, i) => {
    ids.set(row, i * length);
    mask.fill(1, i * length, i * length + row.length);
  });
  return { ids, mask, length, tokens: rows.reduce((sum, row) => sum + row.length, 0) };
}

/** The endless sequence of training batches of a mixture. */
export class TrainingBatches {
  readonly #mixture: Mixture;
  readonly #tokenizer: Tokenizer;
  readonly #options: BatchOptions;
  // Indices are asked for in rising order, so the last window made is nearly always the one.
  #window: { index: number; batches: readonly (readonly EncodedExample[])[] } | undefined;

  constructor(mixture: Mixture, tokenizer: Tokenizer, options: BatchOptions) {
    this.#mixture = mixture;
    this.#tokenizer = tokenizer;
    this.#options = options;
  }

  /** The batch at `index`, a whole number from 0 on, without end. */
  batch(index: number): Batch {
    const window = Math.floor(index / WINDOW);
    if (this.#window?.index !== window) {
      this.#window = { index: window, batches: this.#fillWindow(window) };
    }
    return collate(this.#window.batches[index % WINDOW]);
  }

  /** Rows of similar length together, batches in random order. */
  #fillWindow(window: number): EncodedExample[][] {
    const { batchSize } = this.#options;
    const first = window * WINDOW * batchSize;
    const rows = Array.from(
      { length: WINDOW * batchSize },
      (_, i) => encodeExample(this.#mixture.example(first + i), this.#tokenizer, this.#options),
    ).sort(byLength);
    const batches = Array.from(
      { length: WINDOW },
      (_, i) => rows.slice(i * batchSize, (i + 1) * batchSize),
    );
    return new Random(this.#mixture.seed, "batches", window).shuffle(batches);
  }
}

/**
 * Every example once, in batches of similar length, the longest first (so that a batch too large for
 * the device fails at once). The last batch may be smaller.
 */
export function* evaluationBatches(
  examples: readonly Example[],
  tokenizer: Tokenizer,
  options: BatchOptions,
): Generator<EvaluationBatch> {
  const rows = examples
    .map((example, index) => ({ index, ...encodeExample(example, tokenizer, options) }))
    .sort((a, b) => byLength(b, a));
  for (let start = 0; start < rows.length; start += options.batchSize) {
    const part = rows.slice(start, start + options.batchSize);
    yield { ...collate(part), indices: part.map((row) => row.index) };
  }
}

/** By target first, in steps of padding: one long target would make a whole batch's decoder long. */
function byLength(a: EncodedExample, b: EncodedExample): number {
  return paddedLength(a.target.length) - paddedLength(b.target.length) ||
    a.source.length - b.source.length;
}
