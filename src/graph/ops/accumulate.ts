import source from "../../../shaders/accumulate.wgsl" with { type: "text" };
import { elementGrid } from "../dispatch.ts";
import { apply, type Op, sameShape, ShapeError, size, type Tensor } from "../tensor.ts";

/**
 * sum ← keep · sum + addend, in place; returns the new sum.
 *
 * @param sum f32 variable
 * @param addend f32 of the same shape
 * @param keep f32 [1]; 0 starts anew, whatever the variable held (NaN included)
 */
export function accumulate(sum: Tensor, addend: Tensor, keep: Tensor): Tensor {
  return apply(accumulateOp, [sum, addend, keep], null);
}

const accumulateOp: Op<null> = {
  name: "accumulate",
  inPlace: [0],
  shape(inputs) {
    const [sum, addend, keep] = inputs;
    if (
      inputs.some(({ dtype }) => dtype !== "f32") || !sameShape(sum.shape, addend.shape) ||
      size(keep.shape) !== 1
    ) {
      throw new ShapeError(
        "accumulate",
        "sum and addend must be f32 of one shape, keep f32 [1]",
        inputs,
      );
    }
    return [{ shape: sum.shape, dtype: "f32" }];
  },
  kernel({ inputs: [, addend, keep], outputs: [sum] }) {
    const count = size(sum.shape);
    return [{
      shader: { name: "accumulate", source },
      uniforms: { count },
      bindings: { sum, addend, keep },
      workgroups: elementGrid(sum, 4),
      flops: 2 * count,
    }];
  },
};
