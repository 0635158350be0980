import source from "../../../shaders/global-norm.wgsl" with { type: "text" };
import { linearGrid } from "../dispatch.ts";
import { apply, type Op, type Scratch, ShapeError, size, type Tensor } from "../tensor.ts";

const shader = { name: "global-norm", source };

/** Most partial sums per tensor; they are added up by a single workgroup. */
const MAX_PARTIALS = 16384;

/** Elements that an invocation adds up before more invocations are worth their partial sums. */
const ELEMENTS_PER_PARTIAL = 256;

/** sqrt(Σ x²) over all elements of all tensors (f32, any shapes): [1]. Gradient clipping needs it. */
export function globalNorm(tensors: readonly Tensor[]): Tensor {
  return apply(globalNormOp, tensors, null);
}

const globalNormOp: Op<null> = {
  name: "global norm",
  shape(inputs) {
    if (inputs.length === 0 || inputs.some(({ dtype }) => dtype !== "f32")) {
      throw new ShapeError("global norm", "needs at least one tensor, all of them f32", inputs);
    }
    return [{ shape: [1], dtype: "f32" }];
  },
  kernel({ inputs, outputs: [result] }) {
    const counts = inputs.map(({ shape }) => size(shape));
    const partialCounts = counts.map((count) =>
      Math.min(MAX_PARTIALS, Math.ceil(count / ELEMENTS_PER_PARTIAL))
    );
    const total = partialCounts.reduce((a, b) => a + b, 0);
    const partials: Scratch = { scratchBytes: 16 * total };
    let offset = 0;
    const sums = inputs.map((values, i) => {
      const uniforms = {
        count: counts[i],
        partial_offset: offset,
        partial_count: partialCounts[i],
      };
      offset += partialCounts[i];
      return {
        shader,
        entry: "sum_squares",
        uniforms,
        bindings: { values, partials },
        workgroups: linearGrid(partialCounts[i]),
        flops: 2 * counts[i],
      };
    });
    return [...sums, {
      shader,
      entry: "finish",
      uniforms: { count: 0, partial_offset: 0, partial_count: total },
      bindings: { all_partials: partials, result },
      workgroups: [1, 1, 1],
    }];
  },
};
