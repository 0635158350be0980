/**
 * What every way of choosing tokens has in common: state on the device that a step reads and overwrites,
 * and that the host can make sense of at any time.
 */

import type { Variable } from "../graph/leaves.ts";
import type { HostArray } from "../graph/program.ts";
import type { Tensor } from "../graph/tensor.ts";

/** A sequence that was generated. */
export interface GeneratedSequence {
  /** The ids between start token and end token. */
  readonly tokens: readonly number[];
  /** Whether it has its end token; otherwise it was cut at the maximum length. */
  readonly ended: boolean;
  /** Sum over its tokens, end token included, of ln p(token | what is before) as the model has it. */
  readonly logLikelihood: number;
  /**
   * What the search goes by. Beams: the log-likelihood divided by the length penalty. Else: the sum of
   * `choices`.
   */
  readonly score: number;
  /**
   * For each token, the end token included, ln of the probability with which it was chosen: among the
   * tokens that were allowed (greedy), that it was drawn from (sampling), among all (beams).
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

/** What differs from one use of a search to the next. */
export interface SearchStart {
  readonly seed: number;
  /** For each row the number on which its draws depend. */
  readonly rows: readonly number[];
}

/** An array [batch, length, slots] of tokens: start tokens, then padding. */
export function blankTokens(
  [batch, length, slots]: readonly number[],
  { decoderStartId, padId }: { readonly decoderStartId: number; readonly padId: number },
): Int32Array {
  return Int32Array.from(
    { length: batch * length * slots },
    (_, i) => Math.floor(i / slots) % length === 0 ? decoderStartId : padId,
  );
}
