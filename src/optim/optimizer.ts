/**
 * What training asks of an optimiser, whichever it is: graphs that change the parameters in place, the few
 * numbers that differ from update to update, and all state by name.
 */

import type { Parameters } from "../graph/parameters.ts";
import type { Shape, Tensor } from "../graph/tensor.ts";

/** What differs from one update to the next. */
export interface Update {
  readonly learningRate: number;
  /** Number of this update, from 1. */
  readonly step: number;
  /** Factor on the gradients and their norm, before clipping; 1 unless given. */
  readonly gradientScale?: number;
}

/** In-place results that a program must list as effects, and the norm of the gradients. */
export interface OptimizerStep {
  readonly effects: readonly Tensor[];
  /** [1], before scaling and clipping. */
  readonly norm: Tensor;
}

/** Settings that every optimiser has. */
export interface OptimizerOptions {
  /** Decoupled weight decay; default 0. */
  readonly weightDecay?: number;
  /** Which parameters weight decay applies to; default `isDecayed`. */
  readonly decays?: (name: string) => boolean;
  /** Gradients are scaled down to this norm if theirs is larger; default 0: never. */
  readonly maxNorm?: number;
}

/**
 * Optimiser state on the device, and the graphs that change it.
 *
 * A parameter that gets no gradient is skipped: neither it nor its state changes. Which ones get one may
 * not differ between the programs of one optimiser.
 */
export interface Optimizer {
  readonly parameters: Parameters;

  /** Elements of the graphs' `hyper` operand. */
  readonly hyperLength: number;

  /** The `hyper` operand for an update: computed in f64, rounded once. */
  hyper(update: Update): Float32Array<ArrayBuffer>;

  /** Graph: gathers gradients by parameter name, then clips and updates. */
  update(gradients: ReadonlyMap<string, Tensor>, hyper: Tensor): OptimizerStep;

  /**
   * Graph: adds a micro-batch's gradients to the running sum.
   *
   * @param keep f32[1]: 0 to begin a new sum, 1 to go on
   */
  accumulate(gradients: ReadonlyMap<string, Tensor>, keep: Tensor): readonly Tensor[];

  /** Graph: clips and updates with the running sum. */
  updateFromSum(hyper: Tensor): OptimizerStep;

  /** Names and shapes of all state, for a checkpoint. */
  readonly stateShapes: ReadonlyMap<string, Shape>;

  /** Waits for the device and copies all state. */
  readState(): Promise<Map<string, Float32Array>>;

  /** Restores what `readState` gave. */
  writeState(state: ReadonlyMap<string, Float32Array>): void;

  /** Gives the optimiser's memory back. */
  destroy(): void;
}

/** The reference's rule: no decay for names with `bias` or `LayerNorm.weight` (which T5 has none of). */
export function isDecayed(name: string): boolean {
  return !/bias|LayerNorm\.weight/.test(name);
}
