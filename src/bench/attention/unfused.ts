/**
 * The same attention in ops one after another, as frameworks without a fused one compute it: products of
 * heads, a bias of every pair, softmax, dropout. Scores of all pairs go through memory each time.
 *
 * It is spared what differs between frameworks: queries, keys and values lie by heads from the beginning, and
 * the mask is added by the softmax.
 */

import { SELF_MASK } from "../../../models/t5.ts";
import type { Gpu } from "../../gpu/device.ts";
import { addBias } from "../../graph/ops/add-bias.ts";
import { dropout } from "../../graph/ops/dropout.ts";
import { matmul } from "../../graph/ops/matmul.ts";
import { reshape } from "../../graph/ops/reshape.ts";
import { positionBuckets } from "../inputs.ts";
import type { Contender } from "../peers/comparison.ts";
import { Workbench } from "../workbench.ts";
import { SEED } from "./fused.ts";
import { type AttentionProblem, attentionValues, BUCKETS, differentiated } from "./problem.ts";
import { softmax } from "./softmax.ts";

/** Computes loss and gradients. */
export async function unfusedAttention(gpu: Gpu, problem: AttentionProblem): Promise<Contender> {
  const { batch, heads, headDim, length, dropoutRate } = problem;
  const bench = new Workbench(gpu);
  const values = attentionValues(problem);
  const operand = (name: "query" | "key" | "value") =>
    bench.operand(name, [batch, heads, length, headDim], turned(values[name], problem, "by head"));
  const query = operand("query"), key = operand("key"), value = operand("value");
  const table = bench.operand("table", [BUCKETS, heads], values.table);
  // A product with one-hot columns: the gradient of a look-up sorts, which is for few rows.
  const columns = bench.operand("buckets", [BUCKETS, length * length], oneHotBuckets(length));
  const bias = matmul(table, columns, { transposeA: true });
  const penalties = bench.operand(
    "penalties",
    [batch, length],
    Float32Array.from(values.mask, (is) => is ? 0 : SELF_MASK),
  );
  const seed = bench.operand("seed", [2], SEED, "u32");

  const scores = matmul(query, key, { transposeB: true });
  const biased = addBias(
    reshape(scores, [batch, heads * length * length]),
    reshape(bias, [heads * length * length]),
  );
  const weights = softmax(reshape(biased, scores.shape), penalties);
  const kept = dropout(weights, { rate: dropoutRate, seed, site: 0 });
  const result = matmul(kept, value);
  const contender = await differentiated(
    bench,
    result,
    turned(values.target, problem, "by head"),
    [query, key, value, table],
  );
  return {
    ...contender,
    async run(count) {
      const [loss, ...gradients] = await contender.run(count);
      const inOrder = gradients.slice(0, 3).map((gradient) =>
        turned(gradient as Float32Array, problem, "by position")
      );
      return [loss, ...inOrder, gradients[3]];
    },
  };
}

/** From [batch, length, heads, headDim] to [batch, heads, length, headDim], or back. */
function turned(
  values: Float32Array,
  { batch, heads, headDim, length }: AttentionProblem,
  order: "by head" | "by position",
): Float32Array {
  const result = new Float32Array(values.length);
  for (let element = 0; element < batch; element++) {
    for (let position = 0; position < length; position++) {
      for (let head = 0; head < heads; head++) {
        const byPosition = headDim * ((element * length + position) * heads + head);
        const byHead = headDim * ((element * heads + head) * length + position);
        const [from, to] = order === "by head" ? [byPosition, byHead] : [byHead, byPosition];
        result.set(values.subarray(from, from + headDim), to);
      }
    }
  }
  return result;
}

/** [buckets, length · length]: a 1 in the row of each pair's bucket. */
function oneHotBuckets(length: number): Float32Array {
  const pairs = positionBuckets(length, BUCKETS, true);
  const columns = new Float32Array(BUCKETS * pairs.length);
  pairs.forEach((bucket, pair) => columns[bucket * pairs.length + pair] = 1);
  return columns;
}
