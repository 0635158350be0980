/**
 * Single functions of the model on given operands, each done by the op that the model uses.
 */

import type { Gpu } from "../gpu/device.ts";
import { compile } from "../graph/compile.ts";
import { input } from "../graph/leaves.ts";
import { crossAttention } from "../graph/ops/attention.ts";
import { geluGate } from "../graph/ops/gelu-gate.ts";
import { labelSmoothedLoss } from "../graph/ops/label-smoothed-loss.ts";
import { maskedMean } from "../graph/ops/masked-mean.ts";
import { reshape } from "../graph/ops/reshape.ts";
import type { HostArray } from "../graph/program.ts";
import { size, type Tensor } from "../graph/tensor.ts";
import { type Check, Comparison, notChecked, outcomes, TOLERANCES } from "./comparison.ts";
import type { Fields } from "./json.ts";

/** The checks of `units.json`, by the name of their field. */
const checks: Readonly<
  Record<string, (gpu: Gpu, record: Fields, name: string) => Promise<Check[]>>
> = {
  relative_position_bucket: checkBuckets,
  gelu_new: checkGelu,
  label_smoothed_nll_loss: checkLoss,
  mean_pooling: checkPooling,
};

/** Compares every function of `units.json`. */
export async function checkUnits(gpu: Gpu, record: Fields): Promise<Check[]> {
  const results: Check[] = [];
  for (const name of record.names) {
    const check = Object.hasOwn(checks, name) ? checks[name] : undefined;
    results.push(
      ...check
        ? await check(gpu, record, name)
        : [notChecked(name, "this build has no counterpart of it")],
    );
  }
  return results;
}

/** Keys that an element of the batch can tell apart: a feature of its heads is for each. */
const FEATURES = 64;

/**
 * Where attention looks positions up, seen from outside: every head sees the keys of one bucket alone, and
 * every feature of the heads has a value at one key alone, which comes out of the head that sees it.
 */
async function checkBuckets(gpu: Gpu, record: Fields, name: string): Promise<Check[]> {
  const comparison = new Comparison(name, TOLERANCES.exact);
  for (const given of record.list(name)) {
    const heads = given.number("num_buckets"), bidirectional = given.flag("bidirectional");
    const from = given.number("relative_position_from"), to = given.number("relative_position_to");
    // The last query sees every position.
    const queries = 1 - from, keys = to - from + 1;
    const batch = Math.ceil(keys / FEATURES), width = heads * FEATURES;
    const queryShape = [batch, queries, width], keyShape = [batch, keys, 2 * width];
    const { output } = await evaluate(
      gpu,
      {
        query: [queryShape, new Float32Array(size(queryShape))],
        keyValue: [keyShape, valuePerKey(keyShape, heads)],
        table: [[heads, heads], onlyOwnBucket(heads)],
      },
      ({ query, keyValue, table }) => ({
        output: crossAttention(query, keyValue, {
          heads,
          positions: { table, bidirectional, maxDistance: given.number("max_distance") },
          maskValue: 0,
        }),
      }),
    );
    const found = Array.from({ length: keys }, (_, key) => {
      const element = Math.floor(key / FEATURES);
      const lastQuery = ((element + 1) * queries - 1) * width + key % FEATURES;
      const seen = Array.from({ length: heads }, (_, head) => output[lastQuery + head * FEATURES]);
      return seen.indexOf(Math.max(...seen));
    });
    const expected = given.numbers("bucket");
    const title = bidirectional ? "both directions" : "backward";
    comparison.tensor(title, found, { shape: [expected.length], values: expected });
  }
  return outcomes([comparison]);
}

/** Keys of zeros and values of 1 where feature f of element b is for key FEATURES · b + f. */
function valuePerKey([batch, keys, width]: number[], heads: number): Float32Array {
  const result = new Float32Array(batch * keys * width);
  for (let key = 0; key < keys; key++) {
    const row = (Math.floor(key / FEATURES) * keys + key) * width;
    for (let head = 0; head < heads; head++) {
      result[row + width / 2 + head * FEATURES + key % FEATURES] = 1;
    }
  }
  return result;
}

/** [buckets, heads] with 0 on the diagonal and as good as -∞ elsewhere. */
function onlyOwnBucket(heads: number): Float32Array {
  const result = new Float32Array(heads * heads).fill(-1e9);
  for (let head = 0; head < heads; head++) result[head * heads + head] = 0;
  return result;
}

async function checkGelu(gpu: Gpu, record: Fields, name: string): Promise<Check[]> {
  const x = record.fields(name).tensor("x"), y = record.fields(name).tensor("y");
  const { result } = await evaluate(
    gpu,
    {
      x: [[...x.shape, 2], Float32Array.from(x.values.flatMap((value) => [value, 1]))],
    },
    ({ x }) => ({ result: reshape(geluGate(x), x.shape.slice(0, -1)) }),
  );
  const comparison = new Comparison(name, TOLERANCES.unit);
  comparison.tensor("y", result, y);
  return outcomes([comparison]);
}

async function checkLoss(gpu: Gpu, record: Fields, name: string): Promise<Check[]> {
  const given = record.fields(name);
  const logits = given.tensor("logits"), target = given.tensor("target");
  const rows = target.values.length, vocabulary = logits.values.length / rows;
  const padId = given.number("ignore_index");
  const comparison = new Comparison(name, TOLERANCES.loss);
  for (const expected of given.list("results")) {
    const smoothing = expected.number("epsilon");
    const ofRows = (first: number, count: number): Record<string, Operand> => ({
      logits: [
        [count, vocabulary],
        Float32Array.from(logits.values.slice(first * vocabulary, (first + count) * vocabulary)),
      ],
      labels: [[count], Int32Array.from(target.values.slice(first, first + count))],
    });
    const sums = async (operands: Record<string, Operand>) => {
      const { sums } = await evaluate(gpu, operands, ({ logits, labels }) => ({
        sums: labelSmoothedLoss(logits, labels, { smoothing, padId }).sums,
      }));
      return sums;
    };
    const [loss, nll] = await sums(ofRows(0, rows));
    comparison.value(`loss_sum at ${smoothing}`, loss, expected.number("loss_sum"));
    comparison.value(`nll_sum at ${smoothing}`, nll, expected.number("nll_sum"));
    const unreduced: number[] = [];
    for (let row = 0; row < rows; row++) unreduced.push((await sums(ofRows(row, 1)))[0]);
    comparison.tensor(
      `loss_unreduced at ${smoothing}`,
      unreduced,
      expected.tensor("loss_unreduced"),
    );
  }
  return outcomes([comparison]);
}

async function checkPooling(gpu: Gpu, record: Fields, name: string): Promise<Check[]> {
  const given = record.fields(name);
  const hidden = given.tensor("hidden"), mask = given.tensor("mask");
  const { pooled } = await evaluate(
    gpu,
    {
      hidden: [hidden.shape, Float32Array.from(hidden.values)],
      mask: [mask.shape, Int32Array.from(mask.values)],
    },
    ({ hidden, mask }) => ({ pooled: maskedMean(hidden, mask) }),
  );
  const comparison = new Comparison(name, TOLERANCES.unit);
  comparison.tensor("pooled", pooled, given.tensor("pooled"));
  return outcomes([comparison]);
}

type Operand = readonly [shape: readonly number[], values: Float32Array | Int32Array];

/** Runs a graph once on operands. */
async function evaluate(
  gpu: Gpu,
  operands: Readonly<Record<string, Operand>>,
  build: (leaves: Record<string, Tensor>) => Readonly<Record<string, Tensor>>,
): Promise<Record<string, HostArray>> {
  const leaves = Object.entries(operands).map(([name, [shape, values]]) => [
    name,
    input(name, shape, values instanceof Int32Array ? "i32" : "f32"),
  ]);
  const outputs = build(Object.fromEntries(leaves));
  const program = await compile(gpu, { outputs });
  const given = Object.entries(operands).map(([name, [, values]]) => [name, values]);
  try {
    return await program.run(Object.fromEntries(given), Object.keys(outputs));
  } finally {
    program.destroy();
  }
}
