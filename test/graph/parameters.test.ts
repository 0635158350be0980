import { suite } from "uvu";
import * as assert from "uvu/assert";
import { UserError } from "../../src/errors.ts";
import { compile } from "../../src/graph/compile.ts";
import { input } from "../../src/graph/leaves.ts";
import { concat } from "../../src/graph/ops/concat.ts";
import { linear } from "../../src/graph/ops/matmul.ts";
import { Parameters } from "../../src/graph/parameters.ts";
import { createVariable, readVariables, writeVariable } from "../../src/graph/variables.ts";
import { float16ToFloat32, float32ToFloat16 } from "../../src/io/half.ts";
import { withBindings } from "../optim/updates.ts";
import { testDevice } from "./device.ts";
import { values } from "./ops/check.ts";

const test = suite("graph/parameters");
const gpu = await testDevice();

const frozen = (name: string, shape: number[], storage?: "f32" | "f16") => ({
  name,
  shape,
  trainable: false,
  storage,
});

test("what is written is read back, wherever it lies", async () => {
  const parameters = new Parameters(gpu, [
    { name: "trained", shape: [3, 5], trainable: true },
    frozen("frozen", [7]),
    { name: "trained too", shape: [1], trainable: true },
    frozen("halves", [3, 67], "f16"),
  ]);
  const given = new Map(parameters.descriptions.map(({ name, shape }, i) => {
    const exact = float16ToFloat32(float32ToFloat16(values(shape, i + 1)));
    return [name, name === "halves" ? exact : values(shape, i + 1)];
  }));
  for (const [name, value] of given) parameters.write(name, value);
  assert.equal(await parameters.read(), given);
  assert.equal(await parameters.read(["halves"]), new Map([["halves", given.get("halves")!]]));
  assert.equal(parameters.trainable, ["trained", "trained too"]);
  parameters.destroy();
});

test("f16 takes half the memory, and values rounded to nearest, ties to even", async () => {
  const parameters = new Parameters(gpu, [frozen("w", [3, 341], "f16")]);
  const single = new Parameters(gpu, [frozen("w", [3, 341])]);
  assert.is(single.bytes / parameters.bytes, 2);
  const given = new Float32Array(1023).fill(1 + 2 ** -11); // between 1 and 1 + 2⁻¹⁰: to even
  given.set([1 + 3 * 2 ** -11, 1 + 2 ** -11 + 2 ** -20, 65519, 2 ** -24, 2 ** -26]);
  parameters.write("w", given);
  const read = (await parameters.read(["w"])).get("w")!;
  assert.equal([...read.subarray(0, 5)], [1 + 2 ** -9, 1 + 2 ** -10, 65504, 2 ** -24, 0]);
  assert.is(read[1022], 1);
  parameters.destroy();
});

test("bit patterns of f16 are taken as they are, by either storage", async () => {
  const parameters = new Parameters(gpu, [frozen("w", [3], "f16"), frozen("v", [3])]);
  const bits = Uint16Array.of(0x0001, 0xfbff, 0x3555);
  for (const name of ["w", "v"]) {
    parameters.writeHalf(name, bits);
    assert.equal([...(await parameters.read([name])).get(name)!], [...float16ToFloat32(bits)]);
  }
  assert.throws(() => parameters.writeHalf("w", Uint16Array.of(1)), /"w" \[3\] cannot take 1/);
  parameters.destroy();
});

test("a value beyond f16 is refused by the parameter's name, and nothing of it is written", async () => {
  const parameters = new Parameters(gpu, [frozen("encoder.w", [2], "f16")]);
  parameters.write("encoder.w", Float32Array.of(1, 2));
  for (const value of [65520, -(2 ** 100), Infinity]) {
    const isRefusal = (error: Error) =>
      error instanceof UserError && error.message.includes(`"encoder.w" has the value ${value}`);
    assert.throws(() => parameters.write("encoder.w", Float32Array.of(3, value)), isRefusal);
  }
  assert.equal([...(await parameters.read()).get("encoder.w")!], [1, 2]);
  parameters.destroy();
});

test("halves are written in pairs, and a last one alone", async () => {
  const variable = createVariable(gpu, "w", [5], "f16");
  writeVariable(gpu, variable, Float32Array.of(1, 2, 3, 4, 5));
  writeVariable(gpu, variable, Float32Array.of(6, 7), 2);
  writeVariable(gpu, variable, Float32Array.of(8), 4);
  assert.equal((await readVariables(gpu, [variable]))[0], Float32Array.of(1, 2, 6, 7, 8));
  for (const [count, offset] of [[1, 0], [1, 1], [2, 3], [6, 0]]) {
    assert.throws(() => writeVariable(gpu, variable, new Float32Array(count), offset), /"w" f16/);
  }
  assert.throws(() => writeVariable(gpu, variable, new Int32Array(2)), /"w" f16/);
});

for (const columns of [64, 5]) {
  for (const storage of ["f32", "f16"] as const) {
    const how = columns === 64 ? "without a copy" : "by way of copies";
    test(`parts of a module are read as one matrix in ${storage}, ${how}`, async () => {
      const names = ["m.q.weight", "m.k.weight", "m.v.weight"];
      const rows = [2, 7, 4].map((count) => columns === 64 ? 2 * count : count);
      const parameters = new Parameters(
        gpu,
        names.map((name, i) => frozen(name, [rows[i], columns], storage)),
      );
      names.forEach((name, i) => parameters.write(name, values([rows[i], columns], i + 1)));
      const shape = [rows.reduce((a, b) => a + b), columns];
      const identity = input("x", [columns, columns]);
      const weight = concat(names.map((name) => parameters.tensor(name)), shape);
      const program = await compile(gpu, { outputs: { y: linear(identity, weight) } });
      assert.is(program.dispatchCount, columns === 64 ? 1 : 4);
      const x = new Float32Array(columns ** 2).map((_, i) => Number(i % (columns + 1) === 0));
      const { y } = await program.run({ x }, ["y"]);
      const all = [...(await parameters.read(names)).values()].flatMap((part) => [...part]);
      // The product is [columns, rows].
      assert.equal(
        [...y],
        Array.from(y, (_, i) => {
          const column = Math.floor(i / shape[0]), row = i % shape[0];
          return all[row * columns + column];
        }),
      );
      program.destroy();
      parameters.destroy();
    });
  }
}

test("a slab is not too large to be bound, and a module that fits one is not parted", async () => {
  const small = withBindings(gpu, 1024);
  const described = ["a.0.weight", "a.1.weight", "b.0.weight", "b.1.weight", "c.0.weight"].map(
    (name, i) => ({ name, shape: [i < 2 ? 40 : 65], trainable: true }),
  );
  const parameters = new Parameters(small, described);
  const names = parameters.slabs.map(({ entries }) => entries.map(({ name }) => name).join(" "));
  // 128, 256 and 128 of at most 256 elements.
  assert.equal(names, ["a.0.weight a.1.weight", "b.0.weight b.1.weight", "c.0.weight"]);
  const given = new Map(described.map(({ name, shape }, i) => [name, values(shape, i + 1)]));
  for (const [name, value] of given) parameters.write(name, value);
  assert.equal(await parameters.read(), given);
  assert.throws(
    () => new Parameters(small, [frozen("large.weight", [257])]),
    /"large.weight" .* binds at most 1024/,
  );
  parameters.destroy();
});

test("a trained parameter cannot be stored as f16", () => {
  const trained = { ...frozen("w", [2], "f16"), trainable: true };
  assert.throws(() => new Parameters(gpu, [trained]), /"w" is trained/);
});

test.run();
