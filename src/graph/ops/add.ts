import { apply, type Op, type Tensor } from "../tensor.ts";
import { elementwise, requireSameShape } from "./elementwise.ts";

/** The op of `add`, for ops that absorb it. */
export const addOp: Op<null> = {
  name: "add",
  shape(inputs) {
    requireSameShape("add", inputs);
    return [{ shape: inputs[0].shape, dtype: "f32" }];
  },
  gradient: (_, [dy]) => [dy, dy],
  kernel: ({ inputs: [a, b], outputs: [result] }) => [elementwise("add", result, { a, b })],
};

/** Elementwise sum of two tensors of one shape. */
export function add(a: Tensor, b: Tensor): Tensor {
  return apply(addOp, [a, b], null);
}
