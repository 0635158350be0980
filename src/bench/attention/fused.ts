/** This project's attention: one op, whatever the adapter computes it with. */

import { SELF_MASK } from "../../../models/t5.ts";
import type { Gpu } from "../../gpu/device.ts";
import { selfAttention } from "../../graph/ops/attention.ts";
import type { Contender } from "../peers/comparison.ts";
import { Workbench } from "../workbench.ts";
import { type AttentionProblem, attentionValues, BUCKETS, differentiated } from "./problem.ts";

/** Computes loss and gradients; no other program of the device may be in use. */
export async function fusedAttention(gpu: Gpu, problem: AttentionProblem): Promise<Contender> {
  const { batch, heads, headDim, length, dropoutRate } = problem;
  const bench = new Workbench(gpu);
  const values = attentionValues(problem);
  const inner = heads * headDim;
  const packed = bench.operand(
    "query, key and value",
    [batch, length, 3 * inner],
    sideBySide([values.query, values.key, values.value], inner),
  );
  const table = bench.operand("table", [BUCKETS, heads], values.table);
  const result = selfAttention(packed, {
    heads,
    positions: { table, bidirectional: true },
    keyMask: bench.operand("mask", [batch, length], values.mask, "i32"),
    maskValue: SELF_MASK,
    dropout: dropoutRate > 0
      ? { rate: dropoutRate, seed: bench.operand("seed", [2], SEED, "u32"), site: 0 }
      : undefined,
  });
  const contender = await differentiated(bench, result, values.target, [packed, table]);
  return {
    ...contender,
    async run(count) {
      const [loss, gradient, ...rest] = await contender.run(count);
      return [loss, ...apart(gradient as Float32Array, inner), ...rest];
    },
  };
}

/** Rows of queries, keys and values, each of `inner` numbers, one after the other. */
function sideBySide(parts: readonly Float32Array[], inner: number): Float32Array {
  const result = new Float32Array(3 * parts[0].length);
  parts.forEach((part, i) => {
    for (let at = 0; at < part.length; at += inner) {
      result.set(part.subarray(at, at + inner), 3 * at + i * inner);
    }
  });
  return result;
}

/** The parts of which `sideBySide` makes `packed`. */
function apart(packed: Float32Array, inner: number): Float32Array[] {
  return [0, 1, 2].map((i) => {
    const part = new Float32Array(packed.length / 3);
    for (let at = 0; at < part.length; at += inner) {
      const start = 3 * at + i * inner;
      part.set(packed.subarray(start, start + inner), at);
    }
    return part;
  });
}

/** Seed of dropout; with it, both ways to compute attention drop the same weights. */
export const SEED = Uint32Array.of(1, 2);
