/** The optimisers, over parameters of one matrix's shape, and what comes before them. */

import { adafactor, adafactorHyper } from "../../graph/ops/adafactor.ts";
import { planAdafactor } from "../../graph/ops/adafactor-plan.ts";
import { adamW, adamWHyper, DECAY_BLOCK } from "../../graph/ops/adamw.ts";
import { globalNorm } from "../../graph/ops/global-norm.ts";
import { LEARNING_RATE, optimizer } from "../inputs.ts";
import type { Case } from "../kernels.ts";

/** The norm of all gradients. */
export function gradientNorm(count: number): Case {
  return (bench) => {
    const gradients = bench.floats("gradients", [count]);
    return {
      name: `global norm ${count}`,
      operands: [gradients],
      results: [globalNorm([gradients])],
      flops: 2 * count,
    };
  };
}

/** AdamW's update. */
export function adamWUpdate(count: number): Case {
  return (bench) => {
    const hyper = adamWHyper({
      ...optimizer,
      learningRate: LEARNING_RATE,
      step: 1,
      gradientScale: 1,
    });
    const operands = {
      parameters: bench.floats("parameters", [count]),
      gradients: bench.floats("gradients", [count]),
      firstMoment: bench.floats("first moments", [count]),
      secondMoment: bench.operand("second moments", [count], new Float32Array(count).fill(1)),
      decayMask: bench.floats("decay mask", [Math.ceil(count / DECAY_BLOCK)]),
      hyper: bench.operand("hyper", [hyper.length], hyper),
      norm: bench.floats("norm", [1]),
    };
    const { parameters, firstMoment, secondMoment } = adamW(operands);
    return {
      name: `AdamW ${count}`,
      operands: Object.values(operands),
      results: [parameters, firstMoment, secondMoment],
      flops: 14 * count,
    };
  };
}

/** Adafactor's update of one matrix, without a first moment. */
export function adafactorUpdate(rows: number, columns: number): Case {
  return (bench) => {
    const count = rows * columns;
    const plan = planAdafactor([
      { offset: 0, shape: [rows, columns], hasGradient: true, decays: false },
    ]);
    const hyper = adafactorHyper({
      learningRate: LEARNING_RATE,
      step: 1,
      decayRate: -0.8,
      maxNorm: 0,
      gradientScale: 1,
    });
    const parameters = bench.floats("parameters", [count]);
    const gradients = bench.floats("gradients", [count]);
    const results = adafactor(
      {
        parameters,
        gradients,
        secondMoments: bench.operand(
          "second moments",
          [plan.momentsLength],
          new Float32Array(plan.momentsLength).fill(1),
        ),
        hyper: bench.operand("hyper", [hyper.length], hyper),
        norm: bench.floats("norm", [1]),
        entries: bench.operand("plan", [plan.entries.length], plan.entries, "u32"),
      },
      plan,
      {
        gradientEpsilon: 1e-30,
        parameterEpsilon: 1e-3,
        clipThreshold: 1,
        weightDecay: 0,
        beta1: 0,
        scaleParameter: false,
      },
    );
    return {
      name: `Adafactor ${rows}×${columns}`,
      operands: [parameters, gradients],
      results,
      flops: 12 * count,
      bytes: 4 * 3 * count,
    };
  };
}
