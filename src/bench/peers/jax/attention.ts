/**
 * Attention in jax-js as one would write it there without its own attention: products, a bias of every pair,
 * softmax; `valueAndGrad`, all in one `jit`, which fuses what it can.
 */

import { SELF_MASK } from "../../../../models/t5.ts";
import { type AttentionProblem, attentionValues, BUCKETS } from "../../attention/problem.ts";
import { positionBuckets } from "../../inputs.ts";
import type { Contender } from "../comparison.ts";
import type { Jax, JaxArray, Weights } from "./jax.ts";

/** Computes loss and gradients, without dropout. */
export function jaxAttention(jax: Jax, problem: AttentionProblem): Contender {
  const { jit, numpy: np, nn, tree, valueAndGrad } = jax;
  const { batch, heads, headDim, length } = problem;
  const values = attentionValues(problem);
  const byPosition = (values: Float32Array) =>
    np.array(values).reshape([batch, length, heads, headDim]);
  const operands: Weights = {
    query: byPosition(values.query),
    key: byPosition(values.key),
    value: byPosition(values.value),
    table: np.array(values.table).reshape([BUCKETS, heads]),
  };
  const given: Weights = {
    target: byPosition(values.target),
    mask: np.array(values.mask, { dtype: "int32" }).reshape([batch, 1, 1, length]),
    // An argument, because within a `jit` it would be a constant of the program.
    buckets: np.array(positionBuckets(length, BUCKETS, true), { dtype: "int32" }),
  };

  const attend = ({ query, key, value, table }: Weights, mask: JaxArray, buckets: JaxArray) => {
    // A product with one-hot rows: see t5.ts.
    const bias = np.matmul(nn.oneHot(buckets, BUCKETS), table)
      .reshape([length, length, heads])
      .transpose([2, 0, 1])
      .reshape([1, heads, length, length]);
    const penalties = np.where(mask.notEqual(0), 0, SELF_MASK);
    const scores = np.matmul(query.transpose([0, 2, 1, 3]), key.transpose([0, 2, 3, 1]));
    const weights = nn.softmax(scores.add(bias).add(penalties), -1);
    return np.matmul(weights, value.transpose([0, 2, 1, 3])).transpose([0, 2, 1, 3]);
  };
  const differentiate = jit(
    (operands: Weights, { target, mask, buckets }: Weights): [JaxArray, Weights] =>
      valueAndGrad((operands: Weights) => attend(operands, mask, buckets).mul(target).sum())(
        operands,
      ),
  );
  return {
    async run(count) {
      let loss: JaxArray | undefined, gradients: Weights | undefined;
      for (let i = 0; i < count; i++) {
        if (loss && gradients) tree.dispose([loss, gradients]);
        [loss, gradients] = differentiate(tree.ref(operands), tree.ref(given));
      }
      const { query, key, value, table } = gradients!;
      return await Promise.all([loss!, query, key, value, table].map((array) => array.data()));
    },
    destroy: () => tree.dispose([operands, given]),
  };
}
