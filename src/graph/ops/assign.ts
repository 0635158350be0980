import { apply, type Op, sameShape, ShapeError, size, type Tensor } from "../tensor.ts";
import { copyDispatch } from "./copy.ts";

/** Copies `value` into the variable, in place; both of one dtype and shape. Returns the variable's new value. */
export function assign(variable: Tensor, value: Tensor): Tensor {
  return apply(assignOp, [variable, value], null);
}

const assignOp: Op<null> = {
  name: "assign",
  inPlace: [0],
  shape(inputs) {
    const [variable, value] = inputs;
    if (variable.dtype !== value.dtype || !sameShape(variable.shape, value.shape)) {
      throw new ShapeError("assign", "variable and value must be of one dtype and shape", inputs);
    }
    return [{ shape: variable.shape, dtype: variable.dtype }];
  },
  kernel: (
    { inputs: [, value], outputs: [variable] },
  ) => [copyDispatch(value, variable, size(variable.shape))],
};
