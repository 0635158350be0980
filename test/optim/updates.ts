/** Parameters of given shapes under an optimiser, updated with given gradients. */

import { compile } from "../../src/graph/compile.ts";
import type { Gpu } from "../../src/gpu/device.ts";
import { input } from "../../src/graph/leaves.ts";
import { Parameters } from "../../src/graph/parameters.ts";
import type { Shape } from "../../src/graph/tensor.ts";
import type { Optimizer } from "../../src/optim/optimizer.ts";
import { values } from "../graph/ops/check.ts";
import { variants } from "../graph/ops/variants.ts";

/** Gradients by the name of their parameter. */
export type Gradients = Readonly<Record<string, Float32Array>>;

/** Parameters on the device with an optimiser and its compiled update. */
export interface Updates {
  readonly parameters: Parameters;
  readonly optimizer: Optimizer;
  /** One update; the number of the update is counted here. */
  run(gradients: Gradients, learningRate?: number): Promise<void>;
  destroy(): void;
}

/**
 * @param shapes of the parameters, by name; their values are `initialValues`
 * @param skipped parameters that get no gradient
 * @param step updates done before
 */
export async function updates(
  gpu: Gpu,
  shapes: Readonly<Record<string, Shape>>,
  create: (parameters: Parameters) => Optimizer,
  { skipped = [] as string[], step = 0 } = {},
): Promise<Updates> {
  const descriptions = Object.entries(shapes).map(([name, shape]) => ({
    name,
    shape,
    trainable: true,
  }));
  const parameters = new Parameters(gpu, descriptions);
  for (const [name, initial] of Object.entries(initialValues(shapes))) {
    parameters.write(name, initial);
  }
  const optimizer = create(parameters);
  const given = descriptions.filter(({ name }) => !skipped.includes(name));
  const leaves = new Map(given.map(({ name, shape }) => [name, input(name, shape)]));
  const hyper = input("hyper", [optimizer.hyperLength]);
  const { effects } = optimizer.update(leaves, hyper);
  const program = await compile(gpu, { outputs: {}, effects });
  return {
    parameters,
    optimizer,
    async run(gradients, learningRate = 0.01) {
      await program.run({ hyper: optimizer.hyper({ learningRate, step: ++step }), ...gradients });
    },
    destroy() {
      program.destroy();
      optimizer.destroy();
      parameters.destroy();
    },
  };
}

/** What the parameters begin with. */
export function initialValues(shapes: Readonly<Record<string, Shape>>): Gradients {
  return drawn(shapes, 1, 1);
}

/** Values in [-scale, scale) for every parameter, different for every `seed`. */
export function drawn(
  shapes: Readonly<Record<string, Shape>>,
  seed: number,
  scale: number,
): Gradients {
  return Object.fromEntries(
    Object.entries(shapes).map(([name, shape], i) => [name, values(shape, 100 * seed + i, scale)]),
  );
}

/** The device with smaller bindings, so that parameters need several slabs. */
export function withBindings(gpu: Gpu, maxStorageBufferBindingSize: number): Gpu {
  const limits = new Proxy(gpu.limits, {
    get: (all, name) =>
      name === "maxStorageBufferBindingSize"
        ? maxStorageBufferBindingSize
        : Reflect.get(all, name, all),
  });
  // A plain object, unlike the device itself, which has private members.
  return { ...variants(gpu)[0][1], isCpu: gpu.isCpu, limits };
}
