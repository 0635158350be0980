import { apply, type Op, type Tensor } from "../../../src/graph/tensor.ts";

/** A loss that is only differentiated, never computed: no kernel. Its own adjoint is 1. */
const contractionOp: Op<null> = {
  name: "contraction",
  shape: () => [{ shape: [1], dtype: "f32" }],
  gradient: ({ inputs: [, weights] }) => [weights, undefined],
};

/** Σ y · weights as a loss: the adjoint of `y` is exactly `weights`, of the same shape. */
export function contraction(y: Tensor, weights: Tensor): Tensor {
  return apply(contractionOp, [y, weights], null);
}
