import {
  apply,
  applyAll,
  byteLength,
  type Op,
  type Shape,
  ShapeError,
  size,
  type Tensor,
} from "../tensor.ts";
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

const windowOp: Op<{ offset: number; shape: Shape }> = {
  name: "window",
  shape(inputs, { offset, shape }) {
    if (offset + size(shape) > size(inputs[0].shape)) {
      throw new ShapeError(
        "window",
        `elements ${offset} to ${offset + size(shape)} are not in it`,
        inputs,
      );
    }
    return [{ shape, dtype: inputs[0].dtype }];
  },
  alias: ({ attributes: { offset } }) => [{ input: 0, byteOffset: 4 * offset }],
  kernel: ({ inputs: [x], outputs: [part], attributes: { offset, shape } }) => [
    copyDispatch(x, part, size(shape), { sourceOffset: offset }),
  ],
};

/**
 * A run of elements of a flat tensor, under a shape of its own: how a parameter is seen in the slab that
 * holds many. Gradients are taken with respect to windows, so it has none itself.
 */
export function window(flat: Tensor, offset: number, shape: Shape): Tensor {
  return apply(windowOp, [flat], { offset, shape });
}
