/**
 * AdamW over all trainable parameters: one gathering, one norm and one update per slab.
 */

import { read, type Variable } from "../graph/leaves.ts";
import { accumulate } from "../graph/ops/accumulate.ts";
import { adamW, DECAY_BLOCK } from "../graph/ops/adamw.ts";
import { gather } from "../graph/ops/gather.ts";
import { globalNorm } from "../graph/ops/global-norm.ts";
import type { Parameters, Slab } from "../graph/parameters.ts";
import { size, type Tensor } from "../graph/tensor.ts";
import { createVariable, writeVariable } from "../graph/variables.ts";

/** One slab with what the optimiser keeps beside it. */
interface SlabState {
  readonly slab: Slab;
  readonly gradients: Variable;
  readonly firstMoment: Variable;
  readonly secondMoment: Variable;
  /** Made when gradients of several micro-batches are first summed. */
  sum?: Variable;
  readonly decayMask: Variable;
}

/** In-place results that a program must list as effects, and the norm of the gradients. */
export interface OptimizerStep {
  readonly effects: readonly Tensor[];
  /** [1], before clipping. */
  readonly norm: Tensor;
}

/** Optimiser state on the device, and the graphs that change it. */
export class AdamW {
  readonly #states: readonly SlabState[];
  readonly #decays: (name: string) => boolean;

  /**
   * @param parameters what is trained
   * @param decays which parameters weight decay applies to
   */
  constructor(readonly parameters: Parameters, decays: (name: string) => boolean = isDecayed) {
    this.#decays = decays;
    const { gpu } = parameters;
    this.#states = parameters.slabs.map((slab, i) => {
      const make = (name: string) => createVariable(gpu, `${name} ${i}`, [slab.length]);
      return {
        slab,
        gradients: make("gradients"),
        firstMoment: make("first moments"),
        secondMoment: make("second moments"),
        decayMask: createVariable(gpu, `decay mask ${i}`, [slab.length / DECAY_BLOCK]),
      };
    });
  }

  /** Graph: gathers gradients by parameter name, then clips and updates. */
  update(gradients: ReadonlyMap<string, Tensor>, hyper: Tensor): OptimizerStep {
    return this.#apply(this.#gathered(gradients), hyper);
  }

  /**
   * Graph: adds a micro-batch's gradients to the running sum.
   *
   * @param keep f32[1]: 0 to begin a new sum, 1 to go on
   */
  accumulate(gradients: ReadonlyMap<string, Tensor>, keep: Tensor): readonly Tensor[] {
    return this.#gathered(gradients).map((slab, i) => accumulate(read(this.#sum(i)), slab, keep));
  }

  /** Graph: clips and updates with the running sum. */
  updateFromSum(hyper: Tensor): OptimizerStep {
    return this.#apply(this.#states.map((_, i) => read(this.#sum(i))), hyper);
  }

  /** The gradients of the last run, by name. */
  async readGradients(): Promise<Map<string, Float32Array>> {
    const parts = new Map<string, Float32Array>();
    for (const { slab, gradients } of this.#states) {
      for (const part of await this.parameters.readSlab(gradients, slab)) parts.set(...part);
    }
    return parts;
  }

  /** Moments by parameter name, for a checkpoint. */
  async readMoments(): Promise<
    { first: Map<string, Float32Array>; second: Map<string, Float32Array> }
  > {
    const first = new Map<string, Float32Array>(), second = new Map<string, Float32Array>();
    for (const { slab, firstMoment, secondMoment } of this.#states) {
      for (const part of await this.parameters.readSlab(firstMoment, slab)) first.set(...part);
      for (const part of await this.parameters.readSlab(secondMoment, slab)) second.set(...part);
    }
    return { first, second };
  }

  /** Restores what `readMoments` gave. */
  writeMoments(
    first: ReadonlyMap<string, Float32Array>,
    second: ReadonlyMap<string, Float32Array>,
  ): void {
    const { gpu } = this.parameters;
    for (const { slab, firstMoment, secondMoment } of this.#states) {
      for (const { name, offset } of slab.entries) {
        writeVariable(gpu, firstMoment, first.get(name)!, offset);
        writeVariable(gpu, secondMoment, second.get(name)!, offset);
      }
    }
  }

  /** Gives the optimiser's memory back. */
  destroy(): void {
    for (const { gradients, firstMoment, secondMoment, sum, decayMask } of this.#states) {
      for (const variable of [gradients, firstMoment, secondMoment, sum, decayMask]) {
        variable?.buffer.destroy();
      }
    }
  }

  #gathered(gradients: ReadonlyMap<string, Tensor>): Tensor[] {
    return this.#states.map(({ slab, gradients: target, decayMask }) => {
      // A parameter without a gradient is skipped: with zeros here its moments stay zero, and it is not
      // decayed either.
      const decays = (name: string) => gradients.has(name) && this.#decays(name);
      writeVariable(this.parameters.gpu, decayMask, decayFactors(slab, decays));
      const entries = slab.entries.filter(({ name }) => gradients.has(name));
      const parts = entries.map(({ name }) => gradients.get(name)!);
      return gather(read(target), parts, entries.map(({ offset }) => offset));
    });
  }

  #sum(i: number): Variable {
    const state = this.#states[i];
    return state.sum ??= createVariable(this.parameters.gpu, `gradient sum ${i}`, [
      state.slab.length,
    ]);
  }

  #apply(gradients: readonly Tensor[], hyper: Tensor): OptimizerStep {
    const norm = globalNorm(gradients);
    const effects = this.#states.flatMap((state, i) => {
      const updated = adamW({
        parameters: read(state.slab.variable),
        gradients: gradients[i],
        firstMoment: read(state.firstMoment),
        secondMoment: read(state.secondMoment),
        hyper,
        norm,
        decayMask: read(state.decayMask),
      });
      return [updated.parameters, updated.firstMoment, updated.secondMoment];
    });
    return { effects, norm };
  }
}

/** The reference's rule: no decay for names with `bias` or `LayerNorm.weight` (which T5 has none of). */
export function isDecayed(name: string): boolean {
  return !/bias|LayerNorm\.weight/.test(name);
}

function decayFactors(slab: Slab, decays: (name: string) => boolean): Float32Array {
  const factors = new Float32Array(slab.length / DECAY_BLOCK);
  for (const { name, offset, shape } of slab.entries) {
    if (!decays(name)) continue;
    factors.fill(1, offset / DECAY_BLOCK, Math.ceil((offset + size(shape)) / DECAY_BLOCK));
  }
  return factors;
}
