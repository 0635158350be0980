/**
 * AdamW (Loshchilov & Hutter 2019) over all trainable parameters: one norm and one update per slab.
 */

import { read, type Variable } from "../graph/leaves.ts";
import { adamW, adamWHyper, DECAY_BLOCK } from "../graph/ops/adamw.ts";
import { globalNorm } from "../graph/ops/global-norm.ts";
import type { Parameters, Slab } from "../graph/parameters.ts";
import { type Shape, size, type Tensor } from "../graph/tensor.ts";
import { createVariable, writeVariable } from "../graph/variables.ts";
import {
  isDecayed,
  type Optimizer,
  type OptimizerOptions,
  type OptimizerStep,
  type Update,
} from "./optimizer.ts";
import { SlabGradients } from "./slab-gradients.ts";

/** Settings of AdamW, with PyTorch's defaults but for the weight decay, which is 0. */
export interface AdamWOptions extends OptimizerOptions {
  /** Default 0.9. */
  readonly beta1?: number;
  /** Default 0.999. */
  readonly beta2?: number;
  /** Default 1e-8. */
  readonly epsilon?: number;
  /**
   * Hugging Face's (default): epsilon beside the uncorrected root, decay of the updated parameter. Or
   * PyTorch's: epsilon beside the corrected root, decay of the parameter as it was.
   */
  readonly form?: "huggingface" | "pytorch";
  /** Whether the moments' bias towards their initial zeros is corrected; default true. */
  readonly correctBias?: boolean;
}

/** One slab with what the optimiser keeps beside it. */
interface SlabState {
  readonly slab: Slab;
  readonly moments: Readonly<Record<Moment, Variable>>;
  readonly decayMask: Variable;
}

const MOMENTS = ["first_moment", "second_moment"] as const;
type Moment = typeof MOMENTS[number];

/** See the module's header. */
export class AdamW implements Optimizer {
  readonly hyperLength = 8;
  readonly #options: Required<AdamWOptions>;
  readonly #gradients: SlabGradients;
  readonly #states: readonly SlabState[];

  constructor(readonly parameters: Parameters, options: AdamWOptions = {}) {
    this.#options = {
      beta1: 0.9,
      beta2: 0.999,
      epsilon: 1e-8,
      form: "huggingface",
      correctBias: true,
      weightDecay: 0,
      decays: isDecayed,
      maxNorm: 0,
      ...options,
    };
    const { gpu } = parameters;
    this.#gradients = new SlabGradients(parameters);
    this.#states = parameters.slabs.map((slab, i) => ({
      slab,
      moments: {
        first_moment: createVariable(gpu, `first moments ${i}`, [slab.length]),
        second_moment: createVariable(gpu, `second moments ${i}`, [slab.length]),
      },
      decayMask: createVariable(gpu, `decay mask ${i}`, [slab.length / DECAY_BLOCK]),
    }));
  }

  hyper({ learningRate, step, gradientScale = 1 }: Update): Float32Array<ArrayBuffer> {
    const { form, epsilon, correctBias, ...settings } = this.#options;
    // PyTorch's sqrt(v / c) + epsilon, c = 1 − beta2^t, is (sqrt(v) + sqrt(c) · epsilon) / sqrt(c).
    const share = form === "pytorch" && correctBias ? Math.sqrt(1 - settings.beta2 ** step) : 1;
    return adamWHyper({
      ...settings,
      epsilon: share * epsilon,
      learningRate,
      step: correctBias ? step : undefined,
      gradientScale,
    });
  }

  update(gradients: ReadonlyMap<string, Tensor>, hyper: Tensor): OptimizerStep {
    this.#maskDecay(gradients);
    return this.#apply(this.#gradients.gather(gradients), hyper);
  }

  accumulate(gradients: ReadonlyMap<string, Tensor>, keep: Tensor): readonly Tensor[] {
    this.#maskDecay(gradients);
    return this.#gradients.accumulate(gradients, keep);
  }

  updateFromSum(hyper: Tensor): OptimizerStep {
    return this.#apply(this.#gradients.sums(), hyper);
  }

  get stateShapes(): Map<string, Shape> {
    const entries = this.parameters.slabs.flatMap(({ entries }) => entries);
    return new Map(
      MOMENTS.flatMap((moment) => entries.map(({ name, shape }) => [`${moment}.${name}`, shape])),
    );
  }

  async readState(): Promise<Map<string, Float32Array>> {
    const state = new Map<string, Float32Array>();
    for (const { slab, moments } of this.#states) {
      for (const moment of MOMENTS) {
        const parts = await this.parameters.readSlab(moments[moment], slab);
        for (const [name, values] of parts) state.set(`${moment}.${name}`, values);
      }
    }
    return state;
  }

  writeState(state: ReadonlyMap<string, Float32Array>): void {
    for (const { slab, moments } of this.#states) {
      for (const { name, offset } of slab.entries) {
        for (const moment of MOMENTS) {
          const values = state.get(`${moment}.${name}`)!;
          writeVariable(this.parameters.gpu, moments[moment], values, offset);
        }
      }
    }
  }

  destroy(): void {
    this.#gradients.destroy();
    for (const { moments, decayMask } of this.#states) {
      for (const { buffer } of [...Object.values(moments), decayMask]) buffer.destroy();
    }
  }

  /** A parameter without a gradient keeps zero moments; without decay, it then stays as it is. */
  #maskDecay(gradients: ReadonlyMap<string, Tensor>): void {
    for (const { slab, decayMask } of this.#states) {
      const factors = new Float32Array(slab.length / DECAY_BLOCK);
      for (const { name, offset, shape } of slab.entries) {
        if (!gradients.has(name) || !this.#options.decays(name)) continue;
        factors.fill(1, offset / DECAY_BLOCK, Math.ceil((offset + size(shape)) / DECAY_BLOCK));
      }
      writeVariable(this.parameters.gpu, decayMask, factors);
    }
  }

  #apply(gradients: readonly Tensor[], hyper: Tensor): OptimizerStep {
    const norm = globalNorm(gradients);
    const effects = this.#states.flatMap(({ slab, moments, decayMask }, i) => {
      const updated = adamW({
        parameters: read(slab.variable),
        gradients: gradients[i],
        firstMoment: read(moments.first_moment),
        secondMoment: read(moments.second_moment),
        hyper,
        norm,
        decayMask: read(decayMask),
        decayFirst: this.#options.form === "pytorch",
      });
      return [updated.parameters, updated.firstMoment, updated.secondMoment];
    });
    return { effects, norm };
  }
}
