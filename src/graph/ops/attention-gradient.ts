/**
 * Backward attention: one op per gradient, so that what nobody needs is never computed, and one that
 * gathers what all of them need. Probabilities are computed anew instead of being kept.
 */

import contextSource from "../../../shaders/attention-context.wgsl" with { type: "text" };
import blockedSource from "../../../shaders/attention-gradient.wgsl" with { type: "text" };
import tiledSource from "../../../shaders/attention-gradient-tiled.wgsl" with { type: "text" };
import type { Gpu } from "../../gpu/device.ts";
import { linearGrid } from "../dispatch.ts";
import { apply, applyAll, type Node, type Op, size, type Tensor } from "../tensor.ts";
import {
  type AttentionAttributes,
  type AttentionOperands,
  attentionSettings,
  attentionSizes,
  blockCount,
  blocked,
  TILE,
  tiled,
} from "./attention-problem.ts";

/** What the forward pass made and what came back for it. */
interface ForwardResults {
  readonly output: Tensor;
  readonly statistics: Tensor;
  readonly outputGradient: Tensor;
}

/** Gradients of an attention's operands, in the order of its inputs; only those that are needed. */
export function attentionGradients(
  attributes: AttentionAttributes,
  { query, key, value, bias, keyMask, seed }: AttentionOperands,
  { output, statistics, outputGradient }: ForwardResults,
  needed: readonly boolean[],
): (Tensor | undefined)[] {
  const context = apply(
    contextOp,
    [output, outputGradient, statistics, query, key, keyMask, seed].filter((t) => t !== undefined),
    attributes,
  );
  const inputs = [query, key, value, outputGradient, context, ...(bias ? [bias] : [])];
  const [needsQuery, needsKey, needsValue, needsBias] = needed;
  const queryGradient = needsQuery ? apply(queryGradientOp, inputs, attributes) : undefined;
  const [keyGradient, valueGradient] = needsKey || needsValue
    ? applyAll(keyValueGradientOp, inputs, attributes)
    : [];
  const biasGradient = bias && needsBias ? apply(biasGradientOp, inputs, attributes) : undefined;
  return [queryGradient, keyGradient, valueGradient, biasGradient];
}

/** See attention-context.wgsl. Query and key are operands for their shapes. */
const contextOp: Op<AttentionAttributes> = {
  name: "attention context",
  shape([, , statistics, , key]) {
    const [batch, keyLength] = key.shape;
    return [{ shape: [2 + size(statistics.shape) / 2 * 3 + batch * keyLength], dtype: "u32" }];
  },
  kernel({ inputs, attributes, outputs: [context] }) {
    const [output, output_gradient, statistics, query, key, ...optional] = inputs;
    const key_mask = attributes.hasKeyMask ? optional.shift() : undefined;
    const seed = attributes.dropout ? optional.shift() : undefined;
    const { batch, queryLength, keyLength } = attentionSizes({ query, key }, attributes);
    return [{
      ...attentionSettings({ query, key }, attributes),
      shader: { name: "attention-context", source: contextSource },
      bindings: {
        output,
        output_gradient,
        statistics,
        ...(key_mask && { key_mask }),
        ...(seed && { seed }),
        context,
      },
      workgroups: linearGrid(Math.max(batch * attributes.heads * queryLength, batch * keyLength)),
      flops: 2 * size(output.shape),
    }];
  },
};

const queryGradientOp: Op<AttentionAttributes> = {
  name: "attention query gradient",
  shape: ([query]) => [query],
  kernel(node, gpu) {
    const { batch, queryLength, blocks } = sizes(node);
    const { heads } = node.attributes;
    const workgroups = gpu.isCpu
      ? linearGrid(batch * heads * blocks * Math.ceil(queryLength / 4))
      : [Math.ceil(queryLength / TILE), heads, batch] as const;
    const outputs = { query_gradient: node.outputs[0] };
    return [{ ...backward(node, gpu, outputs, 6), entry: "backward_query", workgroups }];
  },
};

const keyValueGradientOp: Op<AttentionAttributes> = {
  name: "attention key and value gradient",
  shape: ([, key, value]) => [key, value],
  kernel(node, gpu) {
    const { batch, keyLength, blocks } = sizes(node);
    const { heads } = node.attributes;
    const workgroups = gpu.isCpu
      ? linearGrid(batch * heads * blocks * Math.ceil(keyLength / 4))
      : [Math.ceil(keyLength / TILE), heads, batch] as const;
    const outputs = { key_gradient: node.outputs[0], value_gradient: node.outputs[1] };
    return [{ ...backward(node, gpu, outputs, 8), entry: "backward_key_value", workgroups }];
  },
};

const biasGradientOp: Op<AttentionAttributes> = {
  name: "attention bias gradient",
  shape: ([, , , , , bias]) => [bias],
  kernel(node, gpu) {
    const { queryLength, keyLength } = sizes(node);
    const { heads } = node.attributes;
    const workgroups = gpu.isCpu
      ? linearGrid(heads * Math.ceil(queryLength / 4) * Math.ceil(keyLength / 4))
      : [Math.ceil(keyLength / TILE), Math.ceil(queryLength / TILE), heads] as const;
    const outputs = { bias_gradient: node.outputs[0] };
    return [{ ...backward(node, gpu, outputs, 4), entry: "backward_bias", workgroups }];
  },
};

function namedInputs({ inputs }: Node<AttentionAttributes>) {
  const [query, key, value, output_gradient, context, bias] = inputs;
  return { query, key, value, output_gradient, context, ...(bias && { bias }) };
}

function sizes(node: Node<AttentionAttributes>) {
  const sizes = attentionSizes(namedInputs(node), node.attributes);
  return { ...sizes, blocks: blockCount(sizes.headSize) };
}

/** What backward dispatches share; `operations` are those per query, key and feature. */
function backward(
  node: Node<AttentionAttributes>,
  gpu: Gpu,
  outputs: Readonly<Record<string, Tensor>>,
  operations: number,
) {
  const operands = namedInputs(node);
  const { queryLength, headSize } = attentionSizes(operands, node.attributes);
  return {
    ...attentionSettings(operands, node.attributes),
    shader: gpu.isCpu
      ? blocked("attention-gradient", blockedSource, headSize).shader
      : tiled("attention-gradient-tiled", tiledSource, headSize),
    bindings: { ...operands, ...outputs },
    flops: operations * size(operands.key.shape) * queryLength,
  };
}
