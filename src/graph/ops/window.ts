import {
  apply,
  elementBytes,
  type Op,
  type Shape,
  ShapeError,
  size,
  type Tensor,
} from "../tensor.ts";
import { copyDispatch } from "./copy.ts";

const windowOp: Op<{ offset: number; shape: Shape }> = {
  name: "window",
  halfInputs: [0],
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
  alias: ({ inputs: [{ dtype }], attributes: { offset } }) => [
    { input: 0, byteOffset: elementBytes(dtype) * offset },
  ],
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
