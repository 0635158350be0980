import { suite } from "uvu";
import * as assert from "uvu/assert";
import { input } from "../../../src/graph/leaves.ts";
import { bannedTokens } from "../../../src/graph/ops/banned-tokens.ts";
import { ShapeError } from "../../../src/graph/tensor.ts";
import { testDevice } from "../device.ts";
import { evaluate } from "./check.ts";

const test = suite("bannedTokens");
const gpu = await testDevice();

/** The tokens whose bits are set in the mask of each sequence. */
async function banned(
  sequences: readonly (readonly number[])[],
  position: number,
  size: number,
  { vocabulary = 70, ancestors }: { vocabulary?: number; ancestors?: number[] } = {},
): Promise<number[][]> {
  const slots = sequences.length, length = sequences[0].length;
  const tokens = Int32Array.from(
    { length: length * slots },
    (_, i) => sequences[i % slots][Math.floor(i / slots)],
  );
  const { mask } = await evaluate(gpu, {
    tokens: { shape: [1, length, slots], values: tokens },
    position: { shape: [1], values: Uint32Array.of(position) },
    ...ancestors &&
      { ancestors: { shape: [1, slots, length], values: Uint32Array.from(ancestors) } },
  }, ({ tokens, position, ancestors }) => ({
    mask: bannedTokens(tokens, position, { size, vocabulary, ancestors }),
  }));
  const words = Math.ceil(vocabulary / 32);
  return sequences.map((_, slot) =>
    Array.from({ length: 32 * words }, (_, token) => token)
      .filter((token) => mask[slot * words + Math.floor(token / 32)] >>> token % 32 & 1)
  );
}

test("what followed the last tokens before is banned", async () => {
  const sequence = [0, 5, 6, 7, 5, 6, 69, 5, 6, 9];
  assert.equal(await banned([sequence], 8, 3), [[7, 69]], "after 5 6");
  assert.equal(await banned([sequence], 7, 2), [[6]], "after 5");
  assert.equal(await banned([sequence], 3, 2), [[]], "nothing came twice");
  assert.equal(await banned([sequence], 9, 1), [[0, 5, 6, 7, 9, 69]], "everything");
  assert.equal(await banned([[0, 0, 0, 0]], 2, 3), [[0]], "the start token counts");
});

test("n-grams longer than the sequence ban nothing", async () => {
  for (const size of [4, 5, 100]) assert.equal(await banned([[3, 3, 3, 3]], 2, size), [[]]);
  assert.equal(await banned([[3, 3, 3, 3]], 2, 3), [[3]]);
});

test("every sequence has its own, read through its ancestors", async () => {
  const sequences = [[0, 4, 33, 4, 0], [0, 8, 40, 8, 0], [0, 2, 2, 2, 0]];
  assert.equal(await banned(sequences, 3, 2), [[33], [40], [2]]);
  // The first goes on from the second's first two tokens.
  const ancestors = [1, 1, 1, 0, 0, 1, 1, 1, 1, 0, 2, 2, 2, 2, 0];
  assert.equal(await banned(sequences, 3, 1, { ancestors }), [[0, 4, 8, 40], [0, 8, 40], [0, 2]]);
  assert.equal(await banned(sequences, 3, 2, { ancestors }), [[], [40], [2]]);
});

test("a vocabulary of whole and of broken words", async () => {
  for (const vocabulary of [32, 33, 64, 300]) {
    const last = vocabulary - 1;
    assert.equal(await banned([[last, 31, last, 0]], 2, 1, { vocabulary }), [
      [...new Set([31, last])].sort((a, b) => a - b),
    ]);
  }
});

test("a position at the end of the tokens or beyond reads nothing else", async () => {
  assert.equal(await banned([[3, 4, 3]], 2, 2), [[4]]);
  assert.equal(await banned([[3, 4, 3]], 3, 2), [[]]);
});

test("operands that do not fit are named", () => {
  const position = input("position", [1], "u32"), tokens = input("tokens", [2, 4, 3], "i32");
  const refused = (f: () => unknown, message: RegExp) =>
    assert.throws(f, (e: Error) => e instanceof ShapeError && message.test(e.message));
  const options = { size: 2, vocabulary: 9 };
  refused(() => bannedTokens(input("tokens", [2, 4], "i32"), position, options), /slots/);
  refused(() => bannedTokens(tokens, input("position", [2], "u32"), options), /position/);
  const ancestors = input("ancestors", [2, 4, 3], "u32");
  refused(() => bannedTokens(tokens, position, { ...options, ancestors }), /ancestors/);
});

test.run();
