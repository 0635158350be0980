import { suite } from "uvu";
import * as assert from "uvu/assert";
import { input } from "../../../src/graph/leaves.ts";
import { globalNorm } from "../../../src/graph/ops/global-norm.ts";
import { ShapeError } from "../../../src/graph/tensor.ts";
import { testDevice } from "../device.ts";
import { assertClose, evaluate, type Operand, operand } from "./check.ts";

const test = suite("globalNorm");
const gpu = await testDevice();

async function norm(operands: Record<string, Operand>): Promise<number> {
  const build = (leaves: Parameters<Parameters<typeof evaluate>[2]>[0]) => ({
    norm: globalNorm(Object.values(leaves)),
  });
  return (await evaluate(gpu, operands, build)).norm[0];
}

function reference(operands: Record<string, Operand>): number {
  let sum = 0;
  for (const { values } of Object.values(operands)) for (const x of values) sum += x * x;
  return Math.sqrt(sum);
}

test("one tensor of any length", async () => {
  for (const n of [1, 2, 3, 5, 63, 257, 1023, 4099, 300007]) {
    const operands = { x: operand([n], n) };
    assertClose([await norm(operands)], [reference(operands)], { relative: 1e-6, absolute: 0 });
  }
});

test("several tensors of different shapes and scales", async () => {
  const operands = {
    a: operand([3, 7], 1, 1e4),
    b: operand([1], 2, 1e5),
    c: operand([1000, 77], 3, 1e-3),
    d: operand([64], 4, 300),
  };
  assertClose([await norm(operands)], [reference(operands)], { relative: 1e-6, absolute: 0 });
});

test("zero, and a NaN or an infinity anywhere", async () => {
  assert.is(await norm({ x: { shape: [5], values: new Float32Array(5) } }), 0);
  for (const bad of [NaN, Infinity, -Infinity]) {
    for (const position of [0, 999, 1000, 1001]) {
      const x = operand([1002], 6);
      x.values[position] = bad;
      const result = await norm({ first: operand([10], 1), x });
      assert.ok(Object.is(result, Math.abs(bad)), `${bad} at ${position} gives ${result}`);
    }
  }
});

test("the same bits on every run", async () => {
  const operands = { a: operand([123457], 1), b: operand([999], 2) };
  assert.is(await norm(operands), await norm(operands));
});

test("operands that do not fit are named", () => {
  assert.throws(() => globalNorm([]), (e: Error) => e instanceof ShapeError);
  assert.throws(() => globalNorm([input("ids", [3], "i32")]), /global norm: .*i32\[3\]/);
});

test.run();
