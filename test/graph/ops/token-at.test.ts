import { suite } from "uvu";
import * as assert from "uvu/assert";
import { tokenAt } from "../../../src/graph/ops/token-at.ts";
import { testDevice } from "../device.ts";
import { evaluate } from "./check.ts";

const test = suite("ops/token-at");
const gpu = await testDevice();

for (const [position, column] of [[0, 0], [2, 2], [4, 4], [9, 4]]) {
  test(`position ${position} reads column ${column}`, async () => {
    const tokens = Int32Array.from({ length: 67 * 5 }, (_, i) => i);
    const { token } = await evaluate(gpu, {
      tokens: { shape: [67, 5], values: tokens },
      position: { shape: [1], values: Uint32Array.of(position) },
    }, (leaf) => ({ token: tokenAt(leaf.tokens, leaf.position) }));
    assert.equal([...token], Array.from({ length: 67 }, (_, row) => 5 * row + column));
  });
}

test.run();
