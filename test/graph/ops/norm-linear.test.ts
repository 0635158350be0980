/** RMS norms that are part of the matrix product after them, and gradients of norms in the one before. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { Gpu } from "../../../src/gpu/device.ts";
import { compile } from "../../../src/graph/compile.ts";
import { gradients } from "../../../src/graph/gradients.ts";
import { input } from "../../../src/graph/leaves.ts";
import { add } from "../../../src/graph/ops/add.ts";
import { dropout } from "../../../src/graph/ops/dropout.ts";
import { linear, matmul } from "../../../src/graph/ops/matmul.ts";
import { rmsNorm } from "../../../src/graph/ops/rms-norm.ts";
import type { Tensor } from "../../../src/graph/tensor.ts";
import { testDevice } from "../device.ts";
import { assertClose, checkGradient, evaluate, type Operand, operand, values } from "./check.ts";
import { contraction } from "./contraction.ts";
import { roundedToHalf, variable } from "./variables.ts";
import { chosenVariants, variants } from "./variants.ts";

const test = suite("norms in products");
const gpu = await testDevice();
const adapters: [name: string, gpu: Gpu][] = chosenVariants(gpu);

/** rmsNorm(x) · weightᵀ and the gradient of x for an adjoint, in f64. */
function reference(x: Operand, scale: Operand, weight: Operand, dy: Operand) {
  const [columns, depth] = weight.shape;
  const rows = x.values.length / depth;
  const y = new Float64Array(rows * columns), dx = new Float64Array(rows * depth);
  for (let row = 0; row < rows; row++) {
    const own = Array.from(x.values.slice(row * depth, (row + 1) * depth));
    const rstd = 1 / Math.sqrt(own.reduce((sum, v) => sum + v * v, 0) / depth + 1e-6);
    const normed = own.map((v, c) => v * rstd * scale.values[c]);
    const gradient = new Float64Array(depth);
    for (let n = 0; n < columns; n++) {
      for (let c = 0; c < depth; c++) {
        y[row * columns + n] += normed[c] * weight.values[n * depth + c];
        gradient[c] += dy.values[row * columns + n] * weight.values[n * depth + c];
      }
    }
    const along = normed.reduce((sum, v, c) => sum + v * gradient[c], 0) / depth;
    own.forEach((v, c) => {
      dx[row * depth + c] = rstd * (gradient[c] * scale.values[c] - v * rstd * along);
    });
  }
  return { y, dx };
}

/** [rows of x, its width, the layer's]: whole tiles and blocks, more and less, and no whole vec4s. */
const sizes = [
  [[1], 4, 4],
  [[2, 3], 12, 20],
  [[33], 36, 68],
  [[3, 43], 128, 64],
  [[130], 64, 132],
  [[5], 7, 9],
] as const;

for (const [leading, depth, columns] of sizes) {
  test(`a layer of ${columns} on a norm of [${leading}, ${depth}], and its gradient`, async () => {
    const operands = {
      x: operand([...leading, depth], 1, 3),
      scale: operand([depth], 2),
      weight: operand([columns, depth], 3),
      dy: operand([...leading, columns], 4),
    };
    const expected = reference(operands.x, operands.scale, operands.weight, operands.dy);
    for (const [, seen] of adapters) {
      const { y, dx } = await evaluate(seen, operands, ({ x, scale, weight, dy }) => {
        const y = linear(rmsNorm(x, scale), weight);
        return { y, dx: gradients(contraction(y, dy), [x])[0]! };
      });
      assertClose(y, expected.y, { what: "y", absolute: 3e-5 });
      assertClose(dx, expected.dx, { what: "dx", absolute: 3e-5 });
    }
  });
}

test("any orientation of the weight has the gradient that finite differences give", async () => {
  for (const transposeB of [false, true]) {
    const operands = {
      x: operand([6, 8], 1),
      scale: operand([8], 2),
      weight: operand(transposeB ? [12, 8] : [8, 12], 3),
    };
    for (const [, seen] of adapters) {
      await checkGradient(
        seen,
        operands,
        ["x"],
        ({ x, scale, weight }) => matmul(rmsNorm(x, scale), weight, { transposeB }),
      );
      // The weight's gradient needs the normalized rows, so they are there.
      await checkGradient(
        seen,
        operands,
        ["x", "scale", "weight"],
        ({ x, scale, weight }) => matmul(rmsNorm(x, scale), weight, { transposeB }),
      );
    }
  }
});

test("reads a weight that is stored as f16", async () => {
  const exact = { shape: [24, 40], values: roundedToHalf(values([24, 40], 3)) };
  const operands = {
    x: operand([9, 40], 1),
    scale: operand([40], 2),
    dy: operand([9, 24], 4),
  };
  const expected = reference(operands.x, operands.scale, exact, operands.dy);
  const weight = variable(gpu, "weight", [24, 40], exact.values, "f16");
  for (const [, seen] of adapters) {
    const { y, dx } = await evaluate(seen, operands, ({ x, scale, dy }) => {
      const y = linear(rmsNorm(x, scale), weight);
      return { y, dx: gradients(contraction(y, dy), [x])[0]! };
    });
    assertClose(y, expected.y);
    assertClose(dx, expected.dx);
  }
});

const layer = {
  x: operand([10, 64], 1),
  scale: operand([64], 2),
  weight: operand([48, 64], 3),
  dy: operand([10, 48], 4),
  passing: operand([10, 64], 5),
  seed: { shape: [2], values: Uint32Array.of(3, 4) },
};

/** A layer that `passing` passes by; and what of its gradient a dropout leaves. */
function backward({ x, scale, weight, dy, passing, seed }: Record<string, Tensor>) {
  const y = linear(rmsNorm(x, scale), weight);
  const [dx] = gradients(add(contraction(y, dy), contraction(x, passing)), [x]);
  return { y, dx: dx!, dropped: dropout(dx!, { rate: 0.3, seed, site: 6 }) };
}

function leaves() {
  return Object.fromEntries(
    Object.entries(layer).map(([name, { shape }]) => [
      name,
      input(name, shape, name === "seed" ? "u32" : "f32"),
    ]),
  );
}

async function dispatchesOf(seen: Gpu): Promise<number> {
  const program = await compile(seen, { outputs: backward(leaves()) });
  program.destroy();
  return program.dispatchCount;
}

test("a gradient takes in what passes by and a dropout, all in one dispatch", async () => {
  const { dx: alone } = reference(layer.x, layer.scale, layer.weight, layer.dy);
  const expected = alone.map((value, i) => value + layer.passing.values[i]);
  for (const [name, seen] of adapters) {
    if (name === "GPU variant" || seen.subgroupSize.max === 8) {
      assert.is(await dispatchesOf(seen), 2, name);
    }
    const { dx, dropped } = await evaluate(seen, layer, backward);
    assertClose(dx, expected);
    const { kept } = await evaluate(
      seen,
      { dx: { shape: [10, 64], values: dx }, seed: layer.seed },
      ({ dx, seed }) => ({ kept: dropout(dx, { rate: 0.3, seed, site: 6 }) }),
    );
    assert.equal(dropped, kept);
  }
});

const [, [, asGpu]] = variants(gpu);
const onGpus = gpu.isCpu ? test.exhaustive : test;

onGpus("a device that binds eight buffers computes the same in one dispatch more", async () => {
  const limits = new Proxy(asGpu.limits, {
    get: (limits, name) =>
      name === "maxStorageBuffersPerShaderStage" ? 8 : Reflect.get(limits, name),
  });
  const small: Gpu = { ...asGpu, limits };
  assert.is(await dispatchesOf(small), 3);
  const { dx } = await evaluate(asGpu, layer, backward);
  const { dx: apart } = await evaluate(small, layer, backward);
  assertClose(apart, dx);
});

test("a norm that others read is computed for all of them", async () => {
  const { x, scale, weight } = leaves();
  const normed = rmsNorm(x, scale);
  const outputs = { normed, y: linear(normed, weight) };
  const program = await compile(gpu, { outputs });
  assert.is(program.dispatchCount, 2);
  program.destroy();
});

test("a sum that a GPU splits leaves the norm to its own kernel", async () => {
  const long = { x: operand([8, 2048], 1), scale: operand([2048], 2), weight: operand([8, 2048]) };
  const dy = operand([8, 8], 4);
  const { y: expected } = reference(long.x, long.scale, long.weight, dy);
  for (const [, seen] of adapters) {
    const { y } = await evaluate(seen, long, ({ x, scale, weight }) => ({
      y: linear(rmsNorm(x, scale), weight),
    }));
    assertClose(y, expected, { absolute: 1e-4 });
  }
  const [x, scale, weight] = [input("x", [8, 2048]), input("scale", [2048]), input("w", [8, 2048])];
  const program = await compile(asGpu, { outputs: { y: linear(rmsNorm(x, scale), weight) } });
  program.destroy();
  assert.is(program.dispatchCount, 3);
});

test("spoils only the row of a NaN, forward and backward", async () => {
  const x = layer.x.values.slice();
  x[64 + 3] = NaN;
  for (const [, seen] of adapters) {
    const { y, dx } = await evaluate(
      seen,
      { ...layer, x: { shape: [10, 64], values: x } },
      backward,
    );
    for (const [result, width] of [[y, 48], [dx, 64]] as const) {
      assert.ok(result.slice(width, 2 * width).every(Number.isNaN));
      assert.ok(result.slice(0, width).every(Number.isFinite));
      assert.ok(result.slice(2 * width).every(Number.isFinite));
    }
  }
});

test.run();
