/**
 * Gradients side by side, in slabs laid out like the parameters', and their sums over micro-batches.
 *
 * The gaps between parameters, and parameters without a gradient, are zero and stay so.
 */

import { read, type Variable } from "../graph/leaves.ts";
import { accumulate } from "../graph/ops/accumulate.ts";
import { gather } from "../graph/ops/gather.ts";
import type { Parameters } from "../graph/parameters.ts";
import type { Tensor } from "../graph/tensor.ts";
import { createVariable } from "../graph/variables.ts";

/** See the module's header. One tensor a slab, in the order of `parameters.slabs`. */
export class SlabGradients {
  readonly #parameters: Parameters;
  readonly #gradients: readonly Variable[];
  /** Made when gradients of several micro-batches are first summed. */
  #sums: readonly Variable[] | undefined;

  constructor(parameters: Parameters) {
    this.#parameters = parameters;
    this.#gradients = this.#slabs("gradients");
  }

  /** Graph: the gradients, gathered by parameter name. */
  gather(gradients: ReadonlyMap<string, Tensor>): Tensor[] {
    return this.#parameters.slabs.map(({ entries }, i) => {
      const found = entries.filter(({ name }) => gradients.has(name));
      const parts = found.map(({ name }) => gradients.get(name)!);
      return gather(read(this.#gradients[i]), parts, found.map(({ offset }) => offset));
    });
  }

  /** Graph: the running sums after adding `gradients`; see `Optimizer.accumulate`. */
  accumulate(gradients: ReadonlyMap<string, Tensor>, keep: Tensor): Tensor[] {
    const sums = this.sums();
    return this.gather(gradients).map((slab, i) => accumulate(sums[i], slab, keep));
  }

  /** Graph: the running sums. */
  sums(): Tensor[] {
    return (this.#sums ??= this.#slabs("gradient sum")).map(read);
  }

  /** Gives the memory back. */
  destroy(): void {
    for (const { buffer } of [...this.#gradients, ...this.#sums ?? []]) buffer.destroy();
  }

  #slabs(name: string): Variable[] {
    const { gpu, slabs } = this.#parameters;
    return slabs.map(({ length }, i) => createVariable(gpu, `${name} ${i}`, [length]));
  }
}
