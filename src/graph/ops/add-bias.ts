import source from "../../../shaders/add-bias.wgsl" with { type: "text" };
import { linearGrid } from "../dispatch.ts";
import { widen, widthOf } from "../element.ts";
import { apply, matrixShape, type Op, ShapeError, type Tensor } from "../tensor.ts";
import { sumRows } from "./sum-rows.ts";

const shader = { name: "add-bias", source };

/** The op of `addBias`, for ops that absorb it: inputs x and bias. */
export const addBiasOp: Op<null> = {
  name: "add bias",
  shape([x, bias]) {
    const fits = bias.shape.length === 1 && bias.shape[0] === x.shape.at(-1);
    if (!fits || x.dtype !== "f32" || bias.dtype !== "f32") {
      throw new ShapeError("addBias", "needs f32 [..., N] and a bias f32 [N]", [x, bias]);
    }
    return [{ shape: x.shape, dtype: "f32" }];
  },
  gradient: (_, [dy], needed) => [dy, needed[1] ? sumRows(dy!) : undefined],
  kernel({ inputs: [x, bias], outputs: [result] }) {
    const { rows, columns } = matrixShape(x);
    const width = widthOf(columns);
    return [{
      shader: widen(shader, width),
      uniforms: { rows, columns: columns / width },
      bindings: { x, bias, result },
      workgroups: linearGrid(Math.ceil(rows / 4) * (columns / width)),
      flops: rows * columns,
    }];
  },
};

/** x [..., N] + bias [N]: the bias added to every row. */
export function addBias(x: Tensor, bias: Tensor): Tensor {
  return apply(addBiasOp, [x, bias], null);
}
