import { suite } from "uvu";
import * as assert from "uvu/assert";
import { tokenAt } from "../../../src/graph/ops/token-at.ts";
import { testDevice } from "../device.ts";
import { evaluate } from "./check.ts";

const test = suite("ops/token-at");
const gpu = await testDevice();

for (const [position, column] of [[0, 0], [2, 2], [4, 4], [9, 4]]) {
  test(`position ${position} reads column ${column}`, async () => {
    const [batch, length, slots] = [67, 5, 3];
    const tokens = Int32Array.from({ length: batch * length * slots }, (_, i) => i);
    const { token } = await evaluate(gpu, {
      tokens: { shape: [batch, length, slots], values: tokens },
      position: { shape: [1], values: Uint32Array.of(position) },
    }, (leaf) => ({ token: tokenAt(leaf.tokens, leaf.position) }));
    const at = (i: number) => (Math.floor(i / slots) * length + column) * slots + i % slots;
    assert.equal([...token], Array.from({ length: batch * slots }, (_, i) => at(i)));
  });
}

test.run();
