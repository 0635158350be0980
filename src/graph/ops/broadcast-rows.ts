import source from "../../../shaders/broadcast-rows.wgsl" with { type: "text" };
import { linearGrid } from "../dispatch.ts";
import { widen, widthOf } from "../element.ts";
import { apply, matrixShape, type Op, type Shape, ShapeError, type Tensor } from "../tensor.ts";
import { sumRows } from "./sum-rows.ts";

const shader = { name: "broadcast-rows", source };

const broadcastRowsOp: Op<{ leading: Shape }> = {
  name: "broadcast rows",
  shape([vector], { leading }) {
    if (vector.dtype !== "f32" || vector.shape.length !== 1) {
      throw new ShapeError("broadcastRows", "needs one f32 vector", [vector]);
    }
    return [{ shape: [...leading, ...vector.shape], dtype: "f32" }];
  },
  gradient: (_, [dy]) => [sumRows(dy!)],
  kernel({ inputs: [vector], outputs: [result] }) {
    const { rows, columns } = matrixShape(result);
    const width = widthOf(columns);
    return [{
      shader: widen(shader, width),
      uniforms: { rows, columns: columns / width },
      bindings: { vector, result },
      workgroups: linearGrid(Math.ceil(rows / 4) * (columns / width)),
    }];
  },
};

/** vector [N] → [...leading, N]: the vector in every row. `leading` is the number of rows or their axes. */
export function broadcastRows(vector: Tensor, leading: number | Shape): Tensor {
  return apply(broadcastRowsOp, [vector], {
    leading: typeof leading === "number" ? [leading] : leading,
  });
}
