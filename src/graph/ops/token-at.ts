import source from "../../../shaders/token-at.wgsl" with { type: "text" };
import { elementGrid } from "../dispatch.ts";
import { apply, type Op, ShapeError, size, type Tensor } from "../tensor.ts";

const tokenAtOp: Op<null> = {
  name: "token at",
  shape(inputs) {
    const [tokens, position] = inputs;
    const fits = tokens.dtype === "i32" && tokens.shape.length === 2 &&
      position.dtype === "u32" && size(position.shape) === 1;
    if (!fits) throw new ShapeError("token at", "needs i32 [rows, columns] and u32 [1]", inputs);
    return [{ shape: [tokens.shape[0]], dtype: "i32" }];
  },
  kernel: ({ inputs: [tokens, position], outputs: [result] }) => [{
    shader: { name: "token-at", source },
    uniforms: { rows: tokens.shape[0], columns: tokens.shape[1] },
    bindings: { tokens, position, result },
    workgroups: elementGrid(result),
  }],
};

/** Column `position` u32[1] of `tokens` i32[rows, columns]: i32[rows]. Past the end, the last column. */
export function tokenAt(tokens: Tensor, position: Tensor): Tensor {
  return apply(tokenAtOp, [tokens, position], null);
}
