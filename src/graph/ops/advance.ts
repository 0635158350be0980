import source from "../../../shaders/advance.wgsl" with { type: "text" };
import { apply, type Op, ShapeError, size, type Tensor } from "../tensor.ts";

const advanceOp: Op<null> = {
  name: "advance",
  inPlace: [0],
  shape(inputs) {
    const [counter] = inputs;
    if (counter.dtype !== "u32" || size(counter.shape) !== 1) {
      throw new ShapeError("advance", "the counter must be u32 [1]", inputs);
    }
    return [{ shape: counter.shape, dtype: "u32" }];
  },
  kernel: ({ outputs: [counter] }) => [{
    shader: { name: "advance", source },
    bindings: { counter },
    workgroups: [1, 1, 1],
  }],
};

/** counter ← counter + 1, in place; u32 [1]. Runs after everything else that reads the counter. */
export function advance(counter: Tensor): Tensor {
  return apply(advanceOp, [counter], null);
}
