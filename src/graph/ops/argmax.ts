import source from "../../../shaders/argmax.wgsl" with { type: "text" };
import { linearGrid } from "../dispatch.ts";
import { withLanes } from "../lanes.ts";
import { apply, type Op, ShapeError, type Tensor } from "../tensor.ts";

/**
 * The index of each row's largest element, the lowest on ties; a NaN counts as the largest of all.
 *
 * @param values f32 [rows, columns]
 * @returns i32 [rows]
 */
export function argmax(values: Tensor): Tensor {
  return apply(argmaxOp, [values], null);
}

const argmaxOp: Op<null> = {
  name: "argmax",
  shape(inputs) {
    const [values] = inputs;
    if (values.shape.length !== 2 || values.dtype !== "f32") {
      throw new ShapeError("argmax", "needs f32 [rows, columns]", inputs);
    }
    return [{ shape: [values.shape[0]], dtype: "i32" }];
  },
  kernel({ inputs: [values], outputs: [result] }, gpu) {
    const [rows, columns] = values.shape;
    return [{
      shader: withLanes({ name: "argmax", source }, gpu),
      uniforms: { rows, columns },
      bindings: { values, result },
      workgroups: linearGrid(rows, 1),
      flops: rows * columns,
    }];
  },
};
