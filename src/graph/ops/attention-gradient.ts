/**
 * Backward attention: one op, whose outputs are the gradients that are needed and no others.
 *
 * Probabilities are computed anew instead of being kept.
 */

import contextSource from "../../../shaders/attention-context.wgsl" with { type: "text" };
import tiledSource from "../../../shaders/attention-gradient-tiled.wgsl" with { type: "text" };
import { linearGrid } from "../dispatch.ts";
import {
  applyAll,
  byteLength,
  type Dispatch,
  type Op,
  type Scratch,
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
} from "./attention-problem.ts";
import { backwardProducts, usesProducts } from "./attention-products.ts";

/** Operands that have a gradient, in the order of the op's inputs. */
const differentiable = ["query", "key", "value", "bias"] as const;

interface Attributes extends AttentionAttributes {
  /** What the outputs are gradients of. */
  readonly wanted: readonly (typeof differentiable)[number][];
}

/** Gradients of an attention's operands, in the order of its inputs; only those that are needed. */
export function attentionGradients(
  attributes: AttentionAttributes,
  operands: AttentionOperands,
  { output, statistics }: ForwardResults,
  outputGradient: Tensor,
  needed: readonly boolean[],
): (Tensor | undefined)[] {
  const present = differentiable.filter((name) => operands[name]);
  const wanted = present.filter((_, i) => needed[i]);
  const inputs = [...operandList(operands), output, statistics, outputGradient];
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
    const gradients: AttentionGradients = Object.fromEntries(
      attributes.wanted.map((name, i) => [name, outputs[i]]),
    );
    const dispatches = usesProducts(operands, attributes, gpu) ? backwardProducts : backwardTiles;
    return dispatches(operands, attributes, forward, outputGradient, gradients, gpu);
  },
};

/** The dispatches for GPUs: what all gradients need, then a kernel for each (key and value share one). */
function backwardTiles(
  operands: AttentionOperands,
  attributes: AttentionAttributes,
  forward: ForwardResults,
  outputGradient: Tensor,
  wanted: AttentionGradients,
): Dispatch[] {
  const { query, key, value, bias } = operands;
  const { heads } = attributes;
  const { batch, queryLength, keyLength, headSize } = attentionSizes(operands, attributes);
  const queryTiles = Math.ceil(queryLength / TILE), keyTiles = Math.ceil(keyLength / TILE);
  const context = contextOf(operands, attributes, forward, outputGradient);
  /** `operations` are those per query, key and feature. */
  const dispatch = (
    entry: string,
    outputs: Dispatch["bindings"],
    workgroups: Dispatch["workgroups"],
    operations: number,
  ): Dispatch => ({
    ...attentionSettings(operands, attributes),
    shader: tiled("attention-gradient-tiled", tiledSource, headSize),
    entry,
    bindings: {
      query,
      key,
      value,
      output_gradient: outputGradient,
      context: context.bindings.context,
      ...(bias && { bias }),
      ...outputs,
    },
    workgroups,
    flops: operations * size(key.shape) * queryLength,
  });
  return [
    context,
    ...(wanted.query
      ? [
        dispatch("backward_query", { query_gradient: wanted.query }, [queryTiles, heads, batch], 6),
      ]
      : []),
    ...(wanted.key || wanted.value
      ? [dispatch(
        "backward_key_value",
        {
          key_gradient: wanted.key ?? { scratchBytes: byteLength(key) },
          value_gradient: wanted.value ?? { scratchBytes: byteLength(value) },
        },
        [keyTiles, heads, batch],
        8,
      )]
      : []),
    ...(wanted.bias
      ? [
        dispatch("backward_bias", { bias_gradient: wanted.bias }, [keyTiles, queryTiles, heads], 4),
      ]
      : []),
  ];
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
    ...attentionSettings(operands, attributes),
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
