/**
 * Backward attention: one op, whose outputs are the gradients that are needed and no others.
 *
 * Probabilities are computed anew instead of being kept.
 */

import contextSource from "../../../shaders/attention-context.wgsl" with { type: "text" };
import keySource from "../../../shaders/attention-key-gradient.wgsl" with { type: "text" };
import querySource from "../../../shaders/attention-query-gradient.wgsl" with { type: "text" };
import type { Gpu } from "../../gpu/device.ts";
import { linearGrid } from "../dispatch.ts";
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
  attentionSettings,
  attentionSizes,
  type ForwardResults,
  operandList,
  TILE,
  tiled,
  tiledSettings,
} from "./attention-problem.ts";
import { backwardSubgroup, hasBackwardSubgroup } from "./attention-subgroup.ts";
import { backwardProducts } from "./attention-products.ts";
import { sumRowsDispatches } from "./sum-rows.ts";

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

/** The dispatches for GPUs: what all gradients need, then a kernel of workgroups that own queries and one of
 * workgroups that own keys. */
function backwardTiles(
  operands: AttentionOperands,
  attributes: AttentionAttributes,
  forward: ForwardResults,
  outputGradient: Tensor,
  wanted: AttentionGradients,
  gpu: Gpu,
): Dispatch[] {
  const { query, keyValue, table } = operands;
  const { heads, positions } = attributes;
  const { batch, queryLength, keyLength, headSize, inner } = attentionSizes(operands, attributes);
  const queryTiles = Math.ceil(queryLength / TILE), keyTiles = Math.ceil(keyLength / TILE);
  const context = contextOf(operands, attributes, forward, outputGradient);
  const settings = tiledSettings(operands, attributes);
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
      context: context.bindings.context,
      ...(table && { table }),
      ...outputs,
    },
    workgroups: [tiles, heads, batch],
    flops: 2 * products * batch * queryLength * keyLength * inner,
  });
  const dispatches = [context];
  if (wanted.query || wanted.table) {
    // Every workgroup sums its part of the table's gradient.
    const parts = batch * queryTiles, columns = heads * (positions?.buckets ?? 0);
    const table_parts = { scratchBytes: 4 * parts * columns };
    const queryGradient = dispatch(
      { name: "attention-query-gradient", source: querySource },
      {
        query_gradient: wanted.query ?? { scratchBytes: byteLength(query) },
        ...(wanted.table && { table_parts }),
      },
      queryTiles,
      3,
    );
    const constants = { ...settings.constants, wants_table: Number(wanted.table !== undefined) };
    dispatches.push({ ...queryGradient, constants });
    if (wanted.table) {
      const sums = [{ values: table_parts, columns, sums: wanted.table }];
      dispatches.push(...sumRowsDispatches(sums, { instances: 1, rows: parts }, gpu));
    }
  }
  if (wanted.keyValue) {
    const shader = { name: "attention-key-gradient", source: keySource };
    dispatches.push(dispatch(shader, { key_value_gradient: wanted.keyValue }, keyTiles, 4));
  }
  return dispatches;
}

/** See attention-context.wgsl. */
function contextOf(
  operands: AttentionOperands,
  attributes: AttentionAttributes,
  { output, statistics }: ForwardResults,
  output_gradient: Tensor,
): Dispatch {
  const { keyMask, seed } = operands;
  const { batch, queryLength, keyLength } = attentionSizes(operands, attributes);
  const rows = batch * attributes.heads * queryLength, keys = batch * keyLength;
  const context: Scratch = { scratchBytes: 4 * (2 + 3 * rows + keys) };
  return {
    uniforms: attentionSettings(operands, attributes).uniforms,
    constants: tiledSettings(operands, attributes).constants,
    shader: { name: "attention-context", source: contextSource },
    bindings: {
      output,
      output_gradient,
      statistics,
      ...(keyMask && { key_mask: keyMask }),
      ...(seed && { seed }),
      context,
    },
    workgroups: linearGrid(Math.max(rows, keys)),
    flops: 2 * size(output.shape),
  };
}
