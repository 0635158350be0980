/**
 * How ops are judged: against plain loops in f64, and their gradients against finite differences.
 */

import * as assert from "uvu/assert";
import type { Gpu } from "../../../src/gpu/device.ts";
import { compile } from "../../../src/graph/compile.ts";
import { gradients } from "../../../src/graph/gradients.ts";
import { input } from "../../../src/graph/leaves.ts";
import { matmul } from "../../../src/graph/ops/matmul.ts";
import { reshape } from "../../../src/graph/ops/reshape.ts";
import type { HostArray } from "../../../src/graph/program.ts";
import { type ComputeDType, type Shape, size, type Tensor } from "../../../src/graph/tensor.ts";

/** A named operand with its values. */
export interface Operand {
  readonly shape: Shape;
  readonly values: HostArray;
}

/** Deterministic values in [-1, 1), different for every `seed`. */
export function values(shape: Shape, seed = 1, scale = 1): Float32Array {
  let state = (seed * 2654435761) >>> 0;
  return Float32Array.from({ length: size(shape) }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return scale * ((state >>> 8) / 2 ** 23 - 1);
  });
}

/** An f32 operand with deterministic values. */
export function operand(shape: Shape, seed = 1, scale = 1): Operand {
  return { shape, values: values(shape, seed, scale) };
}

/** Matrices of the same rows side by side: how attention takes queries, keys and values. */
export function sideBySide(...parts: Operand[]): Operand {
  const widths = parts.map(({ shape }) => shape.at(-1)!);
  const width = widths.reduce((sum, width) => sum + width, 0);
  const shape = [...parts[0].shape.slice(0, -1), width];
  const values = new Float32Array(size(shape));
  let first = 0;
  for (const [i, part] of parts.entries()) {
    part.values.forEach((value, j) => {
      values[Math.floor(j / widths[i]) * width + first + j % widths[i]] = value;
    });
    first += widths[i];
  }
  return { shape, values };
}

/** Builds a graph on inputs of the operands' shapes, runs it once and reads every output. */
export async function evaluate(
  gpu: Gpu,
  operands: Readonly<Record<string, Operand>>,
  build: (leaves: Record<string, Tensor>) => Readonly<Record<string, Tensor>>,
): Promise<Record<string, HostArray>> {
  const outputs = build(leavesOf(operands));
  const program = await compile(gpu, { outputs });
  const given = mapValues(operands, ({ values }) => values);
  const used = Object.fromEntries(
    Object.entries(given).filter(([name]) => program.inputNames.has(name)),
  );
  const result = await program.run(used, Object.keys(outputs));
  program.destroy();
  return result;
}

/**
 * Compares the gradient of `build`'s tensor, contracted with fixed weights, to central differences in
 * each operand of `wanted`. `build` must be smooth at the given values.
 */
export async function checkGradient(
  gpu: Gpu,
  operands: Readonly<Record<string, Operand>>,
  wanted: readonly string[],
  build: (leaves: Record<string, Tensor>) => Tensor,
  { step = 1e-2, tolerance = 2e-2, samples = 6 } = {},
): Promise<void> {
  const leaves = leavesOf(operands);
  const y = build(leaves);
  const count = size(y.shape);
  const weights = values([count], 97);
  const w = input("contraction", [count, 1]);
  const loss = matmul(reshape(y, [1, count]), w);
  const adjoints = gradients(loss, wanted.map((name) => leaves[name]));
  const outputs: Record<string, Tensor> = { y };
  wanted.forEach((name, i) => outputs[`d ${name}`] = adjoints[i]!);
  const program = await compile(gpu, { outputs });
  const given: Record<string, HostArray> = {
    ...mapValues(operands, ({ values }) => values),
    contraction: weights,
  };
  // The loss is contracted on the host in f64, so that the differences lose few digits.
  const lossAt = async (changed: Record<string, HostArray>) => {
    const { y } = await program.run({ ...given, ...changed }, ["y"]);
    return Array.from(y).reduce((sum, value, i) => sum + value * weights[i], 0);
  };
  const analytic = await program.run(given, wanted.map((name) => `d ${name}`));
  for (const name of wanted) {
    const base = operands[name].values;
    const gradient = analytic[`d ${name}`];
    const scale = Math.max(...gradient.map(Math.abs), 1e-3);
    for (let s = 0; s < Math.min(samples, base.length); s++) {
      const i = Math.floor((s * 0.618 % 1) * base.length);
      const shifted = (delta: number) => {
        const copy = base.slice();
        copy[i] += delta;
        return copy;
      };
      const [up, down] = [shifted(step), shifted(-step)];
      const difference = (await lossAt({ [name]: up }) - await lossAt({ [name]: down })) /
        (up[i] - down[i]);
      assert.ok(
        Math.abs(difference - gradient[i]) <= tolerance * scale,
        `d ${name}[${i}] is ${gradient[i]}, finite differences say ${difference}`,
      );
    }
  }
  program.destroy();
}

/** Asserts |actual − expected| ≤ absolute + relative · |expected| everywhere, and that nothing is NaN. */
export function assertClose(
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
  { absolute = 1e-5, relative = 1e-5, what = "value" } = {},
): void {
  assert.is(actual.length, expected.length, `${what}: number of elements`);
  for (let i = 0; i < expected.length; i++) {
    const bound = absolute + relative * Math.abs(expected[i]);
    if (!(Math.abs(actual[i] - expected[i]) <= bound)) {
      assert.unreachable(`${what}[${i}] is ${actual[i]}, expected ${expected[i]} ± ${bound}`);
    }
  }
}

function leavesOf(operands: Readonly<Record<string, Operand>>): Record<string, Tensor> {
  return Object.fromEntries(
    Object.entries(operands).map((
      [name, { shape, values }],
    ) => [name, input(name, shape, dtypeOf(values))]),
  );
}

/** The element type that an array on the host is for. */
export function dtypeOf(values: HostArray): ComputeDType {
  return values instanceof Float32Array ? "f32" : values instanceof Int32Array ? "i32" : "u32";
}

function mapValues<A, B>(record: Readonly<Record<string, A>>, f: (a: A) => B): Record<string, B> {
  return Object.fromEntries(Object.entries(record).map(([name, value]) => [name, f(value)]));
}
