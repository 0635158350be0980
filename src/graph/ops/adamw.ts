import source from "../../../shaders/adamw.wgsl" with { type: "text" };
import { elementGrid } from "../dispatch.ts";
import { applyAll, type Op, sameShape, ShapeError, size, type Tensor } from "../tensor.ts";

/** Consecutive parameters that share one flag of the decay mask. */
export const DECAY_BLOCK = 64;

/** Operands of an update; parameters and moments must be variables. */
export interface AdamWOperands {
  /** f32 [n]. */
  readonly parameters: Tensor;
  /** f32 [n], left as it is. */
  readonly gradients: Tensor;
  /** f32 [n]. */
  readonly firstMoment: Tensor;
  /** f32 [n]. */
  readonly secondMoment: Tensor;
  /** f32 [8]: see `adamWHyper`. */
  readonly hyper: Tensor;
  /** f32 [1]: norm of all gradients as they lie in memory, before the gradient scale. */
  readonly norm: Tensor;
  /** f32 [ceil(n / 64)]: factor on the weight decay of each 64 consecutive parameters; 1 without it. */
  readonly decayMask?: Tensor;
  /** Whether weight decay comes before the step, in PyTorch's way; by default it comes after. */
  readonly decayFirst?: boolean;
}

/** The variables' new values. */
export interface AdamWResult {
  readonly parameters: Tensor;
  readonly firstMoment: Tensor;
  readonly secondMoment: Tensor;
}

/** Settings of one update. */
export interface AdamWSettings {
  readonly learningRate: number;
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
  readonly weightDecay: number;
  /** Number of this update, from 1, for the bias correction; undefined leaves it out. */
  readonly step: number | undefined;
  /** Gradients are scaled down to this norm if theirs is larger; 0 or less: never. */
  readonly maxNorm: number;
  /** Factor on the gradients and their norm, before clipping. */
  readonly gradientScale: number;
}

/** The `hyper` operand: computed in f64, rounded once. */
export function adamWHyper(settings: AdamWSettings): Float32Array<ArrayBuffer> {
  const { beta1, beta2, step } = settings;
  const correction = step === undefined ? 1 : Math.sqrt(1 - beta2 ** step) / (1 - beta1 ** step);
  return Float32Array.of(
    settings.learningRate,
    1 - beta1,
    1 - beta2,
    settings.epsilon,
    settings.weightDecay,
    correction,
    settings.maxNorm,
    settings.gradientScale,
  );
}

/**
 * One AdamW update in place (Loshchilov & Hutter 2019, in Hugging Face's form: epsilon beside the
 * uncorrected root, decay in proportion to the already updated parameter), with clipping by norm.
 */
export function adamW(operands: AdamWOperands): AdamWResult {
  const { parameters, gradients, firstMoment, secondMoment, hyper, norm, decayMask } = operands;
  const inputs = [parameters, firstMoment, secondMoment, gradients, hyper, norm];
  const attributes = { decayFirst: operands.decayFirst ?? false };
  const outputs = applyAll(adamWOp, decayMask ? [...inputs, decayMask] : inputs, attributes);
  return { parameters: outputs[0], firstMoment: outputs[1], secondMoment: outputs[2] };
}

const adamWOp: Op<{ decayFirst: boolean }> = {
  name: "AdamW",
  inPlace: [0, 1, 2],
  shape(inputs) {
    const [parameters, , , , hyper, norm, decayMask] = inputs;
    const n = size(parameters.shape);
    if (inputs.some(({ dtype }) => dtype !== "f32")) {
      throw new ShapeError("AdamW", "all operands must be f32", inputs);
    }
    if (inputs.slice(1, 4).some(({ shape }) => !sameShape(shape, parameters.shape))) {
      throw new ShapeError(
        "AdamW",
        "parameters, both moments and gradients must have one shape",
        inputs.slice(0, 4),
      );
    }
    if (size(hyper.shape) !== 8 || size(norm.shape) !== 1) {
      throw new ShapeError("AdamW", "the settings must be [8] and the norm [1]", [hyper, norm]);
    }
    if (decayMask && size(decayMask.shape) !== Math.ceil(n / DECAY_BLOCK)) {
      throw new ShapeError(
        "AdamW",
        `the decay mask must have one element per ${DECAY_BLOCK} parameters`,
        [parameters, decayMask],
      );
    }
    return inputs.slice(0, 3).map(({ shape }) => ({ shape, dtype: "f32" }));
  },
  kernel({ inputs, outputs, attributes: { decayFirst } }) {
    const [, , , gradients, hyper, norm, decayMask] = inputs;
    const [parameters, firstMoment, secondMoment] = outputs;
    const count = size(parameters.shape);
    return [{
      shader: { name: "adamw", source },
      constants: {
        has_decay_mask: Number(decayMask !== undefined),
        decay_first: Number(decayFirst),
      },
      uniforms: { count },
      bindings: {
        parameters,
        first_moment: firstMoment,
        second_moment: secondMoment,
        gradients,
        hyper,
        norm,
        ...(decayMask && { decay_mask: decayMask }),
      },
      workgroups: elementGrid(parameters, 4),
      flops: 14 * count,
    }];
  },
};
