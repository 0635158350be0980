/**
 * Adafactor (Shazeer & Stern 2018) over all trainable parameters: six dispatches per slab.
 *
 * Of a matrix it keeps the mean squared gradient of every row and column, not of every element. With the
 * learning rate of `relativeStepSize` it schedules itself.
 */

import { read, type Variable } from "../graph/leaves.ts";
import { adafactor, adafactorHyper, type AdafactorSettings } from "../graph/ops/adafactor.ts";
import { type AdafactorPlan, planAdafactor } from "../graph/ops/adafactor-plan.ts";
import { globalNorm } from "../graph/ops/global-norm.ts";
import type { Parameters, Slab } from "../graph/parameters.ts";
import { type Shape, size, type Tensor } from "../graph/tensor.ts";
import { createVariable, readVariables, writeVariable } from "../graph/variables.ts";
import {
  isDecayed,
  type Optimizer,
  type OptimizerOptions,
  type OptimizerStep,
  type Update,
} from "./optimizer.ts";
import { SlabGradients } from "./slab-gradients.ts";

/** Settings of Adafactor, with Hugging Face's defaults but for `scaleParameter`, which is off. */
export interface AdafactorOptions extends OptimizerOptions, Partial<AdafactorSettings> {
  /** The second moments' decay at update t is 1 − t^decayRate; default −0.8. */
  readonly decayRate?: number;
}

/** One slab with what the optimiser keeps beside it. */
interface SlabState {
  readonly slab: Slab;
  /** As if every tensor had a gradient: where things lie does not depend on it. */
  readonly plan: AdafactorPlan;
  readonly entries: Variable;
  readonly secondMoments: Variable;
  readonly firstMoment: Variable | undefined;
}

/** A tensor of the state: where it lies, and its name in a checkpoint. */
interface StatePart {
  readonly name: string;
  readonly variable: Variable;
  readonly offset: number;
  readonly shape: Shape;
}

/** See the module's header. */
export class Adafactor implements Optimizer {
  readonly hyperLength = 4;
  readonly #options: Required<AdafactorOptions>;
  readonly #gradients: SlabGradients;
  readonly #states: readonly SlabState[];

  constructor(readonly parameters: Parameters, options: AdafactorOptions = {}) {
    this.#options = {
      gradientEpsilon: 1e-30,
      parameterEpsilon: 1e-3,
      clipThreshold: 1,
      decayRate: -0.8,
      beta1: 0,
      scaleParameter: false,
      weightDecay: 0,
      decays: isDecayed,
      maxNorm: 0,
      ...options,
    };
    const { gpu } = parameters;
    this.#gradients = new SlabGradients(parameters);
    this.#states = parameters.slabs.map((slab, i) => {
      const plan = this.#plan(slab, () => true);
      const make = (name: string, length: number) => createVariable(gpu, `${name} ${i}`, [length]);
      return {
        slab,
        plan,
        entries: createVariable(gpu, `Adafactor plan ${i}`, [plan.entries.length], "u32"),
        secondMoments: make("second moments", plan.momentsLength),
        firstMoment: this.#options.beta1 === 0 ? undefined : make("first moments", slab.length),
      };
    });
  }

  hyper({ learningRate, step, gradientScale = 1 }: Update): Float32Array<ArrayBuffer> {
    const { decayRate, maxNorm } = this.#options;
    return adafactorHyper({ learningRate, step, decayRate, maxNorm, gradientScale });
  }

  update(gradients: ReadonlyMap<string, Tensor>, hyper: Tensor): OptimizerStep {
    this.#writePlans(gradients);
    return this.#apply(this.#gradients.gather(gradients), hyper);
  }

  accumulate(gradients: ReadonlyMap<string, Tensor>, keep: Tensor): readonly Tensor[] {
    this.#writePlans(gradients);
    return this.#gradients.accumulate(gradients, keep);
  }

  updateFromSum(hyper: Tensor): OptimizerStep {
    return this.#apply(this.#gradients.sums(), hyper);
  }

  get stateShapes(): Map<string, Shape> {
    return new Map(this.#states.flatMap(partsOf).map(({ name, shape }) => [name, shape]));
  }

  async readState(): Promise<Map<string, Float32Array>> {
    const state = new Map<string, Float32Array>();
    const variables = this.#states.flatMap(variablesOf);
    const values = await readVariables(this.parameters.gpu, variables) as Float32Array[];
    const valuesOf = new Map(variables.map((variable, i) => [variable, values[i]]));
    for (const { name, variable, offset, shape } of this.#states.flatMap(partsOf)) {
      state.set(name, valuesOf.get(variable)!.slice(offset, offset + size(shape)));
    }
    return state;
  }

  writeState(state: ReadonlyMap<string, Float32Array>): void {
    for (const { name, variable, offset } of this.#states.flatMap(partsOf)) {
      writeVariable(this.parameters.gpu, variable, state.get(name)!, offset);
    }
  }

  destroy(): void {
    this.#gradients.destroy();
    for (const state of this.#states) {
      for (const { buffer } of [state.entries, ...variablesOf(state)]) buffer.destroy();
    }
  }

  #plan({ entries }: Slab, hasGradient: (name: string) => boolean): AdafactorPlan {
    return planAdafactor(entries.map(({ name, shape, offset }) => ({
      offset,
      shape,
      hasGradient: hasGradient(name),
      decays: this.#options.decays(name),
    })));
  }

  /** Tells the device which tensors have gradients. */
  #writePlans(gradients: ReadonlyMap<string, Tensor>): void {
    for (const { slab, entries } of this.#states) {
      const plan = this.#plan(slab, (name) => gradients.has(name));
      writeVariable(this.parameters.gpu, entries, plan.entries);
    }
  }

  #apply(gradients: readonly Tensor[], hyper: Tensor): OptimizerStep {
    const norm = globalNorm(gradients);
    const effects = this.#states.flatMap((state, i) =>
      adafactor(
        {
          parameters: read(state.slab.variable),
          gradients: gradients[i],
          secondMoments: read(state.secondMoments),
          ...(state.firstMoment && { firstMoment: read(state.firstMoment) }),
          hyper,
          norm,
          entries: read(state.entries),
        },
        state.plan,
        this.#options,
      )
    );
    return { effects, norm };
  }
}

function variablesOf({ secondMoments, firstMoment }: SlabState): Variable[] {
  return firstMoment ? [secondMoments, firstMoment] : [secondMoments];
}

function partsOf({ slab, plan, secondMoments, firstMoment }: SlabState): StatePart[] {
  return slab.entries.flatMap(({ name, shape, offset }, i): StatePart[] => {
    const { row, column } = plan.moments[i];
    const second = (kind: string, part: { offset: number; shape: Shape }) => ({
      name: `${kind}.${name}`,
      variable: secondMoments,
      ...part,
    });
    return [
      ...column
        ? [second("row_moment", row), second("column_moment", column)]
        : [second("second_moment", row)],
      ...firstMoment
        ? [{ name: `first_moment.${name}`, variable: firstMoment, offset, shape }]
        : [],
    ];
  });
}
