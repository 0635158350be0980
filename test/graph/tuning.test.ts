import { suite } from "uvu";
import * as assert from "uvu/assert";
import { compile } from "../../src/graph/compile.ts";
import { input } from "../../src/graph/leaves.ts";
import { chosenCandidate } from "../../src/graph/ops/matmul-choice.ts";
import { matmul } from "../../src/graph/ops/matmul.ts";
import {
  type Choices,
  clearWinner,
  isFaster,
  Tuning,
  type TuningStore,
  useTuning,
} from "../../src/graph/tuning.ts";
import { values } from "./ops/check.ts";
import { testDevice } from "./device.ts";

const test = suite("graph/tuning");
const gpu = await testDevice();
test.after.each(() => useTuning(gpu, undefined));

class Memory implements TuningStore {
  writes = 0;
  constructor(public choices: Choices = {}) {}
  read(): Promise<Choices> {
    return Promise.resolve(this.choices);
  }
  write(choices: Choices): Promise<void> {
    this.writes++;
    this.choices = choices;
    return Promise.resolve();
  }
}

const operands = { a: values([24, 40], 1), b: values([40, 20], 2) };

function product(scale = 1) {
  return matmul(input("a", [24, 40 * scale]), input("b", [40 * scale, 20]));
}

async function run(): Promise<Float32Array> {
  const program = await compile(gpu, { outputs: { y: product() } });
  const { y } = await program.run(operands, ["y"]);
  program.destroy();
  return y as Float32Array;
}

const problem = {
  ...{ batch: 1, m: 24, n: 20, k: 40, aStride: 0, bStride: 0 },
  transposeA: false,
  transposeB: false,
};

test("a class of products is measured once, kept, and found again", async () => {
  const store = new Memory();
  useTuning(gpu, await Tuning.open(store));
  const first = await run();
  const [[key, name], ...others] = Object.entries(store.choices);
  assert.equal(others, []);
  assert.match(key, /^matmul 1 of 32x16x32 nn f32 f32$/);
  assert.is(chosenCandidate(problem, gpu).name, name);
  assert.equal(await run(), first);
  assert.is(store.writes, 1);

  useTuning(gpu, await Tuning.open(new Memory(store.choices)));
  assert.equal(await run(), first);
});

test("all products of a program are measured", async () => {
  const store = new Memory();
  useTuning(gpu, await Tuning.open(store));
  const y = matmul(product(), input("c", [20, 100]));
  const z = matmul(y, input("d", [9, 100]), { transposeB: true });
  (await compile(gpu, { outputs: { y, z } })).destroy();
  assert.equal(Object.keys(store.choices), [
    "matmul 1 of 32x128x16 nn f32 f32",
    "matmul 1 of 32x16x32 nn f32 f32",
    "matmul 1 of 32x8x128 nt f32 f32",
  ]);
});

test("each new choice is told, once", async () => {
  const told: string[] = [];
  const tuning = await Tuning.open(
    new Memory(),
    ({ key, candidates }, chosen) => {
      assert.ok(candidates.includes(chosen));
      told.push(key);
    },
  );
  useTuning(gpu, tuning);
  await run();
  await run();
  assert.equal(told, Object.keys(tuning.choices));
});

test("what a store has is used and not measured again, whatever is faster", async () => {
  const likeliest = chosenCandidate(problem, gpu).name;
  const open = new Memory();
  const tuning = await Tuning.open(open);
  let candidates: readonly string[] = [];
  const choose = tuning.choose.bind(tuning);
  tuning.choose = (tunable) => {
    candidates = tunable.candidates;
    return choose(tunable);
  };
  useTuning(gpu, tuning);
  chosenCandidate(problem, gpu);
  const last = candidates.at(-1)!;
  assert.is.not(last, likeliest);
  const store = new Memory({ "matmul 1 of 32x16x32 nn f32 f32": last });
  useTuning(gpu, await Tuning.open(store));
  const y = await run();
  assert.is(chosenCandidate(problem, gpu).name, last);
  assert.is(store.writes, 0);
  useTuning(gpu, undefined);
  const expected = await run();
  assert.ok(y.every((value, i) => Math.abs(value - expected[i]) < 1e-5));
});

test("a choice that no candidate has is passed over", async () => {
  const likeliest = chosenCandidate(problem, gpu).name;
  const choices = { "matmul 1 of 32x16x32 nn f32 f32": "another 3x5" };
  useTuning(gpu, await Tuning.open(new Memory(choices)));
  assert.is(chosenCandidate(problem, gpu).name, likeliest);
});

test("a second store has all choices before a program that uses them is there", async () => {
  const [machine, directory] = [new Memory({ old: "way" }), new Memory()];
  const tuning = await Tuning.open(machine);
  await tuning.keepIn(directory);
  assert.equal(directory.choices, { old: "way" });
  useTuning(gpu, tuning);
  const program = await compile(gpu, { outputs: { y: product(4) } });
  program.destroy();
  assert.is(Object.keys(directory.choices).length, 2);
  assert.equal(directory.choices, machine.choices);
});

test("the first candidate is left only for one that is faster every time, and by a margin", () => {
  const winner = (...times: number[][]) =>
    clearWinner(times.map((list, i) => ({ name: `${i}`, times: list })));
  assert.is(winner([10, 10, 10], [5, 6, 5]), "1");
  assert.is(winner([10, 10, 10], [9.8, 9.7, 9.8]), "0");
  assert.is(winner([10, 10, 10], [5, 11, 5]), "0");
  assert.is(winner([10, 10, 10], [5], [8, 7, 8]), "1");
  assert.is(winner([10]), "0");
});

test("faster is what is so by a margin, at its best, and most of the time", () => {
  const slow = [10, 10, 10, 10, 10], fast = [8, 8, 8, 8, 8];
  assert.ok(isFaster(fast, slow, 1));
  assert.not(isFaster(slow, fast, 0));
  assert.not(isFaster([9.8, 9.8, 9.8, 9.8, 9.8], slow, 1));
  // Other programs took their share of most rounds of the second, but one shows what it can do.
  assert.not(isFaster(fast, [7, 10, 10, 10, 10], 0.5));
  assert.not(isFaster([8, 8, 8, 11, 11], slow, 0.8));
  assert.ok(isFaster([8, 8, 8, 8, 11], slow, 0.8));
});

test.run();
