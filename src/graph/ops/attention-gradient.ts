/**
 * Backward attention: one op, whose outputs are the gradients that are needed and no others.
 *
 * Probabilities are computed anew instead of being kept.
 */

import keySource from "../../../shaders/attention-key-gradient.wgsl" with { type: "text" };
import querySource from "../../../shaders/attention-query-gradient.wgsl" with { type: "text" };
import type { Gpu } from "../../gpu/device.ts";
import {
  applyAll,
  byteLength,
  type Dispatch,
  type Op,
  type Scratch,
  type Shader,
  size,
  type Tensor,
} from "../tensor.ts";
import {
  type AttentionAttributes,
  type AttentionGradients,
  type AttentionOperands,
  attentionOperands,
  attentionSizes,
  type ForwardResults,
  operandList,
  TILE,
  tiled,
  tiledSettings,
} from "./attention-problem.ts";
import { backwardProducts } from "./attention-products.ts";
import { backwardSubgroup, hasBackwardSubgroup } from "./attention-subgroup.ts";
import { sumRowsDispatches } from "./sum-rows.ts";

/** Invocations of a workgroup of the kernels for GPUs. */
const WORKGROUP_SIZE = 64;

/** Operands that have a gradient, in the order of the op's inputs. */
const differentiable = ["query", "keyValue", "table"] as const;

type Differentiable = (typeof differentiable)[number];

interface Attributes extends AttentionAttributes {
  /** What the outputs are gradients of. */
  readonly wanted: readonly Differentiable[];
}

/** Gradients of an attention's operands, in the order of its inputs; only those that are needed. */
export function attentionGradients(
  attributes: AttentionAttributes,
  operands: AttentionOperands,
  { output, statistics }: ForwardResults,
  outputGradient: Tensor,
  needed: readonly boolean[],
): (Tensor | undefined)[] {
  const present = differentiable.filter((name) =>
    operands[name] && !(attributes.isSelf && name === "keyValue")
  );
  const wanted = present.filter((_, i) => needed[i]);
  const inputs = [...operandList(operands, attributes), output, statistics, outputGradient];
  const gradients = applyAll(attentionGradientOp, inputs, { ...attributes, wanted });
  return present.map((name) => gradients[wanted.indexOf(name)]);
}

const attentionGradientOp: Op<Attributes> = {
  name: "attention gradient",
  shape(inputs, attributes) {
    const operands = attentionOperands(inputs, attributes);
    return attributes.wanted.map((name) => operands[name]!);
  },
  kernel({ inputs, outputs, attributes }, gpu) {
    const operands = attentionOperands(inputs, attributes);
    const [output, statistics, outputGradient] = inputs.slice(-3);
    const forward = { output, statistics };
    const gradient = (name: Differentiable) => outputs[attributes.wanted.indexOf(name)];
    const query = gradient("query"), table = gradient("table");
    const keyValue = attributes.isSelf ? query : gradient("keyValue");
    const sizes = attentionSizes(operands, attributes);
    const fused = hasBackwardSubgroup(sizes, attributes, gpu);
    const dispatches = fused ? backwardSubgroup : gpu.isCpu ? backwardProducts : backwardTiles;
    const wanted: AttentionGradients = { query, keyValue, table };
    return dispatches(operands, attributes, forward, outputGradient, wanted, gpu);
  },
};

/**
 * The dispatches for GPUs: a kernel of workgroups that own queries, then, because it needs a sum that the first
 * makes, one of workgroups that own keys.
 */
function backwardTiles(
  operands: AttentionOperands,
  attributes: AttentionAttributes,
  { output, statistics }: ForwardResults,
  outputGradient: Tensor,
  wanted: AttentionGradients,
  gpu: Gpu,
): Dispatch[] {
  const { query, keyValue, table } = operands;
  const { heads, positions } = attributes;
  const { batch, queryLength, keyLength, headSize, inner } = attentionSizes(operands, attributes);
  const queryTiles = Math.ceil(queryLength / TILE), keyTiles = Math.ceil(keyLength / TILE);
  // Every workgroup of queries sums its part of the table's gradient.
  const parts = batch * queryTiles, columns = heads * (positions?.buckets ?? 0);
  const firstMeanGradient = wanted.table ? parts * columns : 0;
  const meanGradients = batch * heads * queryLength;
  const pair_sums: Scratch = { scratchBytes: 4 * (firstMeanGradient + meanGradients) };
  const { uniforms, constants } = tiledSettings(operands, attributes);
  const settings = { uniforms: { ...uniforms, first_mean_gradient: firstMeanGradient }, constants };
  const queryShader = { name: "attention-query-gradient", source: querySource };
  const keyShader = { name: "attention-key-gradient", source: keySource };
  /** `products` are those of all queries and keys. */
  const dispatch = (
    shader: Shader,
    outputs: Dispatch["bindings"],
    tiles: number,
    products: number,
  ): Dispatch => ({
    ...settings,
    shader: tiled(shader, headSize, attributes),
    entry: "backward",
    bindings: {
      query,
      key_value: keyValue,
      output_gradient: outputGradient,
      context: statistics,
      ...(table && { table }),
      pair_sums,
      ...outputs,
    },
    workgroups: [tiles, heads, batch],
    flops: 2 * products * batch * queryLength * keyLength * inner,
  });
  const dispatches: Dispatch[] = [];
  if (wanted.query || wanted.table) {
    const query_gradient = wanted.query ?? { scratchBytes: byteLength(query) };
    const wants_table = Number(wanted.table !== undefined);
    dispatches.push({
      ...dispatch(queryShader, { output, query_gradient }, queryTiles, 3),
      constants: { ...constants, wants_table },
    });
  } else {
    dispatches.push({
      ...settings,
      shader: tiled(queryShader, headSize, attributes),
      entry: "sum_mean_gradients",
      bindings: { output, output_gradient: outputGradient, pair_sums },
      workgroups: [Math.ceil(queryLength / WORKGROUP_SIZE), heads, batch],
      flops: 2 * size(output.shape),
    });
  }
  if (wanted.table) {
    const sums = [{ values: pair_sums, columns, sums: wanted.table }];
    dispatches.push(...sumRowsDispatches(sums, { instances: 1, rows: parts }, gpu));
  }
  if (wanted.keyValue) {
    dispatches.push(dispatch(keyShader, { key_value_gradient: wanted.keyValue }, keyTiles, 4));
  }
  return dispatches;
}
