import { applyAll, byteLength, type Op, ShapeError, size, type Tensor } from "../tensor.ts";
import { concat } from "./concat.ts";
import { copyDispatch } from "./copy.ts";
import { fill } from "./fill.ts";

const splitOp: Op<{ parts: number }> = {
  name: "split",
  shape(inputs, { parts }) {
    const [first, ...rest] = inputs[0].shape;
    if (first % parts !== 0) {
      throw new ShapeError("split", `the first axis cannot be cut into ${parts} parts`, inputs);
    }
    const type = { shape: [first / parts, ...rest], dtype: inputs[0].dtype };
    return Array.from({ length: parts }, () => type);
  },
  gradient: ({ outputs, inputs: [x] }, gradients) => {
    const parts = outputs.map((part, i) => gradients[i] ?? fill(part.shape, 0));
    return [concat(parts, x.shape)];
  },
  alias: ({ outputs }) =>
    outputs.map((part, i) => ({ input: 0, byteOffset: i * byteLength(part) })),
  kernel: ({ inputs: [x], outputs }) =>
    outputs.map((part, i) => {
      const count = size(part.shape);
      return copyDispatch(x, part, count, { sourceOffset: i * count });
    }),
};

/** Cuts the first axis into equal parts. Windows into x where alignment allows, else copies. */
export function split(x: Tensor, parts: number): readonly Tensor[] {
  return applyAll(splitOp, [x], { parts });
}
