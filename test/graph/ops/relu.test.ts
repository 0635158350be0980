import { suite } from "uvu";
import * as assert from "uvu/assert";
import { relu } from "../../../src/graph/ops/relu.ts";
import { testDevice } from "../device.ts";
import { checkGradient, evaluate, operand } from "./check.ts";

const test = suite("relu");
const gpu = await testDevice();

test("clips what is negative, infinities too, and nothing else; a NaN shows, whatever its sign", async () => {
  const values = Float32Array.of(-Infinity, -1, -1e-40, 0, 1e-30, 2, Infinity, NaN, 0, -3);
  new Uint32Array(values.buffer)[8] = 0xffc0_0000;
  const { y } = await evaluate(
    gpu,
    { x: { shape: [values.length], values } },
    ({ x }) => ({ y: relu(x) }),
  );
  assert.equal([...y], [0, 0, 0, 0, Math.fround(1e-30), 2, Infinity, NaN, NaN, 0]);
});

test("its gradient agrees with finite differences, on whole fours and others", async () => {
  for (const shape of [[3, 5], [4, 8]]) {
    const operands = { x: operand(shape, 1) };
    await checkGradient(gpu, operands, ["x"], ({ x }) => relu(x), { step: 1e-3 });
  }
});

test.run();
