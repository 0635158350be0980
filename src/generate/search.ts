/**
 * What every way of choosing tokens has in common: state on the device that a step reads and overwrites,
 * and that the host can make sense of at any time.
 */

import type { Batch, EvaluationBatch } from "../data/batch.ts";
import type { Variable } from "../graph/leaves.ts";
import type { HostArray } from "../graph/program.ts";
import type { Tensor } from "../graph/tensor.ts";

/**
 * The part of a batch that generation needs. What is drawn for a row depends on its number in `indices`
 * (its place in the batch where there are none), whatever batch it is in.
 */
export type SourceBatch =
  & Pick<Batch, "inputIds" | "attentionMask" | "batchSize" | "sourceLength" | "tasks">
  & Partial<Pick<EvaluationBatch, "indices">>;

/** A sequence that was generated. */
export interface GeneratedSequence {
  /**
   * The ids between start token and end token. Of several end tokens, or one that is not the model's own, as a
   * full stop, that which came is the last of them: it may be part of the text.
   */
  readonly tokens: readonly number[];
  /** Whether it has an end token; otherwise it was cut at the maximum length. */
  readonly ended: boolean;
  /** Sum over its tokens, end token included, of ln p(token | what is before) as the model has it. */
  readonly logLikelihood: number;
  /**
   * What the search goes by: the sum of `choices`, of beams divided by the length penalty.
   */
  readonly score: number;
  /**
   * For each token, the end token included, ln of the probability with which it was chosen: among the
   * tokens that were allowed (greedy), that it was drawn from (sampling), among all (beams: what rules made
   * of it).
   */
  readonly choices: readonly number[];
}

/** How far a search has come, as the host sees it. */
export interface Progress {
  /** Whether nothing would change any more. */
  readonly isDone: boolean;
  /** By row: samples in their order, beams the best first, as if the search ended here. */
  sequences(): GeneratedSequence[][];
}

/** A way of choosing tokens, compiled for a shape of batch. */
export interface Search {
  /** i32 [B, maxLength, slots]: what the decoder reads; the start token is at position 0. */
  readonly tokens: Tensor;
  /** u32 [B, slots, maxLength]: for sequences that go on from one another. */
  readonly ancestors?: Tensor;
  /**
   * Chooses the next tokens.
   *
   * @param logits [B · slots, V]
   * @param position u32 [1], of the newest tokens
   * @returns what must be computed for it
   */
  step(logits: Tensor, position: Tensor): Tensor[];
  /** Writes the state from which a batch's search begins. */
  reset(start: SearchStart): void;
  /** The variables that `progress` needs the values of. */
  readonly state: readonly Variable[];
  /** @param length tokens that all sequences have so far, the start token included */
  progress(values: readonly HostArray[], length: number): Progress;
}

/** What a search is compiled for beside its settings. */
export type SearchShape = Pick<SourceBatch, "batchSize" | "sourceLength">;

/** What differs from one use of a search to the next. */
export interface SearchStart extends Pick<SourceBatch, "inputIds" | "attentionMask"> {
  readonly seed: number;
  /** For each row the number on which its draws depend. */
  readonly rows: readonly number[];
}

/** An array [batch, length, slots] of tokens: start tokens, then padding. */
export function blankTokens(
  [batch, length, slots]: readonly number[],
  startId: number,
  padId: number,
): Int32Array {
  return Int32Array.from(
    { length: batch * length * slots },
    (_, i) => Math.floor(i / slots) % length === 0 ? startId : padId,
  );
}

/** The ids of a sequence without its end token, if that is the model's only one and so no part of the text. */
export function withoutEnd(
  ids: readonly number[],
  { endIds }: { readonly endIds: readonly number[] },
): readonly number[] {
  return endIds.length === 1 && ids.at(-1) === endIds[0] ? ids.slice(0, -1) : ids;
}
