/**
 * Attention in TensorFlow.js with its core operations. The gradient is written out, because the core's bundle
 * comes without those of its operations; it takes no more operations than they would.
 */

import { SELF_MASK } from "../../../../models/t5.ts";
import { type AttentionProblem, attentionValues, BUCKETS } from "../../attention/problem.ts";
import { positionBuckets } from "../../inputs.ts";
import type { Contender } from "../comparison.ts";
import type { TensorFlow, TfTensor } from "./tensorflow.ts";

/** Computes loss and gradients, without dropout. */
export function tensorFlowAttention(tf: TensorFlow, problem: AttentionProblem): Contender {
  const { batch, heads, headDim, length } = problem;
  const values = attentionValues(problem);
  const shape = [batch, length, heads, headDim];
  const pairs = length * length;
  const [query, key, value, target] = (["query", "key", "value", "target"] as const)
    .map((name) => tf.tensor(values[name], shape));
  const table = tf.tensor(values.table, [BUCKETS, heads]);
  const penalties = tf.tensor(
    Float32Array.from(values.mask, (is) => is ? 0 : SELF_MASK),
    [batch, 1, 1, length],
  );
  const buckets = tf.tensor(positionBuckets(length, BUCKETS, true), [pairs], "int32");

  const byHead = (x: TfTensor) => tf.transpose(x, [0, 2, 1, 3]);
  const byPosition = byHead; // the exchange of two axes undoes itself
  const differentiate = () =>
    tf.tidy(() => {
      const [q, k, v, dy] = [query, key, value, target].map(byHead);
      const oneHot = tf.oneHot(buckets, BUCKETS); // [pairs, buckets]
      const bias = tf.reshape(tf.matMul(table, oneHot, true, true), [1, heads, length, length]);
      const scores = tf.add(tf.add(tf.matMul(q, k, false, true), bias), penalties);
      const weights = tf.softmax(scores);
      const loss = tf.sum(tf.mul(tf.matMul(weights, v), dy));

      const products = tf.mul(tf.matMul(dy, v, false, true), weights);
      const dScores = tf.sub(products, tf.mul(weights, tf.sum(products, -1, true)));
      const ofPairs = tf.reshape(tf.sum(dScores, 0), [heads, pairs]);
      return [
        loss,
        byPosition(tf.matMul(dScores, k)),
        byPosition(tf.matMul(dScores, q, true)),
        byPosition(tf.matMul(weights, dy, true)),
        // Not the product of both transposed: TensorFlow.js 4.22 gets that wrong.
        tf.transpose(tf.matMul(ofPairs, oneHot), [1, 0]),
      ];
    });
  return {
    async run(count) {
      for (let i = 1; i < count; i++) for (const tensor of differentiate()) tensor.dispose();
      const results = differentiate();
      const read = await Promise.all(results.map((tensor) => tensor.data()));
      for (const tensor of results) tensor.dispose();
      return read;
    },
    destroy() {
      for (const tensor of [query, key, value, target, table, penalties, buckets]) tensor.dispose();
    },
  };
}
