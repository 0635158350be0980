import { suite } from "uvu";
import * as assert from "uvu/assert";
import { compile } from "../../../src/graph/compile.ts";
import { input } from "../../../src/graph/leaves.ts";
import { accumulate } from "../../../src/graph/ops/accumulate.ts";
import { assign } from "../../../src/graph/ops/assign.ts";
import { ShapeError } from "../../../src/graph/tensor.ts";
import { testDevice } from "../device.ts";
import { assertClose, dtypeOf, values } from "./check.ts";
import { variable } from "./variables.ts";

const test = suite("accumulate and assign");
const gpu = await testDevice();

test("a sum over runs, started anew by keep = 0", async () => {
  for (const n of [1, 2, 7, 64, 1001]) {
    const sum = accumulate(
      variable(gpu, "sum", [n], new Float32Array(n).fill(NaN)),
      input("addend", [n]),
      input("keep", [1]),
    );
    const program = await compile(gpu, { outputs: { sum } });
    let expected = new Float32Array(n);
    for (const [i, keep] of [0, 1, 0.5, 0, 1].entries()) {
      const addend = values([n], i + 1);
      expected = expected.map((x, j) => keep * x + addend[j]);
      const { sum } = await program.run({ addend, keep: Float32Array.of(keep) }, ["sum"]);
      assertClose(sum, expected, { absolute: 1e-6 });
    }
    program.destroy();
  }
});

test("keep = 0 drops infinities too, keep = 1 keeps a NaN", async () => {
  const old = Float32Array.of(Infinity, -Infinity, NaN, 1, 2);
  const sum = accumulate(variable(gpu, "sum", [5], old), input("addend", [5]), input("keep", [1]));
  const program = await compile(gpu, { outputs: { sum } });
  const addend = Float32Array.of(1, 2, 3, NaN, 5);
  const once = await program.run({ addend, keep: Float32Array.of(0) }, ["sum"]);
  assert.equal([...once.sum], [...addend]);
  const twice = await program.run({ addend, keep: Float32Array.of(1) }, ["sum"]);
  assert.equal([...twice.sum], [2, 4, 6, NaN, 10]);
});

test("assign copies every dtype bit by bit, for later runs too", async () => {
  const bits = Uint32Array.of(0, 1, 0x7fc00001, 0xff800000, 0x80000000);
  for (const value of [new Float32Array(bits.buffer), new Int32Array(bits.buffer), bits]) {
    const target = variable(gpu, "target", [5], value.map(() => 0));
    const source = input("source", [5], dtypeOf(value));
    const program = await compile(gpu, { outputs: {}, effects: [assign(target, source)] });
    await program.run({ source: value });
    const { later } = await (await compile(gpu, { outputs: { later: target } })).run({}, ["later"]);
    assert.equal(new Uint32Array(later.buffer), bits);
  }
});

test("operands that do not fit are named", () => {
  const refused = (f: () => unknown) => assert.throws(f, (e: Error) => e instanceof ShapeError);
  refused(() => accumulate(input("a", [3]), input("b", [4]), input("keep", [1])));
  refused(() => accumulate(input("a", [3]), input("b", [3]), input("keep", [2])));
  refused(() => assign(input("a", [3]), input("b", [3], "i32")));
  refused(() => assign(input("a", [3]), input("b", [3, 1])));
});

test.run();
