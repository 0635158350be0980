import { apply, type Op, type Shape, ShapeError, size, type Tensor } from "../tensor.ts";

const reshapeOp: Op<{ shape: Shape }> = {
  name: "reshape",
  shape(inputs, { shape }) {
    if (size(shape) !== size(inputs[0].shape)) {
      throw new ShapeError("reshape", `cannot become [${shape.join(", ")}]`, inputs);
    }
    return [{ shape, dtype: inputs[0].dtype }];
  },
  gradient: ({ inputs: [x] }, [dy]) => [reshape(dy!, x.shape)],
  alias: () => [{ input: 0, byteOffset: 0 }],
};

/** The same elements in the same order under another shape. Never moves anything. */
export function reshape(x: Tensor, shape: Shape): Tensor {
  return apply(reshapeOp, [x], { shape });
}
