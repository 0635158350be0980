import { suite } from "uvu";
import * as assert from "uvu/assert";
import { compile } from "../../../src/graph/compile.ts";
import { input } from "../../../src/graph/leaves.ts";
import { adamW, adamWHyper, type AdamWSettings } from "../../../src/graph/ops/adamw.ts";
import { globalNorm } from "../../../src/graph/ops/global-norm.ts";
import { ShapeError } from "../../../src/graph/tensor.ts";
import fixture from "../../fixtures/adamw.json" with { type: "json" };
import { testDevice } from "../device.ts";
import { assertClose, values } from "./check.ts";
import { variable } from "./variables.ts";

const test = suite("adamW");
const gpu = await testDevice();

const plain: AdamWSettings = {
  learningRate: 0.01,
  beta1: 0.9,
  beta2: 0.999,
  epsilon: 1e-6,
  weightDecay: 0.1,
  step: 1,
  maxNorm: 0,
  gradientScale: 1,
};

/** A program that updates `initial` in place; the norm is that of its own gradients. */
async function optimiser(initial: Float32Array, decayMask?: Float32Array) {
  const shape = [initial.length];
  const zeros = new Float32Array(initial.length);
  const parameters = variable(gpu, "parameters", shape, initial);
  const gradients = input("gradients", shape);
  const norm = globalNorm([gradients]);
  const result = adamW({
    parameters,
    gradients,
    firstMoment: variable(gpu, "firstMoment", shape, zeros),
    secondMoment: variable(gpu, "secondMoment", shape, zeros),
    hyper: input("hyper", [8]),
    norm,
    ...(decayMask && { decayMask: input("decayMask", [decayMask.length]) }),
  });
  const outputs = { ...result, norm };
  const program = await compile(gpu, { outputs });
  return async (gradients: Float32Array, settings: AdamWSettings) =>
    await program.run(
      { gradients, hyper: adamWHyper(settings), ...(decayMask && { decayMask }) },
      Object.keys(outputs),
    ) as Record<keyof typeof outputs, Float32Array>;
}

/** The same update in f64. */
function reference(initial: Float32Array, decays = (_: number) => true) {
  const p = Float64Array.from(initial);
  const m = new Float64Array(p.length), v = new Float64Array(p.length);
  return (gradients: Float32Array, s: AdamWSettings) => {
    const norm = s.gradientScale * Math.hypot(...gradients);
    const clip = s.maxNorm > 0 ? Math.min(1, s.maxNorm / (norm + 1e-6)) : 1;
    gradients.forEach((gradient, i) => {
      const g = gradient * s.gradientScale * clip;
      m[i] = s.beta1 * m[i] + (1 - s.beta1) * g;
      v[i] = s.beta2 * v[i] + (1 - s.beta2) * g * g;
      const correction = Math.sqrt(1 - s.beta2 ** s.step!) / (1 - s.beta1 ** s.step!);
      p[i] -= s.learningRate * correction * m[i] / (Math.sqrt(v[i]) + s.epsilon);
      if (decays(i)) p[i] -= s.learningRate * s.weightDecay * p[i];
    });
    return p;
  };
}

test("the reference implementation's trajectories", async () => {
  const initial = Float32Array.from(fixture.initial);
  for (const { settings, parameters_after_each_step } of fixture.runs) {
    const update = await optimiser(initial);
    for (const [i, expected] of parameters_after_each_step.entries()) {
      const { parameters } = await update(Float32Array.from(fixture.gradients[i]), {
        ...plain,
        learningRate: settings.lr,
        epsilon: settings.eps,
        weightDecay: settings.weight_decay,
        step: settings.correct_bias ? i + 1 : undefined,
      });
      assertClose(parameters, expected, { absolute: 1e-7, relative: 2e-7 });
    }
  }
});

test("clips the scaled norm, and only when it is too large", async () => {
  for (const n of [1, 3, 67, 1000]) {
    const initial = values([n], n);
    const update = await optimiser(initial);
    const expect = reference(initial);
    for (const [i, size] of [1e-3, 5, 1e3, 0].entries()) {
      const settings = { ...plain, step: i + 1, maxNorm: 1, gradientScale: 0.25 };
      const gradients = values([n], i + 7, size);
      const { parameters, norm } = await update(gradients, settings);
      assertClose(norm, [Math.hypot(...gradients)], { absolute: 0, relative: 1e-6 });
      assertClose(parameters, expect(gradients, settings), { absolute: 1e-6 });
    }
  }
});

test("the mask turns decay off in blocks of 64 parameters", async () => {
  const n = 200;
  const initial = values([n], 4);
  const update = await optimiser(initial, Float32Array.of(1, 0, 0, 1));
  const expect = reference(initial, (i) => i < 64 || i >= 192);
  const gradients = values([n], 5);
  const settings = { ...plain, weightDecay: 5 };
  const { parameters } = await update(gradients, settings);
  assertClose(parameters, expect(gradients, settings), { absolute: 1e-6 });
});

test("a learning rate of 0 moves the moments and nothing else", async () => {
  const initial = values([9], 4);
  const update = await optimiser(initial);
  const gradients = values([9], 5);
  const result = await update(gradients, { ...plain, learningRate: 0 });
  assert.equal(result.parameters, initial);
  assertClose(result.firstMoment, gradients.map((g) => 0.1 * g), { absolute: 1e-7 });
  assertClose(result.secondMoment, gradients.map((g) => 0.001 * g * g), { absolute: 1e-8 });
});

test("a NaN in the gradients is not hidden by clipping", async () => {
  const gradients = values([70], 5);
  gradients[69] = NaN;
  const update = await optimiser(values([70], 4));
  const { parameters, norm } = await update(gradients, { ...plain, maxNorm: 1 });
  assert.ok(Number.isNaN(norm[0]));
  assert.ok(parameters.every(Number.isNaN));
});

test("operands that do not fit are named", () => {
  const f32 = (name: string, n: number) => input(name, [n]);
  const operands = {
    parameters: f32("p", 65),
    gradients: f32("g", 65),
    firstMoment: f32("m", 65),
    secondMoment: f32("v", 65),
    hyper: f32("hyper", 8),
    norm: f32("norm", 1),
  };
  const refused = [
    { ...operands, gradients: f32("g", 64) },
    { ...operands, hyper: f32("hyper", 7) },
    { ...operands, decayMask: f32("mask", 1) },
    { ...operands, norm: input("norm", [1], "i32") },
  ];
  for (const wrong of refused) {
    assert.throws(() => adamW(wrong), (e: Error) => e instanceof ShapeError);
  }
});

test.run();
