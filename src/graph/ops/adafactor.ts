import source from "../../../shaders/adafactor.wgsl" with { type: "text" };
import { linearGrid } from "../dispatch.ts";
import {
  applyAll,
  type Dispatch,
  type Op,
  sameShape,
  type Scratch,
  ShapeError,
  size,
  type Tensor,
} from "../tensor.ts";
import type { AdafactorPlan, Table } from "./adafactor-plan.ts";

const shader = { name: "adafactor", source };

/** What does not change from update to update. */
export interface AdafactorSettings {
  /** Added to squared gradients: keeps their roots away from 0. */
  readonly gradientEpsilon: number;
  /** Least root mean square of a tensor that the step is scaled by. */
  readonly parameterEpsilon: number;
  /** The largest root mean square of a tensor's unscaled update. */
  readonly clipThreshold: number;
  readonly weightDecay: number;
  /** Decay of the first moment; 0 for none. */
  readonly beta1: number;
  /** Whether a tensor's step is in proportion to its root mean square. */
  readonly scaleParameter: boolean;
}

/** Operands of an update; parameters and moments must be variables. */
export interface AdafactorOperands {
  /** f32 [n], the tensors of the plan. */
  readonly parameters: Tensor;
  /** f32 [n], zero between the tensors; left as it is. */
  readonly gradients: Tensor;
  /** f32 [plan.momentsLength]. */
  readonly secondMoments: Tensor;
  /** f32 [n]; needed if `beta1` is not 0. */
  readonly firstMoment?: Tensor;
  /** f32 [4]: see `adafactorHyper`. */
  readonly hyper: Tensor;
  /** f32 [1]: norm of all gradients as they lie in memory, before the gradient scale. */
  readonly norm: Tensor;
  /** u32: the plan's entries. */
  readonly entries: Tensor;
}

/** What differs from update to update. */
export interface AdafactorHyper {
  readonly learningRate: number;
  /** Number of this update, from 1. */
  readonly step: number;
  /** The second moments' decay is 1 − step^decayRate. */
  readonly decayRate: number;
  /** Gradients are scaled down to this norm if theirs is larger; 0 or less: never. */
  readonly maxNorm: number;
  /** Factor on the gradients and their norm, before clipping. */
  readonly gradientScale: number;
}

/** The `hyper` operand: computed in f64, rounded once. */
export function adafactorHyper(update: AdafactorHyper): Float32Array<ArrayBuffer> {
  const { learningRate, step, decayRate, maxNorm, gradientScale } = update;
  return Float32Array.of(learningRate, step ** decayRate, maxNorm, gradientScale);
}

/** One Adafactor update in place; returns the new values of all variables that it changes. */
export function adafactor(
  operands: AdafactorOperands,
  plan: AdafactorPlan,
  settings: AdafactorSettings,
): readonly Tensor[] {
  const { parameters, gradients, secondMoments, firstMoment, hyper, norm, entries } = operands;
  if ((settings.beta1 !== 0) !== (firstMoment !== undefined)) {
    throw new Error("Adafactor needs a first moment if beta1 is not 0, and only then.");
  }
  const op = firstMoment ? withFirstMoment : withoutFirstMoment;
  const inputs = [parameters, secondMoments, gradients, hyper, norm, entries];
  return applyAll(op, firstMoment ? [...inputs, firstMoment] : inputs, { plan, settings });
}

interface Attributes {
  readonly plan: AdafactorPlan;
  readonly settings: AdafactorSettings;
}

const withoutFirstMoment: Op<Attributes> = {
  name: "Adafactor",
  inPlace: [0, 1],
  shape(inputs, { plan }) {
    const [parameters, secondMoments, gradients, hyper, norm, entries, firstMoment] = inputs;
    const slabs = firstMoment ? [gradients, firstMoment] : [gradients];
    if (slabs.some(({ shape }) => !sameShape(shape, parameters.shape))) {
      throw new ShapeError(
        "Adafactor",
        "parameters, gradients and first moment must have one shape",
        [parameters, ...slabs],
      );
    }
    if (size(secondMoments.shape) !== plan.momentsLength) {
      throw new ShapeError(
        "Adafactor",
        `the plan's second moments have ${plan.momentsLength} elements`,
        [secondMoments],
      );
    }
    if (size(hyper.shape) !== 4 || size(norm.shape) !== 1) {
      throw new ShapeError("Adafactor", "the settings must be [4] and the norm [1]", [hyper, norm]);
    }
    if (entries.dtype !== "u32" || size(entries.shape) !== plan.entries.length) {
      throw new ShapeError(
        "Adafactor",
        `the plan's entries must be u32 [${plan.entries.length}]`,
        [entries],
      );
    }
    const variables = [parameters, secondMoments, ...firstMoment ? [firstMoment] : []];
    return variables.map(({ shape }) => ({ shape, dtype: "f32" }));
  },
  kernel({ inputs, outputs, attributes: { plan, settings } }) {
    const [, , gradients, hyper, norm, entries] = inputs;
    const [parameters, moments, firstMoment] = outputs;
    const partials: Scratch = { scratchBytes: 4 * plan.partialsLength };
    const factors: Scratch = { scratchBytes: 4 * Math.max(4, plan.factorsLength) };
    const memory = {
      parameters,
      moments,
      gradients,
      hyper,
      norm,
      plan: entries,
      partials,
      line_factors: factors,
      factors_of_lines: factors,
    };
    const all = firstMoment ? { ...memory, first_moment: firstMoment } : memory;
    const n = size(parameters.shape);

    const dispatch = (
      entry: string,
      { first, count }: Table,
      names: readonly (keyof typeof memory | "first_moment")[],
      flops = 0,
    ): Dispatch => ({
      shader,
      entry,
      constants: {
        has_first_moment: Number(firstMoment !== undefined),
        scale_parameter: Number(settings.scaleParameter),
      },
      uniforms: {
        tensors: plan.tensors.first,
        first,
        count,
        chunk_sums: plan.chunkSums,
        step_sizes: plan.stepSizes,
        gradient_epsilon: settings.gradientEpsilon,
        parameter_epsilon: settings.parameterEpsilon,
        clip_threshold: settings.clipThreshold,
        weight_decay: settings.weightDecay,
        beta1: settings.beta1,
      },
      bindings: Object.fromEntries(
        Object.entries(all).filter(([name]) => names.some((wanted) => wanted === name)),
      ),
      // One workgroup per entry of the table.
      workgroups: linearGrid(count, 1),
      flops,
    });
    const { tiles, lines, matrices, chunks, tensors } = plan;
    return [
      dispatch("sums", tiles, ["gradients", "hyper", "norm", "plan", "partials"], 6 * n),
      dispatch("moments_of_lines", lines, ["moments", "hyper", "plan", "partials", "line_factors"]),
      dispatch("row_factors_of_matrix", matrices, ["moments", "plan", "line_factors"]),
      dispatch(
        "measure",
        chunks,
        [
          "parameters",
          "moments",
          "gradients",
          "hyper",
          "norm",
          "plan",
          "partials",
          "factors_of_lines",
        ],
        5 * n,
      ),
      dispatch("steps", tensors, ["hyper", "norm", "plan", "partials"]),
      dispatch(
        "apply",
        chunks,
        [
          "parameters",
          "first_moment",
          "moments",
          "gradients",
          "plan",
          "partials",
          "factors_of_lines",
        ],
        7 * n,
      ),
    ].filter((_, i) => [tiles, lines, matrices, chunks, tensors, chunks][i].count > 0);
  },
};

const withFirstMoment: Op<Attributes> = { ...withoutFirstMoment, inPlace: [0, 1, 6] };
