import source from "../../../shaders/token-at.wgsl" with { type: "text" };
import { elementGrid } from "../dispatch.ts";
import { apply, type Op, ShapeError, size, type Tensor } from "../tensor.ts";

const tokenAtOp: Op<null> = {
  name: "token at",
  shape(inputs) {
    const [tokens, position] = inputs;
    const fits = tokens.dtype === "i32" && tokens.shape.length === 3 &&
      position.dtype === "u32" && size(position.shape) === 1;
    if (!fits) {
      throw new ShapeError("token at", "needs i32 [batch, length, slots] and u32 [1]", inputs);
    }
    const [batch, , slots] = tokens.shape;
    return [{ shape: [batch, slots], dtype: "i32" }];
  },
  kernel({ inputs: [tokens, position], outputs: [result] }) {
    const [batch, length, slots] = tokens.shape;
    return [{
      shader: { name: "token-at", source },
      uniforms: { batch, length, slots },
      bindings: { tokens, position, result },
      workgroups: elementGrid(result),
    }];
  },
};

/** What `tokens` i32[batch, length, slots] have at `position` u32[1] (past the end, the last): i32[batch, slots]. */
export function tokenAt(tokens: Tensor, position: Tensor): Tensor {
  return apply(tokenAtOp, [tokens, position], null);
}
