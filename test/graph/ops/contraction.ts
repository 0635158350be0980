import { matmul } from "../../../src/graph/ops/matmul.ts";
import { reshape } from "../../../src/graph/ops/reshape.ts";
import { size, type Tensor } from "../../../src/graph/tensor.ts";

/** A scalar whose gradient with respect to `y` is `weights`, of as many elements. */
export function contraction(y: Tensor, weights: Tensor): Tensor {
  const count = size(y.shape);
  return matmul(reshape(y, [1, count]), reshape(weights, [count, 1]));
}
