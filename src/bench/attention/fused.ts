/** This project's attention: one op, whatever the adapter computes it with. */

import { SELF_MASK } from "../../../models/t5.ts";
import type { Gpu } from "../../gpu/device.ts";
import { attention } from "../../graph/ops/attention.ts";
import type { Contender } from "../peers/comparison.ts";
import { Workbench } from "../workbench.ts";
import { type AttentionProblem, attentionValues, BUCKETS, differentiated } from "./problem.ts";

/** Computes loss and gradients; no other program of the device may be in use. */
export async function fusedAttention(gpu: Gpu, problem: AttentionProblem): Promise<Contender> {
  const { batch, heads, headDim, length, dropoutRate } = problem;
  const bench = new Workbench(gpu);
  const values = attentionValues(problem);
  const operand = (name: "query" | "key" | "value") =>
    bench.operand(name, [batch, length, heads * headDim], values[name]);
  const query = operand("query"), key = operand("key"), value = operand("value");
  const table = bench.operand("table", [BUCKETS, heads], values.table);
  const result = attention(query, key, value, {
    heads,
    positions: { table, bidirectional: true },
    keyMask: bench.operand("mask", [batch, length], values.mask, "i32"),
    maskValue: SELF_MASK,
    dropout: dropoutRate > 0
      ? { rate: dropoutRate, seed: bench.operand("seed", [2], SEED, "u32"), site: 0 }
      : undefined,
  });
  return await differentiated(bench, result, values.target, [query, key, value, table]);
}

/** Seed of dropout; with it, both ways to compute attention drop the same weights. */
export const SEED = Uint32Array.of(1, 2);
