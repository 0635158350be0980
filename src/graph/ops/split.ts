import { applyAll, byteLength, type Op, ShapeError, size, type Tensor } from "../tensor.ts";
import { concat } from "./concat.ts";
import { copyDispatch } from "./copy.ts";
import { fill } from "./fill.ts";

const splitOp: Op<{ lengths: readonly number[] }> = {
  name: "split",
  shape(inputs, { lengths }) {
    const [{ shape: [first, ...rest], dtype }] = inputs;
    if (lengths.reduce((sum, length) => sum + length, 0) !== first) {
      throw new ShapeError("split", `parts of ${lengths} do not make up the first axis`, inputs);
    }
    return lengths.map((length) => ({ shape: [length, ...rest], dtype }));
  },
  gradient: ({ outputs, inputs: [x] }, gradients) => {
    const parts = outputs.map((part, i) => gradients[i] ?? fill(part.shape, 0));
    return [concat(parts, x.shape)];
  },
  alias: ({ outputs }) => {
    let byteOffset = 0;
    return outputs.map((part) => {
      const alias = { input: 0, byteOffset };
      byteOffset += byteLength(part);
      return alias;
    });
  },
  kernel: ({ inputs: [x], outputs }) => {
    let sourceOffset = 0;
    return outputs.map((part) => {
      const copy = copyDispatch(x, part, size(part.shape), { sourceOffset });
      sourceOffset += size(part.shape);
      return copy;
    });
  },
};

/**
 * Cuts the first axis into parts. Windows into x where alignment allows, else copies.
 *
 * @param parts how many equal ones, or the length of each
 * @throws {ShapeError} if they do not make up the axis
 */
export function split(x: Tensor, parts: number | readonly number[]): readonly Tensor[] {
  const lengths = typeof parts === "number"
    ? Array<number>(parts).fill(x.shape[0] / parts)
    : [...parts];
  if (!lengths.every((length) => Number.isInteger(length) && length > 0)) {
    throw new ShapeError("split", `the first axis cannot be cut into ${parts} parts`, [x]);
  }
  return applyAll(splitOp, [x], { lengths });
}
