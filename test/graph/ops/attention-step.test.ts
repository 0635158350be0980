import { suite } from "uvu";
import * as assert from "uvu/assert";
import { compile } from "../../../src/graph/compile.ts";
import { input, read } from "../../../src/graph/leaves.ts";
import { crossAttention, selfAttention } from "../../../src/graph/ops/attention.ts";
import { attentionStep } from "../../../src/graph/ops/attention-step.ts";
import { cacheWrite } from "../../../src/graph/ops/cache-write.ts";
import { ShapeError } from "../../../src/graph/tensor.ts";
import { createVariable, writeVariable } from "../../../src/graph/variables.ts";
import { testDevice } from "../device.ts";
import { assertClose, evaluate, operand, sideBySide } from "./check.ts";
import { variants } from "./variants.ts";

const test = suite("attentionStep");
const device = await testDevice();

for (const [variant, gpu] of variants(device)) {
  for (
    const [headSize, length, position] of [[5, 7, 0], [16, 9, 5], [32, 64, 63], [96, 130, 128]]
  ) {
    test(`${variant}: query ${position} of ${length}, ${headSize} features, is that row of attention`, async () => {
      const batch = 2, heads = 3, width = heads * headSize;
      const query = operand([batch, length, width], 1);
      const key = operand([batch, length, width], 2);
      const value = operand([batch, length, width], 3);
      const operands = {
        packed: sideBySide(query, key, value),
        key,
        value,
        table: operand([32, heads], 4),
        row: {
          shape: [batch, 1, width],
          values: Float32Array.from(
            { length: batch * width },
            (_, i) => query.values[(Math.floor(i / width) * length + position) * width + i % width],
          ),
        },
        position: { shape: [1], values: Uint32Array.of(position) },
      };
      const { all, step } = await evaluate(gpu, operands, (leaves) => {
        const { packed, key, value, table, row, position } = leaves;
        const positions = { table, bidirectional: false };
        return {
          all: selfAttention(packed, { heads, positions, causal: true, maskValue: -1e4 }),
          step: attentionStep(row, key, value, { heads, position, table }),
        };
      });
      for (let b = 0; b < batch; b++) {
        const at = (b * length + position) * width;
        assertClose(step.slice(b * width, (b + 1) * width), all.slice(at, at + width));
      }
    });
  }

  test(`${variant}: over masked keys without a position, it is attention of one query`, async () => {
    const batch = 3, heads = 2, headSize = 12, length = 70, width = heads * headSize;
    const mask = Int32Array.from(
      { length: batch * length },
      (_, i) => Number(i % length < [70, 3, 0][Math.floor(i / length)]),
    );
    const key = operand([batch, length, width], 2), value = operand([batch, length, width], 3);
    const operands = {
      query: operand([batch, 1, width], 1),
      key,
      value,
      packed: sideBySide(key, value),
      keyMask: { shape: [batch, length], values: mask },
    };
    const { one, step } = await evaluate(gpu, operands, (leaves) => {
      const { query, key, value, packed, keyMask } = leaves;
      const options = { heads, keyMask, maskValue: -1e9 };
      return {
        one: crossAttention(query, packed, options),
        step: attentionStep(query, key, value, options),
      };
    });
    assertClose(step, one);
  });

  test(`${variant}: sequences side by side, on common keys, their own, and those of their ancestors`, async () => {
    const batch = 2, slots = 3, heads = 2, headSize = 7, length = 70, position = 67;
    const width = heads * headSize;
    const routes = Uint32Array.from(
      { length: batch * slots * length },
      (_, i) => (i * 7 + Math.floor(i / 5)) % slots,
    );
    const operands = {
      query: operand([batch, slots, width], 1),
      common: operand([batch, length, width], 2),
      key: operand([batch, length, slots * width], 3),
      value: operand([batch, length, slots * width], 4),
      table: operand([32, heads], 5),
      ancestors: { shape: [batch, slots, length], values: routes },
      position: { shape: [1], values: Uint32Array.of(position) },
    };
    const { shared, own, routed } = await evaluate(gpu, operands, (leaves) => {
      const { query, common, key, value, table, ancestors, position } = leaves;
      const options = { heads, position, table };
      return {
        shared: attentionStep(query, common, common, { heads }),
        own: attentionStep(query, key, value, options),
        routed: attentionStep(query, key, value, { ...options, ancestors }),
      };
    });

    /** The same for one sequence alone, its keys and values gathered from the slots. */
    const alone = async (b: number, s: number, slotOf: (k: number) => number) => {
      const gather = ({ values }: { values: Float32Array }) =>
        Float32Array.from({ length: length * width }, (_, i) => {
          const k = Math.floor(i / width);
          return values[((b * length + k) * slots + slotOf(k)) * width + i % width];
        });
      const { result } = await evaluate(gpu, {
        query: {
          shape: [1, 1, width],
          values: operands.query.values.slice((b * slots + s) * width, (b * slots + s + 1) * width),
        },
        key: { shape: [1, length, width], values: gather(operands.key as never) },
        value: { shape: [1, length, width], values: gather(operands.value as never) },
        table: operands.table,
        position: operands.position,
      }, (leaves) => ({
        result: attentionStep(leaves.query, leaves.key, leaves.value, {
          heads,
          position: leaves.position,
          table: leaves.table,
        }),
      }));
      return result;
    };
    const packed = sideBySide(operands.common, operands.common);
    const { one } = await evaluate(gpu, { query: operands.query, packed }, (leaves) => ({
      one: crossAttention(leaves.query, leaves.packed, { heads, maskValue: 0 }),
    }));
    assertClose(shared, one);
    for (let row = 0; row < batch * slots; row++) {
      const b = Math.floor(row / slots), s = row % slots;
      const part = (all: ArrayLike<number>) =>
        Array.from(all).slice(row * width, (row + 1) * width);
      assertClose(part(own), await alone(b, s, () => s));
      assertClose(part(routed), await alone(b, s, (k) => routes[row * length + k]));
    }
  });
}

test("cacheWrite changes one row of both variables and keeps the others", async () => {
  const variables = ["key", "value"].map((name) => createVariable(device, name, [2, 3, 5]));
  for (const variable of variables) {
    writeVariable(device, variable, new Float32Array(30).fill(-1));
  }
  const [key, value] = variables.map(read);
  const rows = { key: input("key", [2, 5]), value: input("value", [2, 5]) };
  const written = cacheWrite({ key, value }, rows, input("position", [1], "u32"));
  const program = await compile(device, { outputs: { ...written } });
  const run = async (sign: number, position: number) => {
    const values = Float32Array.from({ length: 10 }, (_, i) => sign * i);
    const given = { key: values, value: values.map((x) => 10 * x) };
    const at = Uint32Array.of(position);
    return await program.run({ ...given, position: at }, ["key", "value"]);
  };
  await run(1, 2);
  const result = await run(1, 1);
  const none = [-1, -1, -1, -1, -1], first = [0, 1, 2, 3, 4], second = [5, 6, 7, 8, 9];
  const expected = [...none, ...first, ...first, ...none, ...second, ...second];
  assert.equal([...result.key], expected);
  assert.equal([...result.value], expected.map((x) => x < 0 ? x : 10 * x));
  assert.equal(await run(-1, 3), result, "a position beyond the cache");
  program.destroy();
  for (const { buffer } of variables) buffer.destroy();
});

test("operands that do not fit are refused", () => {
  const query = input("query", [2, 1, 8]), key = input("key", [2, 5, 8]);
  const position = input("position", [1], "u32"), table = input("table", [32, 2]);
  const refused = (f: () => unknown, message: RegExp) =>
    assert.throws(f, (error: Error) => error instanceof ShapeError && message.test(error.message));
  refused(() => attentionStep(query, key, key, { heads: 3 }), /3 heads/);
  refused(() => attentionStep(query, key, input("v", [2, 4, 8]), { heads: 2 }), /key and value/);
  refused(() => attentionStep(query, key, key, { heads: 2, table }), /needs a position/);
  refused(() => attentionStep(query, key, key, { heads: 4, table, position }), /\[buckets, 4\]/);
  const beams = input("beams", [2, 3, 8]);
  refused(
    () => attentionStep(beams, input("k", [2, 5, 16]), key, { heads: 2 }),
    /one slot or one a query/,
  );
  const ancestors = input("ancestors", [2, 3, 4], "u32");
  refused(() => attentionStep(beams, key, key, { heads: 2, ancestors }), /u32\[2, 3, 5\]/);
  const row = input("row", [2, 8]), short = input("short", [2, 7]);
  const cache = { key, value: input("values", [2, 5, 8]) };
  refused(() => cacheWrite(cache, { key: row, value: short }, position), /middle axis/);
});

test.run();
