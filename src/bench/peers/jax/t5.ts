/**
 * T5 with adapters in jax-js, as one would write it there: pure functions of a tree of weights, in shapes
 * [batch, length, features], to be traced by `jit`.
 *
 * Two things follow from jax-js 0.1.25 and not from taste. The position bias is a product with one-hot
 * rows, because the gradient of a look-up is a scatter whose shader Deno's compiler refuses. And weights
 * lie as [in, out], the orientation in which its products are faster.
 */

import { LAYER_EMBEDDING_DIM, type ModelConfig, type Side } from "../../../../models/config.ts";
import { feedForwardName, type ParameterSpecification } from "../../../../models/inventory.ts";
import { positionBuckets, type RandomWeights } from "../../inputs.ts";
import type { Jax, JaxArray, Weights } from "./jax.ts";

/** Keys and values of a layer, [batch, length, heads, headDim]. */
export interface KeyValues {
  readonly key: JaxArray;
  readonly value: JaxArray;
}

/** One layer's adapter: weights of [D, A] and [A, D], or [batch, D, A] and [batch, A, D]. */
export interface JaxAdapter {
  readonly downWeight: JaxArray;
  readonly downBias: JaxArray;
  readonly upWeight: JaxArray;
  readonly upBias: JaxArray;
}

/** The layers of a configuration, on weights that are given with every call. */
export class JaxT5 {
  constructor(readonly jax: Jax, readonly config: ModelConfig) {}

  /** ids [B, S] and mask [B, S] → [B, S, D]. */
  encode(w: Weights, ids: JaxArray, mask: JaxArray): JaxArray {
    const { numpy: np } = this.jax;
    const [batch, length] = ids.shape;
    const bias = this.positionBias(w, "encoder", length);
    const keys = mask.reshape([batch, 1, 1, length]).notEqual(0);
    let h = np.take(w["shared.weight"].ref, ids, 0);
    for (let i = 0; i < this.config.encoderLayers; i++) {
      const name = `encoder.block.${i}.layer.0`;
      const x = this.norm(w, `${name}.layer_norm`, h.ref);
      const query = this.heads(w, `${name}.SelfAttention.q`, x.ref);
      const memory = this.keyValues(w, `${name}.SelfAttention`, x);
      h = h.add(this.attend(w, `${name}.SelfAttention`, query, memory, {
        bias: bias.ref,
        mask: keys.ref,
      }));
      h = this.feedForward(w, "encoder", i, h, this.manualAdapter(w, "encoder", i));
    }
    bias.dispose();
    keys.dispose();
    return this.norm(w, "encoder.final_layer_norm", h);
  }

  /** ids [B, T], the encoder's output and its mask → [B, T, D], before the LM head. */
  decode(
    w: Weights,
    ids: JaxArray,
    encoded: JaxArray,
    mask: JaxArray,
    adapters: readonly JaxAdapter[],
  ): JaxArray {
    const { numpy: np } = this.jax;
    const [, length] = ids.shape;
    const bias = this.positionBias(w, "decoder", length);
    const keys = mask.reshape([mask.shape[0], 1, 1, mask.shape[1]]).notEqual(0);
    let h = np.take(w["shared.weight"].ref, ids, 0);
    for (let i = 0; i < this.config.decoderLayers; i++) {
      const name = `decoder.block.${i}.layer`;
      const x = this.norm(w, `${name}.0.layer_norm`, h.ref);
      const query = this.heads(w, `${name}.0.SelfAttention.q`, x.ref);
      const own = this.keyValues(w, `${name}.0.SelfAttention`, x);
      const options = { bias: bias.ref, isCausal: true };
      h = h.add(this.attend(w, `${name}.0.SelfAttention`, query, own, options));
      h = this.crossAttend(w, i, h, this.crossKeyValues(w, i, encoded.ref), keys.ref);
      h = this.feedForward(w, "decoder", i, h, adapters[i]);
    }
    for (const used of [bias, keys, encoded]) used.dispose();
    return this.norm(w, "decoder.final_layer_norm", h);
  }

  /** h + attention to the encoder's keys and values, those with a true in `mask`. */
  crossAttend(w: Weights, layer: number, h: JaxArray, memory: KeyValues, mask: JaxArray): JaxArray {
    const name = `decoder.block.${layer}.layer.1`;
    const x = this.norm(w, `${name}.layer_norm`, h.ref);
    const query = this.heads(w, `${name}.EncDecAttention.q`, x);
    return h.add(this.attend(w, `${name}.EncDecAttention`, query, memory, { mask }));
  }

  /** Keys and values of the encoder's output for a decoder layer. */
  crossKeyValues(w: Weights, layer: number, encoded: JaxArray): KeyValues {
    return this.keyValues(w, `decoder.block.${layer}.layer.1.EncDecAttention`, encoded);
  }

  /** Logits of states [..., D]. */
  project(w: Weights, hidden: JaxArray): JaxArray {
    return this.linear(w, "lm_head", hidden);
  }

  /** The adapters of every decoder layer, generated from the encoder's output [B, S, D]. */
  generateAdapters(w: Weights, encoded: JaxArray, mask: JaxArray): JaxAdapter[] {
    const { numpy: np, nn } = this.jax;
    const { decoderLayers: layers, decoderAdapterDim: bottleneck, modelDim } = this.config;
    const [batch, length] = mask.shape;
    const weight = mask.astype("float32").reshape([batch, length, 1]);
    const count = weight.ref.sum(1);
    const pooled = encoded.mul(weight).sum(1).div(count);
    const z = this.dense(w, "decoder.mlp.2", nn.relu(this.dense(w, "decoder.mlp.0", pooled)));
    const embedding = w["decoder.param_gen.layer_embed.weight"].ref
      .reshape([layers, 1, LAYER_EMBEDDING_DIM]);
    const rows = np.concatenate([
      np.broadcastTo(z.reshape([1, batch, modelDim]), [layers, batch, modelDim]),
      np.broadcastTo(embedding, [layers, batch, LAYER_EMBEDDING_DIM]),
    ], 2);
    const t = nn.relu(this.dense(w, "decoder.param_gen.decoder.linear1", rows));
    const head = (part: string, ...shape: number[]) => {
      const all = this.dense(w, `decoder.param_gen.decoder.${part}`, t.ref)
        .reshape([layers, batch, ...shape]);
      const byLayer = Array.from({ length: layers }, (_, i) => all.ref.slice(i));
      all.dispose();
      return byLayer;
    };
    const downWeight = head("weight_down", modelDim, bottleneck);
    const downBias = head("bias_down", 1, bottleneck);
    const upWeight = head("weight_up", bottleneck, modelDim);
    const upBias = head("bias_up", 1, modelDim);
    t.dispose();
    return downWeight.map((down, i) => ({
      downWeight: down,
      downBias: downBias[i],
      upWeight: upWeight[i],
      upBias: upBias[i],
    }));
  }

  /** h + feed-forward(norm(h)) + adapter(h). */
  feedForward(
    w: Weights,
    side: Side,
    layer: number,
    h: JaxArray,
    adapter?: JaxAdapter,
  ): JaxArray {
    const { numpy: np, nn } = this.jax;
    const name = feedForwardName(side, layer);
    const x = this.norm(w, `${name}.layer_norm`, h.ref);
    const gate = nn.gelu(this.linear(w, `${name}.DenseReluDense.wi_0`, x.ref), {
      approximate: true,
    });
    const inner = gate.mul(this.linear(w, `${name}.DenseReluDense.wi_1`, x));
    const y = this.linear(w, `${name}.DenseReluDense.wo`, inner);
    if (!adapter) return h.add(y);
    const { downWeight, downBias, upWeight, upBias } = adapter;
    const hidden = nn.relu(np.matmul(h.ref, downWeight).add(downBias));
    return h.add(y).add(np.matmul(hidden, upWeight).add(upBias));
  }

  /** x / √(mean x² + ε) · scale. */
  norm(w: Weights, name: string, x: JaxArray): JaxArray {
    const { numpy: np } = this.jax;
    const variance = np.square(x.ref).mean(-1, { keepdims: true });
    const root = np.sqrt(variance.add(this.config.normEpsilon));
    return x.mul(np.reciprocal(root)).mul(w[`${name}.weight`].ref);
  }

  /** [..., D] → [batch, length, heads, headDim]. */
  heads(w: Weights, name: string, x: JaxArray): JaxArray {
    const [batch, length] = x.shape;
    const { heads, headDim } = this.config;
    return this.linear(w, name, x).reshape([batch, length, heads, headDim]);
  }

  /** Keys and values of x. */
  keyValues(w: Weights, name: string, x: JaxArray): KeyValues {
    return { key: this.heads(w, `${name}.k`, x.ref), value: this.heads(w, `${name}.v`, x) };
  }

  /** Attention with its output projection. */
  attend(
    w: Weights,
    name: string,
    query: JaxArray,
    { key, value }: KeyValues,
    options: { bias?: JaxArray; mask?: JaxArray; isCausal?: boolean },
  ): JaxArray {
    const [batch, length, heads, headDim] = query.shape;
    const context = this.jax.nn.dotProductAttention(query, key, value, { scale: 1, ...options });
    return this.linear(w, `${name}.o`, context.reshape([batch, length, heads * headDim]));
  }

  /** Bias of attention scores, [1, heads, length, length]. */
  positionBias(w: Weights, side: Side, length: number): JaxArray {
    const { numpy: np, nn } = this.jax;
    const { relativeBuckets, heads } = this.config;
    const ids = positionBuckets(length, relativeBuckets, side === "encoder");
    const rows = nn.oneHot(np.array(ids, { dtype: "int32" }), relativeBuckets);
    return np.matmul(rows, w[biasTable(side)].ref)
      .reshape([length, length, heads])
      .transpose([2, 0, 1])
      .reshape([1, heads, length, length]);
  }

  /** x · W. */
  linear(w: Weights, name: string, x: JaxArray): JaxArray {
    return this.jax.numpy.matmul(x, w[`${name}.weight`].ref);
  }

  /** x · W + b. */
  dense(w: Weights, name: string, x: JaxArray): JaxArray {
    return this.linear(w, name, x).add(w[`${name}.bias`].ref);
  }

  private manualAdapter(w: Weights, side: Side, layer: number): JaxAdapter | undefined {
    const name = `${feedForwardName(side, layer)}.adapter_layer.adapter`;
    if (!(`${name}_down_manual.weight` in w)) return undefined;
    return {
      downWeight: w[`${name}_down_manual.weight`].ref,
      downBias: w[`${name}_down_manual.bias`].ref,
      upWeight: w[`${name}_up_manual.weight`].ref,
      upBias: w[`${name}_up_manual.bias`].ref,
    };
  }
}

/** Name of a stack's table of position biases. */
export function biasTable(side: Side): string {
  return `${side}.block.0.layer.0.SelfAttention.relative_attention_bias.weight`;
}

/** Weights in jax-js, matrices of linear layers turned to [in, out]. */
export function jaxWeights(
  { numpy: np }: Jax,
  inventory: readonly ParameterSpecification[],
  weights: RandomWeights,
): Weights {
  return Object.fromEntries(inventory.map(({ name, shape }) => {
    const values = weights.get(name)!;
    const isTable = /shared|layer_embed|relative_attention_bias/.test(name);
    if (shape.length !== 2 || isTable) return [name, np.array(values).reshape(shape)];
    const [out, fanIn] = shape;
    return [name, np.array(transposed(values, out, fanIn)).reshape([fanIn, out])];
  }));
}

function transposed(values: Float32Array, rows: number, columns: number): Float32Array {
  return Float32Array.from(
    values,
    (_, i) => values[i % rows * columns + Math.floor(i / rows)],
  );
}
