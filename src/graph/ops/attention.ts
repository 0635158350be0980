/**
 * Multi-head attention in one dispatch, without anything of size queryLength · keyLength in memory.
 */

import registerSource from "../../../shaders/attention.wgsl" with { type: "text" };
import { type Gpu } from "../../gpu/device.ts";
import { linearGrid } from "../dispatch.ts";
import {
  applyAll,
  type Dispatch,
  type DType,
  type Op,
  type Shader,
  type Shape,
  ShapeError,
  type Tensor,
} from "../tensor.ts";
import { attentionGradients } from "./attention-gradient.ts";

/** Dropout on attention weights; which ones depends on the seed, the site and their position alone. */
export interface AttentionDropout {
  /** Fraction of the weights set to 0; the others are multiplied by 1 / (1 - rate). */
  readonly rate: number;
  /** u32[2]. */
  readonly seed: Tensor;
  /** Tells this use of randomness from every other one in the model. */
  readonly site: number;
}

/** What `attention` may be given besides queries, keys and values. */
export interface AttentionOptions {
  readonly heads: number;
  /** [heads, queryLength, keyLength], added to the scores. */
  readonly bias?: Tensor | undefined;
  /** i32[batch, keyLength], 0 where a key is masked. */
  readonly keyMask?: Tensor | undefined;
  /** Masks the keys that come after the query. */
  readonly causal?: boolean;
  /** Added once to the score of a masked key. */
  readonly maskValue?: number;
  readonly dropout?: AttentionDropout | undefined;
}

/** The problem as plain data; operands come in the order query, key, value, bias, keyMask, seed. */
export interface AttentionAttributes {
  readonly heads: number;
  readonly causal: boolean;
  readonly maskValue: number;
  readonly hasBias: boolean;
  readonly hasKeyMask: boolean;
  readonly dropout: { readonly rate: number; readonly site: number } | null;
}

/** Operands of an attention by name. */
export interface AttentionOperands {
  readonly query: Tensor;
  readonly key: Tensor;
  readonly value: Tensor;
  readonly bias?: Tensor;
  readonly keyMask?: Tensor;
  readonly seed?: Tensor;
}

/** Sizes of an attention. */
export interface AttentionSizes {
  readonly batch: number;
  readonly queryLength: number;
  readonly keyLength: number;
  readonly headSize: number;
}

/** The op of `attention`: outputs the result and the statistics [batch, heads, queryLength, 2]. */
const attentionOp: Op<AttentionAttributes> = {
  name: "attention",
  shape(inputs, attributes) {
    const { batch, queryLength } = attentionSizes(inputs, attributes);
    checkOperands(inputs, attributes);
    return [
      { shape: inputs[0].shape, dtype: "f32" },
      { shape: [batch, attributes.heads, queryLength, 2], dtype: "f32" },
    ];
  },
  gradient({ inputs, attributes, outputs: [output, statistics] }, [outputGradient], needed) {
    const operands = attentionOperands(inputs, attributes);
    const gradients = attentionGradients(
      attributes,
      operands,
      { output, statistics, outputGradient: outputGradient! },
      needed,
    );
    return inputs.map((_, i) => gradients[i]);
  },
  kernel({ inputs, attributes, outputs: [output, statistics] }, gpu) {
    const { heads } = attributes;
    const { batch, queryLength, keyLength, headSize } = attentionSizes(inputs, attributes);
    const { query, key, value, ...optional } = attentionOperands(inputs, attributes);
    return [{
      ...attentionDispatch(gpu, attributes, inputs, {
        cpu: forwardInRegisters,
        gpu: forwardInRegisters,
        owned: batch * heads * Math.ceil(queryLength / 4),
        workgroups: [Math.ceil(queryLength / 32), heads, batch],
      }),
      entry: "forward",
      bindings: { query, key, value, ...bindingNames(optional), output, statistics },
      flops: 4 * batch * heads * queryLength * keyLength * headSize,
    }];
  },
};
