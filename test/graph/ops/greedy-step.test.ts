import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { Gpu } from "../../../src/gpu/device.ts";
import { compile } from "../../../src/graph/compile.ts";
import { input } from "../../../src/graph/leaves.ts";
import { advance, greedyStep } from "../../../src/graph/ops/greedy-step.ts";
import { ShapeError } from "../../../src/graph/tensor.ts";
import { testDevice } from "../device.ts";
import { assertClose, values } from "./check.ts";
import { variable } from "./variables.ts";
import { variants } from "./variants.ts";

const test = suite("greedyStep");
const options = { eosId: 1, padId: 0, minLength: 0 };

/** A decoding of which each run of the program is one step. */
async function decoding(
  gpu: Gpu,
  batch: number,
  columns: number,
  maxLength: number,
  minLength = 0,
) {
  const shape = [batch, maxLength];
  const state = {
    finished: variable(gpu, "finished", [batch], new Int32Array(batch)),
    tokens: variable(gpu, "tokens", shape, new Int32Array(batch * maxLength)),
    scores: variable(gpu, "scores", shape, new Float32Array(batch * maxLength)),
  };
  const position = variable(gpu, "position", [1], new Uint32Array(1));
  const logits = input("logits", [batch, columns]);
  const outputs = {
    ...greedyStep(logits, state, position, { ...options, minLength }),
    position: advance(position),
  };
  return await compile(gpu, { outputs });
}

const NAMES = ["finished", "tokens", "scores", "position"];

/** −ln softmax(logits)[token], without the tokens in `forbidden`. */
function score(logits: Float32Array, token: number, forbidden: number[] = []): number {
  const allowed = [...logits].filter((_, i) => !forbidden.includes(i));
  return Math.log(allowed.reduce((sum, x) => sum + Math.exp(x - logits[token]), 0));
}

/** Logits that prefer the given token of each row. */
function preferring(tokens: number[], columns: number, seed: number): Float32Array {
  const logits = values([tokens.length, columns], seed, 4);
  tokens.forEach((token, row) => logits[row * columns + token] = 5);
  return logits;
}

for (const [name, gpu] of variants(await testDevice())) {
  test(`${name}: rows end one by one and are padded, each token with its score`, async () => {
    for (const columns of [5, 64, 301]) {
      const program = await decoding(gpu, 3, columns, 6);
      const steps = [[4, 2, 1], [3, 1, 4], [0, 3, 3], [1, 2, 2]];
      const chosen = [[4, 3, 0, 1, 0], [2, 1, 0, 0, 0], [1, 0, 0, 0, 0]];
      const scores = chosen.map((row) => row.map(() => 0));
      let result;
      for (const [i, tokens] of steps.entries()) {
        const logits = preferring(tokens, columns, i + 1);
        tokens.forEach((token, row) => {
          if (chosen[row][i] === 0) return;
          scores[row][i] = score(logits.subarray(row * columns, (row + 1) * columns), token);
        });
        result = await program.run({ logits }, NAMES);
      }
      assert.equal([...result!.tokens], chosen.flatMap((row) => [0, ...row]));
      assert.equal([...result!.finished], [1, 1, 1]);
      assert.equal([...result!.position], [4]);
      assertClose(result!.scores, scores.flatMap((row) => [0, ...row]), { absolute: 1e-5 });
    }
  });

  test(`${name}: the end token is forbidden below the minimum length`, async () => {
    const columns = 9;
    const program = await decoding(gpu, 1, columns, 5, 3);
    const logits = preferring([1], columns, 3);
    const second = logits.indexOf(Math.max(...logits.filter((_, i) => i !== 1)));
    let result;
    for (let i = 0; i < 3; i++) result = await program.run({ logits }, NAMES);
    assert.equal([...result!.tokens], [0, second, second, 1, 0]);
    const first = score(logits, second, [1]);
    assertClose(result!.scores, [0, first, first, score(logits, 1), 0]);
  });

  test(`${name}: many steps in one submit, and nothing beyond the maximum length`, async () => {
    const program = await decoding(gpu, 2, 7, 4);
    program.submit({ logits: preferring([5, 6], 7, 3) }, { repeat: 4 });
    const result = await program.run({ logits: preferring([3, 3], 7, 4) }, NAMES);
    assert.equal([...result.tokens], [0, 5, 5, 5, 0, 6, 6, 6]);
    assert.equal([...result.finished], [0, 0]);
    assert.equal([...result.position], [5]);
  });

  test(`${name}: large logits do not overflow, a NaN shows in the score`, async () => {
    const program = await decoding(gpu, 2, 3, 4);
    const logits = Float32Array.of(-1e4, 1, 1e4, 5, NaN, 6);
    const { tokens, scores } = await program.run({ logits }, NAMES);
    assert.equal([tokens[1], tokens[5]], [2, 1]);
    assert.is(scores[1], 0);
    assert.ok(Number.isNaN(scores[5]));
  });
}

test("operands that do not fit are named", () => {
  const state = {
    finished: input("finished", [2], "i32"),
    tokens: input("tokens", [2, 4], "i32"),
    scores: input("scores", [2, 4]),
  };
  const logits = input("logits", [2, 9]);
  const position = input("position", [1], "u32");
  const refused = (f: () => unknown, message: RegExp) =>
    assert.throws(f, (e: Error) => e instanceof ShapeError && message.test(e.message));
  const wrong = { ...state, scores: input("scores", [2, 5]) };
  refused(() => greedyStep(logits, wrong, position, options), /scores/);
  refused(() => greedyStep(input("logits", [3, 9]), state, position, options), /finished/);
  refused(() => greedyStep(logits, state, input("position", [1], "i32"), options), /position/);
  refused(() => advance(input("counter", [2], "u32")), /counter/);
});

test.run();
