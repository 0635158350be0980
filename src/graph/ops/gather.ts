import { apply, type Op, ShapeError, size, type Tensor } from "../tensor.ts";
import { copyDispatch } from "./copy.ts";
import { joinNeighbours } from "./neighbours.ts";

const gatherOp: Op<{ offsets: readonly number[] }> = {
  name: "gather",
  inPlace: [0],
  shape(inputs, { offsets }) {
    const [slab, ...parts] = inputs;
    const end = Math.max(0, ...parts.map((part, i) => offsets[i] + size(part.shape)));
    if (slab.shape.length !== 1 || end > slab.shape[0]) {
      throw new ShapeError("gather", `the parts reach to element ${end} of the slab`, inputs);
    }
    return [{ shape: slab.shape, dtype: slab.dtype }];
  },
  gather: ({ attributes: { offsets } }) =>
    offsets.map((offset, i) => ({ input: i + 1, byteOffset: 4 * offset })),
  kernel: ({ inputs: [, ...parts], outputs: [result], attributes: { offsets } }) =>
    parts.map((part, i) =>
      copyDispatch(part, result, size(part.shape), { resultOffset: offsets[i] })
    ),
  simpler({ inputs: [slab, ...given], attributes }) {
    const { parts, offsets } = joinNeighbours({ parts: given, offsets: attributes.offsets });
    return parts.length < given.length
      ? [apply(gatherOp, [slab, ...parts], { offsets })]
      : undefined;
  },
};

/**
 * Writes parts into a flat variable at given element offsets, and returns the variable's new value.
 *
 * The parts are computed right there where alignment allows, so a slab of gradients costs no copy. What
 * lies between them stays as it is: zero in a new variable, which is what norms over a slab rely on.
 */
export function gather(slab: Tensor, parts: readonly Tensor[], offsets: readonly number[]): Tensor {
  return apply(gatherOp, [slab, ...parts], { offsets });
}
