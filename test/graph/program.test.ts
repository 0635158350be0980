import { suite } from "uvu";
import * as assert from "uvu/assert";
import { compile } from "../../src/graph/compile.ts";
import { gradients } from "../../src/graph/gradients.ts";
import { input, read } from "../../src/graph/leaves.ts";
import { add } from "../../src/graph/ops/add.ts";
import { addBias } from "../../src/graph/ops/add-bias.ts";
import { assign } from "../../src/graph/ops/assign.ts";
import { concat } from "../../src/graph/ops/concat.ts";
import { fill } from "../../src/graph/ops/fill.ts";
import { gather } from "../../src/graph/ops/gather.ts";
import { linear, matmul } from "../../src/graph/ops/matmul.ts";
import { relu } from "../../src/graph/ops/relu.ts";
import { reshape } from "../../src/graph/ops/reshape.ts";
import { scale } from "../../src/graph/ops/scale.ts";
import { split } from "../../src/graph/ops/split.ts";
import { window } from "../../src/graph/ops/window.ts";
import { ValidationError } from "../../src/gpu/errors.ts";
import { apply, type Op, ShapeError, type Tensor } from "../../src/graph/tensor.ts";
import { createVariable, readVariables, writeVariable } from "../../src/graph/variables.ts";
import { testDevice } from "./device.ts";
import { assertClose, values } from "./ops/check.ts";

const test = suite("graph/program");
const gpu = await testDevice();

test("runs twice on new inputs without new memory", async () => {
  const x = input("x", [3, 5]), y = input("y", [3, 5]);
  const program = await compile(gpu, { outputs: { sum: add(x, y) } });
  const first = await program.run({ x: values([15], 1), y: values([15], 2) }, ["sum"]);
  const { sum } = await program.run({ x: values([15], 3), y: values([15], 4) }, ["sum"]);
  assertClose(first.sum, values([15], 1).map((v, i) => v + values([15], 2)[i]));
  assertClose(sum, values([15], 3).map((v, i) => v + values([15], 4)[i]));
});

test("runs that are not awaited one by one do not disturb each other", async () => {
  const program = await compile(gpu, { outputs: { y: scale(input("x", [3]), 2) } });
  const runs = [1, 2, 3].map((x) => program.run({ x: new Float32Array(3).fill(x) }, ["y"]));
  const results = await Promise.all(runs);
  assert.equal(results.map(({ y }) => y[0]), [2, 4, 6]);
});

test("merges equal nodes and drops dead ones", async () => {
  const x = input("x", [8]), y = input("y", [8]);
  add(y, y); // dead: nothing asks for it
  const program = await compile(gpu, { outputs: { z: add(add(x, y), add(x, y)) } });
  assert.is(program.dispatchCount, 2);
});

test("fuses bias, ReLU and residual into the product", async () => {
  const x = input("x", [4, 8]), w = input("w", [8, 12]), b = input("b", [12]);
  const r = input("r", [4, 12]);
  const product = matmul(x, w);
  const fused = await compile(gpu, { outputs: { y: add(relu(addBias(product, b)), r) } });
  const apart = await compile(gpu, { outputs: { y: add(relu(addBias(product, b)), r), product } });
  assert.ok(fused.dispatchCount < apart.dispatchCount);
  const given = {
    x: values([32], 1),
    w: values([96], 2),
    b: values([12], 3),
    r: values([48], 4),
  };
  const { y } = await fused.run(given, ["y"]);
  assertClose(y, (await apart.run(given, ["y"])).y, { absolute: 1e-6 });
});

test("a tensor with two readers is not fused away", async () => {
  const x = input("x", [4, 4]), w = input("w", [4, 4]);
  const product = matmul(x, w);
  const program = await compile(gpu, { outputs: { y: add(relu(product), scale(product, 2)) } });
  const given = { x: values([16], 1), w: values([16], 2) };
  const { y } = await program.run(given, ["y"]);
  const expected = Array.from({ length: 16 }, (_, i) => {
    let dot = 0;
    for (let k = 0; k < 4; k++) dot += given.x[4 * (i >> 2) + k] * given.w[4 * k + i % 4];
    return Math.max(dot, 0) + 2 * dot;
  });
  assertClose(y, expected);
});

test("reuses memory: a long chain needs no more than a short one", async () => {
  const chain = (length: number) => {
    let y = input("x", [1000]);
    for (let i = 0; i < length; i++) y = scale(y, 1 + i / 100);
    return compile(gpu, { outputs: { y } });
  };
  const [short, long] = [await chain(4), await chain(40)];
  assert.is(long.memory.workspaceBytes, short.memory.workspaceBytes);
  assert.ok(long.memory.workspaceBytes >= long.memory.lowerBoundBytes);
});

for (const parts of [3, 64]) {
  test(`split and concat are right with ${parts === 64 ? "" : "un"}aligned parts`, async () => {
    const x = input("x", [4, parts]);
    const [a, b, c, d] = split(x, 4);
    const swapped = concat([relu(c), a, relu(d), b], [4, parts]);
    const program = await compile(gpu, { outputs: { swapped } });
    const given = values([4 * parts], 5);
    const { swapped: actual } = await program.run({ x: given }, ["swapped"]);
    const row = (i: number) => [...given.subarray(i * parts, (i + 1) * parts)];
    const positive = (i: number) => row(i).map((v) => Math.max(v, 0));
    assertClose(actual, [...positive(2), ...row(0), ...positive(3), ...row(1)]);
  });
}

test("aligned parts of a concatenation are computed in place", async () => {
  const x = input("x", [64]), y = input("y", [64]);
  const program = await compile(gpu, { outputs: { z: concat([scale(x, 2), scale(y, 3)], [128]) } });
  assert.is(program.dispatchCount, 2);
});

test("gathers into a slab, leaves the gaps at zero, and copies a part that comes twice", async () => {
  const slab = createVariable(gpu, "slab", [320]);
  const x = input("x", [5]), y = input("y", [64]);
  const twice = scale(y, 3);
  const gathered = gather(read(slab), [scale(x, 2), twice, twice], [0, 64, 256]);
  const program = await compile(gpu, { outputs: {}, effects: [gathered] });
  program.submit({ x: values([5], 1), y: values([64], 2) });
  const [actual] = await readVariables(gpu, [slab]);
  const expected = new Float32Array(320);
  expected.set(values([5], 1).map((v) => 2 * v));
  expected.set(values([64], 2).map((v) => 3 * v), 64);
  expected.set(values([64], 2).map((v) => 3 * v), 256);
  assertClose(actual, expected);
});

for (const columns of [64, 5]) {
  const how = columns === 64 ? "in its place" : "and then copied";
  test(`gradients of neighbours are one product, computed ${how}`, async () => {
    const room = Math.ceil(3 * columns / 64) * 64;
    const slab = createVariable(gpu, "weights", [2 * room]);
    const gradient = createVariable(gpu, "gradients", [2 * room]);
    const shape = [3, columns];
    const parts = [0, room].map((offset) => window(read(slab), offset, shape));
    const y = linear(input("x", [7, columns]), concat(parts, [6, columns]));
    const loss = matmul(reshape(y, [1, 42]), input("dy", [42, 1]));
    const gathered = gather(read(gradient), gradients(loss, parts) as Tensor[], [0, room]);
    const program = await compile(gpu, { outputs: {}, effects: [gathered] });
    // The loss's own gradient, that of y, and the weights'.
    assert.is(program.dispatchCount, columns === 64 ? 3 : 5);
    const x = values([7, columns], 1), dy = values([42], 2);
    program.submit({ x, dy });
    const [actual] = await readVariables(gpu, [gradient]);
    const expected = new Float32Array(2 * room);
    for (let i = 0; i < 6 * columns; i++) {
      const row = Math.floor(i / columns), column = i % columns;
      let sum = 0;
      for (let k = 0; k < 7; k++) sum += dy[6 * k + row] * x[k * columns + column];
      expected[(row < 3 ? 0 : room) + i % (3 * columns)] = sum;
    }
    assertClose(actual, expected);
  });
}

test("a variable is overwritten after its old value has been read", async () => {
  const counter = createVariable(gpu, "counter", [4]);
  const old = read(counter);
  const next = assign(old, add(old, fill([4], 1)));
  const program = await compile(gpu, { outputs: { doubled: scale(old, 2) }, effects: [next] });
  for (const expected of [0, 2, 4]) {
    const { doubled } = await program.run({}, ["doubled"]);
    assert.equal([...doubled], [expected, expected, expected, expected]);
  }
  program.submit({}, { repeat: 5 });
  assert.is((await readVariables(gpu, [counter]))[0][0], 8);
});

test("windows see what is written to their slab", async () => {
  const flat = createVariable(gpu, "flat", [128]);
  writeVariable(gpu, flat, values([128], 3));
  const program = await compile(gpu, { outputs: { y: scale(window(read(flat), 64, [8, 8]), 2) } });
  const { y } = await program.run({}, ["y"]);
  assertClose(y, values([128], 3).subarray(64).map((v) => 2 * v));
});

test("gradients reach only what depends on the parameter", async () => {
  const x = input("x", [2, 3]), w = input("w", [3, 1]), unused = input("u", [1]);
  const loss = matmul(reshape(relu(matmul(x, w)), [1, 2]), fill([2, 1], 1));
  const [dw, du] = gradients(loss, [w, unused]);
  assert.is(du, undefined);
  const program = await compile(gpu, { outputs: { dw: dw! } });
  const given = { x: Float32Array.of(1, 2, 3, -1, -2, -3), w: Float32Array.of(1, 1, 1) };
  const result = await program.run(given, ["dw"]);
  assert.equal([...result.dw], [1, 2, 3]);
});

test("a frozen weight costs no product", async () => {
  const x = input("x", [4, 4]), a = input("a", [4, 4]), b = input("b", [4, 4]);
  const loss = matmul(
    reshape(matmul(matmul(x, a), b), [1, 16]),
    fill([16, 1], 1),
  );
  const count = async (wanted: "a" | "b") => {
    const [gradient] = gradients(loss, [wanted === "a" ? a : b]);
    return (await compile(gpu, { outputs: { gradient: gradient! } })).dispatchCount;
  };
  // d loss / d b needs x·a and its product with the adjoint; d loss / d a one product more.
  assert.ok(await count("b") <= await count("a"));
});

test("errors name the input, the op and the shapes", async () => {
  assert.throws(
    () => add(input("p", [2]), input("q", [3])),
    (error: Error) =>
      error instanceof ShapeError && /add.*f32\[2\] and f32\[3\]/.test(error.message),
  );
  const program = await compile(gpu, { outputs: { y: scale(input("x", [2]), 2) } });
  assert.throws(() => program.submit({}), /"x" was not given/);
  assert.throws(() => program.submit({ x: new Float32Array(3) }), /"x" must be f32\[2\]/);
  assert.throws(() => program.submit({ x: new Int32Array(2) }), /"x" must be f32\[2\]/);
  assert.throws(
    () => program.submit({ x: new Float32Array(2), z: new Float32Array(1) }),
    /no input "z"/,
  );
});

test("what is wrong with a shader is an error that names the shader", async () => {
  const broken: Op<null> = {
    name: "broken",
    shape: () => [{ shape: [4], dtype: "f32" }],
    kernel: ({ outputs: [result] }) => [{
      shader: {
        name: "no-such-function",
        source: `@group(0) @binding(0) var<storage, read_write> result: array<f32>;
          @compute @workgroup_size(1) fn main() { result[0] = missing(1.0); }`,
      },
      bindings: { result },
      workgroups: [1, 1, 1],
    }],
  };
  const error = await compile(gpu, { outputs: { y: apply(broken, [], null) } }).catch((e) => e);
  assert.instance(error, ValidationError);
  assert.match(error.message, /no-such-function/);
});

test("a dispatch larger than the device allows is an error that names the op", async () => {
  const huge: Op<null> = {
    name: "huge",
    shape: () => [{ shape: [4], dtype: "f32" }],
    kernel: ({ outputs: [result] }) => [{
      shader: {
        name: "huge",
        source: `@group(0) @binding(0) var<storage, read_write> result: array<f32>;
          @compute @workgroup_size(1) fn main() { result[0] = 1.0; }`,
      },
      bindings: { result },
      workgroups: [1 << 20, 1, 1],
    }],
  };
  const error = await compile(gpu, { outputs: { y: apply(huge, [], null) } }).catch((e) => e);
  assert.match(error.message, /huge: huge: cannot dispatch 1048576,1,1 workgroups/);
});

test("profiles every dispatch", async () => {
  if (!gpu.features.timestamps) return;
  const x = input("x", [64, 64]);
  const program = await compile(gpu, { outputs: { y: matmul(x, x) } });
  const [time] = await program.profile({ x: values([4096], 1) });
  assert.match(time.label, /matmul/);
  assert.is(time.flops, 2 * 64 ** 3);
  assert.ok(time.milliseconds >= 0);
});

test.run();
