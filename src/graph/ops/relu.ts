import { apply, type Op, type Tensor } from "../tensor.ts";
import { elementwise, requireSameShape } from "./elementwise.ts";

/** The op of `relu`, for ops that absorb it. */
export const reluOp: Op<null> = {
  name: "relu",
  shape(inputs) {
    requireSameShape("relu", inputs);
    return [{ shape: inputs[0].shape, dtype: "f32" }];
  },
  gradient: ({ outputs: [y] }, [dy]) => [reluGradient(y, dy!)],
  kernel: ({ inputs: [a], outputs: [result] }) => [elementwise("relu", result, { a })],
};

/** The op of `reluGradient`, for ops that absorb it: inputs the relu's result and the adjoint. */
export const reluGradientOp: Op<null> = {
  name: "relu gradient",
  shape(inputs) {
    requireSameShape("relu gradient", inputs);
    return [{ shape: inputs[0].shape, dtype: "f32" }];
  },
  kernel: (
    { inputs: [a, b], outputs: [result] },
  ) => [elementwise("relu_gradient", result, { a, b })],
};

/** max(x, 0), elementwise. A NaN stays one. */
export function relu(x: Tensor): Tensor {
  return apply(reluOp, [x], null);
}

/**
 * The adjoint of relu's input, from its *output* `y`: so the input need not be kept, and the relu can be
 * an epilogue of the product before it.
 */
export function reluGradient(y: Tensor, dy: Tensor): Tensor {
  return apply(reluGradientOp, [y, dy], null);
}
