/** That benchmarks measure the work they say; how long it takes is no test's business. */

import { suite } from "uvu";
import * as assert from "uvu/assert";
import { parseConfig } from "../../models/config.ts";
import { squareProducts, trainingKernels } from "../../src/bench/cases.ts";
import { multiplyAdd, stream } from "../../src/bench/ceilings.ts";
import { measureGeneration } from "../../src/bench/generation.ts";
import { compareProducts, type Jax, type JaxArray } from "../../src/bench/jax.ts";
import { measureKernels } from "../../src/bench/kernels.ts";
import type { Spread } from "../../src/bench/measure.ts";
import { measureTraining } from "../../src/bench/training.ts";
import { testDevice } from "../graph/device.ts";
import { evaluate, operand } from "../graph/ops/check.ts";
import { tinyConfig } from "../train/tiny-model.ts";

const test = suite("bench");

const quick = { samples: 1, sampleMilliseconds: 0 };
const config = parseConfig({
  ...tinyConfig,
  vocab_size: 64,
  encoder_adapter: "manual",
  decoder_adapter: "generated",
  encoder_adapter_dim: 4,
  decoder_adapter_dim: 4,
  hypernetwork_bottleneck: 4,
}, "test");
const shape = { batchSize: 2, sourceLength: 8, targetLength: 4 };

const isSpread = ({ least, median, most }: Spread) =>
  least > 0 && least <= median && median <= most;

test("the arithmetic ceiling's kernel does every multiplication it counts", async () => {
  const factor = { shape: [1], values: Float32Array.of(0.5) };
  const summand = { shape: [1], values: Float32Array.of(1) };
  const { sums } = await evaluate(
    await testDevice(),
    { factor, summand },
    ({ factor, summand }) => ({
      sums: multiplyAdd(factor, summand, { invocations: 64, rounds: 1 }),
    }),
  );
  // x → x/2 + 1 four times: 2 + (x - 2)/16, and x is 0, 1, 2 and 3.
  assert.equal([...sums], new Array(256).fill(8 + (6 - 8) / 16));
});

test("the memory ceiling's kernel copies everything", async () => {
  const source = operand([3 * 1024]);
  const { copy } = await evaluate(
    await testDevice(),
    { source },
    ({ source }) => ({ copy: stream(source) }),
  );
  assert.equal(copy, source.values);
});

test("every case of a training step runs, under a name of its own", async () => {
  const cases = [...squareProducts([16]), ...trainingKernels(config, shape)];
  const ceilings = { gigaflops: 1e-9, gigabytes: 1e9 }; // 1 FLOP/s
  const results = await measureKernels(await testDevice(), ceilings, cases, quick);
  assert.is(new Set(results.map(({ name }) => name)).size, cases.length);
  for (const { name, milliseconds, gigaflops, gigabytes, share } of results) {
    assert.ok(isSpread(milliseconds) && gigaflops > 0 && gigabytes > 0, name);
    assert.ok(Math.abs(share / (gigaflops * 1e9) - 1) < 1e-9, `${name}: ${share}`);
  }
  const square = results.find(({ name }) => name === "product 16×16×16 nt, square")!;
  assert.ok(Math.abs(square.gigaflops * square.milliseconds.median * 1e6 / 8192 - 1) < 1e-9);
});

test("a training step is measured whole", async () => {
  const gpu = await testDevice();
  const { milliseconds, tokensPerSecond, workspaceBytes, kernels } = await measureTraining(
    gpu,
    config,
    shape,
    quick,
  );
  assert.ok(isSpread(milliseconds));
  assert.ok(Math.abs(tokensPerSecond * milliseconds.median / 1000 / (2 * (8 + 4)) - 1) < 1e-9);
  assert.ok(workspaceBytes > 0);
  if (!gpu.features.timestamps) return;
  for (const op of ["matmul", "attention", "AdamW"]) {
    assert.ok(kernels.some(({ label }) => label.startsWith(op)), `no ${op} was run`);
  }
});

test("generation gives every row all its tokens", async () => {
  const { milliseconds, tokensPerSecond } = await measureGeneration(
    await testDevice(),
    config,
    shape,
    quick,
  );
  assert.ok(isSpread(milliseconds));
  assert.ok(Math.abs(tokensPerSecond * milliseconds.median / 1000 / (2 * 4) - 1) < 1e-9);
});

test("a peer is compared on the same products, and believed only if they agree", async () => {
  const turns = { side: 24, chain: 3, turns: 2 };
  const { ours, theirs, ratio } = await compareProducts(await testDevice(), plainJax(), turns);
  assert.ok([ours, theirs, ratio].every(isSpread));
  try {
    await compareProducts(await testDevice(), plainJax(1.01), turns);
    assert.unreachable("a wrong product was accepted");
  } catch (error) {
    assert.match((error as Error).message, /^jax-js comes to another product/);
  }
});

/** The part of jax-js in use, as plain loops, with its rule that an array is used up by its use. */
function plainJax(factor = 1): Jax {
  class Plain implements JaxArray {
    #uses = 1;
    constructor(readonly values: Float32Array, readonly side = 0) {}
    get ref(): this {
      this.#uses++;
      return this;
    }
    use(): this {
      if (this.#uses-- <= 0) throw new Error("an array was used after its last use");
      return this;
    }
    reshape([side]: readonly number[]): Plain {
      return new Plain(this.use().values, side);
    }
    data(): Promise<Float32Array> {
      return Promise.resolve(this.use().values);
    }
    dispose(): void {
      this.use();
    }
  }
  const product = (a: Plain, b: Plain): Plain => {
    const { side } = a.use(), values = new Float32Array(side * side);
    b.use();
    for (let i = 0; i < side * side; i++) {
      for (let k = 0; k < side; k++) {
        values[i] += factor * a.values[i - i % side + k] * b.values[k * side + i % side];
      }
    }
    return new Plain(values, side);
  };
  return {
    init: () => Promise.resolve(["webgpu"]),
    defaultDevice: () => {},
    numpy: {
      array: (values) => new Plain(values),
      matmul: (a, b) => product(a as Plain, b as Plain),
    },
  };
}

test.run();
