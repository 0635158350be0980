import { apply, type Op, type Shape, type Tensor } from "../tensor.ts";
import { elementwise } from "./elementwise.ts";

const fillOp: Op<{ shape: Shape; value: number }> = {
  name: "fill",
  shape: (_, { shape }) => [{ shape, dtype: "f32" }],
  gradient: () => [],
  kernel: ({ outputs: [result], attributes: { value } }) => [
    elementwise("fill", result, {}, value),
  ],
};

/** A tensor with `value` everywhere. */
export function fill(shape: Shape, value: number): Tensor {
  return apply(fillOp, [], { shape, value });
}

/** A tensor of ones: the adjoint with which every backward pass begins. */
export function ones(shape: Shape): Tensor {
  return fill(shape, 1);
}
