import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { Dtype } from "../../src/io/header.ts";
import { bytesSource } from "../../src/io/source.ts";
import { Storage, TensorView } from "../../src/io/view.ts";

const test = suite("view");

class Refusal extends Error {}
const refuse = (why: string): never => {
  throw new Refusal(why);
};

const view = (
  length: number,
  offset: number,
  shape: number[],
  stride: number[],
  dtype: Dtype = "U8",
) => new TensorView(new Storage("0", dtype, length), offset, shape, stride, refuse);

test("any strides are gathered as a plain loop over the indices does, for every element size", async () => {
  const cases: [offset: number, shape: number[], stride: number[]][] = [
    [0, [4, 6], [6, 1]],
    [0, [6, 4], [1, 6]],
    [7, [2, 3], [6, 2]],
    [1, [3], [5]],
    [0, [2, 3, 4], [12, 4, 1]],
    [0, [4, 2, 3], [1, 12, 4]],
    [23, [1, 1], [99, 99]],
    [3, [2, 1, 3], [9, 77, 2]],
    [0, [3, 2], [0, 1]],
    [5, [2, 2, 2, 2], [1, 2, 3, 4]],
    [5, [], []],
  ];
  const types: [Dtype, number][] = [["U8", 1], ["BF16", 2], ["F32", 4], ["F64", 8]];
  for (const [dtype, size] of types) {
    // All bit patterns of a NaN must survive, and the storage may begin anywhere in a file.
    const begin = 3;
    const file = Uint8Array.from(
      { length: begin + 24 * size },
      (_, i) => i % 7 === 0 ? i : 0xff - i % 2,
    );
    for (const [offset, shape, stride] of cases) {
      const expected: number[] = [];
      const visit = (axis: number, element: number) => {
        if (axis === shape.length) {
          const at = begin + element * size;
          expected.push(...file.subarray(at, at + size));
        } else {
          for (let i = 0; i < shape[axis]; i++) visit(axis + 1, element + i * stride[axis]);
        }
      };
      visit(0, offset);
      const stored = view(24, offset, shape, stride, dtype).stored(
        bytesSource("file", file),
        begin,
      );
      assert.is(stored.dtype, dtype);
      assert.equal(stored.shape, shape);
      assert.equal([...await stored.read()], expected, `${dtype} [${shape}] by [${stride}]`);
    }
  }
});

test("a view that leaves its storage is refused", () => {
  const refuses = (pattern: RegExp, ...args: Parameters<typeof view>) =>
    assert.throws(() => view(...args), (error: unknown) => {
      assert.instance(error, Refusal);
      assert.match((error as Error).message, pattern);
      return true;
    });
  const vast = Number.MAX_SAFE_INTEGER;
  refuses(/leaves its storage/, 6, 1, [2, 3], [3, 1]);
  refuses(/leaves its storage/, 6, 6, [], []);
  refuses(/leaves its storage/, 6, 7, [0], [1]);
  refuses(/leaves its storage/, 6, 0, [2], [6]);
  refuses(/leaves its storage/, 6, 0, [2], [vast]);
  refuses(/leaves its storage/, 6, vast, [1], [1]);
  refuses(/view of 6 elements/, 6, 0, [7], [1]);
  refuses(/view of 6 elements/, 6, 0, [vast], [0]);
  refuses(/view of 6 elements/, 6, 0, [vast, vast, vast], [0, 0, 0]);
  refuses(/view of 6 elements/, 6, 0, [...new Array(40).fill(vast), 0], new Array(41).fill(0));
  refuses(/view of 0 elements/, 0, 0, [], []);
});

test("a tensor without elements is read, even at the end of its storage", async () => {
  const source = bytesSource("file", new Uint8Array(6));
  assert.is((await view(6, 6, [0, 4], [4, 1]).stored(source, 0).read()).length, 0);
  assert.is((await view(0, 0, [3, 0], [0, 1]).stored(source, 6).read()).length, 0);
});

test.run();
