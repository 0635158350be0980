/**
 * Backward attention: one op per gradient, so that what nobody needs is never computed, and one that
 * gathers what all of them need. Probabilities are computed anew instead of being kept.
 */

import contextSource from "../../../shaders/attention-context.wgsl" with { type: "text" };
import registerSource from "../../../shaders/attention-gradient.wgsl" with { type: "text" };
import { linearGrid } from "../dispatch.ts";
import { apply, applyAll, type Dispatch, type Node, type Op, size, type Tensor } from "../tensor.ts";
import {
  type AttentionAttributes,
  type AttentionOperands,
  attentionSettings,
  attentionSizes,
  blocked,
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
  kernel(node) {
    const { batch, queryLength } = attentionSizes(namedInputs(node), node.attributes);
    const tiles = batch * node.attributes.heads * Math.ceil(queryLength / 4);
    return [dispatch(node, "backward_query", { query_gradient: node.outputs[0] }, tiles, 6)];
  },
};

const keyValueGradientOp: Op<AttentionAttributes> = {
  name: "attention key and value gradient",
  shape: ([, key, value]) => [key, value],
  kernel(node) {
    const [key_gradient, value_gradient] = node.outputs;
    const { batch, keyLength } = attentionSizes(namedInputs(node), node.attributes);
    const tiles = batch * node.attributes.heads * Math.ceil(keyLength / 4);
    return [dispatch(node, "backward_key_value", { key_gradient, value_gradient }, tiles, 8)];
  },
};

const biasGradientOp: Op<AttentionAttributes> = {
  name: "attention bias gradient",
  shape: ([, , , , , bias]) => [bias],
  kernel(node) {
    const { queryLength, keyLength } = attentionSizes(namedInputs(node), node.attributes);
    const tiles = node.attributes.heads * Math.ceil(queryLength / 4) * Math.ceil(keyLength / 4);
    return [dispatch(node, "backward_bias", { bias_gradient: node.outputs[0] }, tiles, 4)];
  },
};

function namedInputs({ inputs }: Node<AttentionAttributes>) {
  const [query, key, value, output_gradient, context, bias] = inputs;
  return { query, key, value, output_gradient, context, ...(bias && { bias }) };
}

/** A backward dispatch; `products` counts floating-point operations per query, key and feature. */
function dispatch(
  node: Node<AttentionAttributes>,
  entry: string,
  outputs: Readonly<Record<string, Tensor>>,
  tiles: number,
  products: number,
): Dispatch {
  const operands = namedInputs(node);
  const { queryLength, headSize } = attentionSizes(operands, node.attributes);
  const { shader, blocks } = blocked("attention-gradient", registerSource, headSize);
  return {
    ...attentionSettings(operands, node.attributes),
    shader,
    entry,
    bindings: { ...operands, ...outputs },
    workgroups: linearGrid(entry === "backward_bias" ? tiles : tiles * blocks),
    flops: products * size(operands.key.shape) * queryLength,
  };
}
