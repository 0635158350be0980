import { apply, type Op, type Tensor } from "../tensor.ts";
import { elementwise, requireSameShape } from "./elementwise.ts";

const scaleOp: Op<{ factor: number }> = {
  name: "scale",
  shape(inputs) {
    requireSameShape("scale", inputs);
    return [{ shape: inputs[0].shape, dtype: "f32" }];
  },
  gradient: ({ attributes: { factor } }, [dy]) => [scale(dy!, factor)],
  kernel: ({ inputs: [a], outputs: [result], attributes: { factor } }) => [
    elementwise("scale", result, { a }, factor),
  ],
};

/** `factor` · x, elementwise; x itself where the factor is 1. */
export function scale(x: Tensor, factor: number): Tensor {
  return factor === 1 ? x : apply(scaleOp, [x], { factor });
}
