/**
 * TensorFlow.js, WebGPU backend: chained products and the forward pass of a T5 encoder, written with its
 * core operations. `tidy` frees what a function made and does not return.
 */

import type { ModelConfig } from "../../../../models/config.ts";
import { blockInventory } from "../../encoder-block.ts";
import { type BatchShape, positionBuckets, randomBatch, randomWeights } from "../../inputs.ts";
import type { Contender } from "../comparison.ts";
import { biasTable } from "../jax/t5.ts";
import type { ProductChain } from "../ours.ts";

/** A tensor of TensorFlow.js. */
export interface TfTensor {
  data(): Promise<ArrayLike<number>>;
  dispose(): void;
}

type Operand = TfTensor | number;

/** The module's parts in use. */
export interface TensorFlow {
  setBackend(name: "webgpu"): Promise<boolean>;
  ready(): Promise<void>;
  tidy<T extends TfTensor | readonly TfTensor[]>(f: () => T): T;
  tensor(
    values: Float32Array | Int32Array,
    shape: readonly number[],
    dtype?: "float32" | "int32",
  ): TfTensor;
  matMul(a: TfTensor, b: TfTensor, transposeA?: boolean, transposeB?: boolean): TfTensor;
  add(a: TfTensor, b: Operand): TfTensor;
  sub(a: TfTensor, b: Operand): TfTensor;
  mul(a: TfTensor, b: Operand): TfTensor;
  square(x: TfTensor): TfTensor;
  sum(x: TfTensor, axis?: number, keepDims?: boolean): TfTensor;
  mean(x: TfTensor, axis: number, keepDims: boolean): TfTensor;
  rsqrt(x: TfTensor): TfTensor;
  tanh(x: TfTensor): TfTensor;
  softmax(x: TfTensor): TfTensor;
  reshape(x: TfTensor, shape: readonly number[]): TfTensor;
  transpose(x: TfTensor, order: readonly number[]): TfTensor;
  gather(x: TfTensor, indices: TfTensor): TfTensor;
  oneHot(indices: TfTensor, depth: number): TfTensor;
}

/**
 * Starts TensorFlow.js on WebGPU.
 *
 * @throws {Error} where it finds no adapter
 */
export async function startTensorFlow(tf: TensorFlow): Promise<TensorFlow> {
  if (!await tf.setBackend("webgpu")) {
    throw new Error("TensorFlow.js finds no WebGPU adapter here.");
  }
  await tf.ready();
  return tf;
}

/** x · w · w · …; the last product is read back. */
export function tensorFlowProducts(tf: TensorFlow, chain: ProductChain): Contender {
  const { side, length } = chain;
  const x = tf.tensor(chain.x, [side, side]), w = tf.tensor(chain.w, [side, side]);
  const product = () =>
    tf.tidy(() => {
      let result = x;
      for (let i = 0; i < length; i++) result = tf.matMul(result, w);
      return result;
    });
  return contender(product, [x, w]);
}

/** The forward pass of a one-block encoder. */
export function tensorFlowEncoding(
  tf: TensorFlow,
  config: ModelConfig,
  { batchSize: batch, sourceLength: length, ...shape }: BatchShape,
): Contender {
  const { heads, headDim, modelDim, relativeBuckets } = config;
  const inventory = blockInventory(config);
  const values = randomWeights(inventory);
  const weights = new Map(
    inventory.map(({ name, shape }) => [name, tf.tensor(values.get(name)!, shape)]),
  );
  const input = randomBatch(config, { batchSize: batch, sourceLength: length, ...shape });
  const ids = tf.tensor(input.inputIds, [batch * length], "int32");
  const penalties = Float32Array.from(input.attentionMask, (is) => is ? 0 : -10000);
  const mask = tf.tensor(penalties, [batch, 1, 1, length]);
  const pairs = positionBuckets(length, relativeBuckets, true);
  const buckets = tf.tensor(pairs, [length * length], "int32");

  const weight = (name: string) => weights.get(`${name}.weight`)!;
  const linear = (name: string, x: TfTensor) => tf.matMul(x, weight(name), false, true);
  const norm = (name: string, x: TfTensor) => {
    const variance = tf.mean(tf.square(x), -1, true);
    return tf.mul(tf.mul(x, tf.rsqrt(tf.add(variance, config.normEpsilon))), weight(name));
  };
  const gelu = (x: TfTensor) => {
    const inner = tf.mul(x, tf.add(tf.mul(tf.square(x), 0.044715), 1));
    return tf.mul(tf.mul(x, 0.5), tf.add(tf.tanh(tf.mul(inner, Math.sqrt(2 / Math.PI))), 1));
  };
  const positionBias = () => {
    const rows = tf.gather(weights.get(biasTable("encoder"))!, buckets);
    const bias = tf.transpose(tf.reshape(rows, [length, length, heads]), [2, 0, 1]);
    return tf.add(tf.reshape(bias, [1, heads, length, length]), mask);
  };

  const encode = () =>
    tf.tidy(() => {
      const bias = positionBias();
      let h = tf.gather(weight("shared"), ids); // [batch · length, D]
      for (let i = 0; i < config.encoderLayers; i++) {
        const name = `encoder.block.${i}.layer`;
        const x = norm(`${name}.0.layer_norm`, h);
        const part = (part: string) => {
          const all = linear(`${name}.0.SelfAttention.${part}`, x);
          return tf.transpose(tf.reshape(all, [batch, length, heads, headDim]), [0, 2, 1, 3]);
        };
        const scores = tf.add(tf.matMul(part("q"), part("k"), false, true), bias);
        const context = tf.transpose(tf.matMul(tf.softmax(scores), part("v")), [0, 2, 1, 3]);
        const flat = tf.reshape(context, [batch * length, heads * headDim]);
        h = tf.add(h, linear(`${name}.0.SelfAttention.o`, flat));
        const y = norm(`${name}.1.layer_norm`, h);
        const feedForward = (part: string) => linear(`${name}.1.DenseReluDense.${part}`, y);
        const inner = tf.mul(gelu(feedForward("wi_0")), feedForward("wi_1"));
        h = tf.add(h, linear(`${name}.1.DenseReluDense.wo`, inner));
      }
      return tf.reshape(norm("encoder.final_layer_norm", h), [batch, length, modelDim]);
    });
  return contender(encode, [ids, mask, buckets, ...weights.values()]);
}

function contender(work: () => TfTensor, owned: readonly TfTensor[]): Contender {
  return {
    async run(count) {
      for (let i = 1; i < count; i++) work().dispose();
      const result = work();
      const values = await result.data();
      result.dispose();
      return [values];
    },
    destroy() {
      for (const tensor of owned) tensor.dispose();
    },
  };
}
