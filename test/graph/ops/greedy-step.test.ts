import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { Gpu } from "../../../src/gpu/device.ts";
import { compile } from "../../../src/graph/compile.ts";
import { input } from "../../../src/graph/leaves.ts";
import { advance } from "../../../src/graph/ops/advance.ts";
import { greedyStep } from "../../../src/graph/ops/greedy-step.ts";
import { ShapeError } from "../../../src/graph/tensor.ts";
import { testDevice } from "../device.ts";
import { assertClose, values } from "./check.ts";
import { variable } from "./variables.ts";
import { variants } from "./variants.ts";

const test = suite("greedyStep");
const options = { endIds: [1], padId: 0, minLength: 0 };

/** A decoding of which each run of the program is one step; `rows` sequences, in rows of `slots`. */
async function decoding(
  gpu: Gpu,
  rows: number,
  columns: number,
  maxLength: number,
  { minLength = 0, slots = 1, isBanned = false, endIds = options.endIds } = {},
) {
  const shape = [rows / slots, maxLength, slots];
  const state = {
    finished: variable(gpu, "finished", [rows / slots, slots], new Int32Array(rows)),
    tokens: variable(gpu, "tokens", shape, new Int32Array(rows * maxLength)),
    logProbabilities: variable(
      gpu,
      "logProbabilities",
      [...shape, 2],
      new Float32Array(2 * rows * maxLength),
    ),
  };
  const position = variable(gpu, "position", [1], new Uint32Array(1));
  const logits = input("logits", [rows, columns]);
  const words = Math.ceil(columns / 32);
  const banned = isBanned ? input("banned", [rows / slots, slots, words], "u32") : undefined;
  const outputs = {
    ...greedyStep(logits, state, position, { ...options, endIds, minLength, banned }),
    position: advance(position),
  };
  return await compile(gpu, { outputs });
}

const NAMES = ["finished", "tokens", "logProbabilities", "position"];

/** ln softmax(logits)[token], without the tokens in `forbidden`. */
function logProbability(logits: Float32Array, token: number, forbidden: number[] = []): number {
  const allowed = [...logits].filter((_, i) => !forbidden.includes(i));
  return -Math.log(allowed.reduce((sum, x) => sum + Math.exp(x - logits[token]), 0));
}

/** Logits that prefer the given token of each row. */
function preferring(tokens: number[], columns: number, seed: number): Float32Array {
  const logits = values([tokens.length, columns], seed, 4);
  tokens.forEach((token, row) => logits[row * columns + token] = 5);
  return logits;
}

for (const [name, gpu] of variants(await testDevice())) {
  test(`${name}: sequences end one by one and are padded, each token with its probability`, async () => {
    for (const columns of [5, 64, 301]) {
      const program = await decoding(gpu, 3, columns, 6);
      const steps = [[4, 2, 1], [3, 1, 4], [0, 3, 3], [1, 2, 2]];
      const chosen = [[4, 3, 0, 1, 0], [2, 1, 0, 0, 0], [1, 0, 0, 0, 0]];
      const expected = chosen.map((row) => row.map(() => 0));
      let result;
      for (const [i, tokens] of steps.entries()) {
        const logits = preferring(tokens, columns, i + 1);
        tokens.forEach((token, row) => {
          if (chosen[row].slice(0, i).includes(1)) return;
          const own = logits.subarray(row * columns, (row + 1) * columns);
          expected[row][i] = logProbability(own, token);
        });
        result = await program.run({ logits }, NAMES);
      }
      assert.equal([...result!.tokens], chosen.flatMap((row) => [0, ...row]));
      assert.equal([...result!.finished], [1, 1, 1]);
      assert.equal([...result!.position], [4]);
      const pairs = expected.flatMap((row) => [0, 0, ...row.flatMap((x) => [x, x])]);
      assertClose(result!.logProbabilities, pairs, { absolute: 1e-5 });
    }
  });

  test(`${name}: sequences of one row lie side by side`, async () => {
    const program = await decoding(gpu, 6, 9, 3, { slots: 3 });
    const logits = preferring([2, 3, 4, 5, 6, 1], 9, 1);
    const { tokens, finished } = await program.run({ logits }, NAMES);
    assert.equal([...tokens], [0, 0, 0, 2, 3, 4, 0, 0, 0, 0, 0, 0, 5, 6, 1, 0, 0, 0]);
    assert.equal([...finished], [0, 0, 0, 0, 0, 1]);
  });

  test(`${name}: a thousand tokens may end a sequence, in runs and alone`, async () => {
    const alone = Array.from({ length: 500 }, (_, i) => 3 * i + 2); // 2, 5, …, 1499
    const run = Array.from({ length: 500 }, (_, i) => 1600 + i);
    const columns = 2200;
    const program = await decoding(gpu, 8, columns, 2, { endIds: [...run, ...alone] });
    const logits = preferring([2, 3, 1499, 1500, 1599, 1600, 2099, 2100], columns, 5);
    const { finished } = await program.run({ logits }, NAMES);
    assert.equal([...finished], [1, 0, 1, 0, 0, 1, 1, 0]);
  });

  test(`${name}: the end token is forbidden below the minimum length`, async () => {
    const columns = 9;
    const program = await decoding(gpu, 1, columns, 5, { minLength: 3 });
    const logits = preferring([1], columns, 3);
    const second = logits.indexOf(Math.max(...logits.filter((_, i) => i !== 1)));
    let result;
    for (let i = 0; i < 3; i++) result = await program.run({ logits }, NAMES);
    assert.equal([...result!.tokens], [0, second, second, 1, 0]);
    const first = [logProbability(logits, second), logProbability(logits, second, [1])];
    const last = logProbability(logits, 1);
    assertClose(result!.logProbabilities, [0, 0, ...first, ...first, last, last, 0, 0]);
  });

  test(`${name}: banned tokens are not chosen, however much likelier they are`, async () => {
    const columns = 70;
    const program = await decoding(gpu, 2, columns, 3, { slots: 2, isBanned: true });
    const logits = preferring([69, 33], columns, 3);
    logits[69] = 60;
    const banned = Uint32Array.of(0, 0, 1 << 5, 0, 0, 0); // token 69 of the first sequence
    const { tokens, logProbabilities } = await program.run({ logits, banned }, NAMES);
    const own = logits.subarray(0, columns);
    const second = own.indexOf(Math.max(...own.filter((_, i) => i !== 69)));
    assert.equal([...tokens].slice(2, 4), [second, 33]);
    const other = logProbability(logits.subarray(columns), 33);
    assertClose(logProbabilities.slice(4, 8), [
      logProbability(own, second),
      logProbability(own, second, [69]),
      other,
      other,
    ]);
  });

  test(`${name}: many steps in one submit, and nothing beyond the maximum length`, async () => {
    const program = await decoding(gpu, 2, 7, 4);
    program.submit({ logits: preferring([5, 6], 7, 3) }, { repeat: 4 });
    const result = await program.run({ logits: preferring([3, 3], 7, 4) }, NAMES);
    assert.equal([...result.tokens], [0, 5, 5, 5, 0, 6, 6, 6]);
    assert.equal([...result.finished], [0, 0]);
    assert.equal([...result.position], [5]);
  });

  test(`${name}: large logits do not overflow, a NaN shows in the probability`, async () => {
    const program = await decoding(gpu, 2, 3, 4);
    const logits = Float32Array.of(-1e4, 1, 1e4, 5, NaN, 6);
    const { tokens, logProbabilities } = await program.run({ logits }, NAMES);
    assert.equal([tokens[1], tokens[5]], [2, 1]);
    assert.equal([...logProbabilities.slice(2, 4)], [0, 0]);
    assert.ok(logProbabilities.slice(10, 12).every(Number.isNaN));
  });
}

test("operands that do not fit are named", () => {
  const state = {
    finished: input("finished", [2, 1], "i32"),
    tokens: input("tokens", [2, 4, 1], "i32"),
    logProbabilities: input("logProbabilities", [2, 4, 1, 2]),
  };
  const logits = input("logits", [2, 9]);
  const position = input("position", [1], "u32");
  const refused = (f: () => unknown, message: RegExp) =>
    assert.throws(f, (e: Error) => e instanceof ShapeError && message.test(e.message));
  const wrong = { ...state, logProbabilities: input("logProbabilities", [2, 4, 1]) };
  refused(() => greedyStep(logits, wrong, position, options), /logProbabilities/);
  refused(() => greedyStep(input("logits", [3, 9]), state, position, options), /logits/);
  refused(() => greedyStep(logits, state, input("position", [1], "i32"), options), /position/);
  const banned = input("banned", [2, 1, 2], "u32");
  refused(() => greedyStep(logits, state, position, { ...options, banned }), /banned/);
  refused(() => advance(input("counter", [2], "u32")), /counter/);
});

test.run();
