/**
 * Greedy decoding in jax-js with a cache of keys and values: one `jit` for the encoder and the
 * hypernetwork, one for a token. Tokens stay on the device until the text is complete.
 */

import type { ModelConfig } from "../../../../models/config.ts";
import { type BatchShape, randomBatch, randomWeights } from "../../inputs.ts";
import type { Contender } from "../comparison.ts";
import type { Jax, JaxArray, Weights } from "./jax.ts";
import { type JaxAdapter, JaxT5, jaxWeights, type KeyValues } from "./t5.ts";
import { usedInventory } from "./training.ts";

/** What the encoder leaves for the steps. */
type Start = {
  readonly bias: JaxArray;
  readonly mask: JaxArray;
  readonly cross: readonly Both[];
  readonly adapters: readonly Adapter[];
};
/** The tree forms of interfaces, which a tree cannot be made of. */
type Both = { [part in keyof KeyValues]: JaxArray };
type Adapter = { [part in keyof JaxAdapter]: JaxArray };

/** Decodes `shape.targetLength` tokens for each row; the end token is forbidden. */
export function jaxDecoding(jax: Jax, config: ModelConfig, shape: BatchShape): Contender {
  const { jit, numpy: np, tree } = jax;
  const { heads, headDim, decoderLayers, modelDim, vocabSize } = config;
  const { batchSize, sourceLength, targetLength: length } = shape;
  const model = new JaxT5(jax, config);
  const inventory = usedInventory(config);
  const weights = jaxWeights(jax, inventory, randomWeights(inventory));
  const ids = (values: Int32Array) =>
    np.array(values, { dtype: "int32" }).reshape([batchSize, sourceLength]);
  const { inputIds, attentionMask } = randomBatch(config, shape);
  const source = ids(inputIds), mask = ids(attentionMask);
  const layers = Array.from({ length: decoderLayers }, (_, i) => i);

  const begin = jit((w: Weights, source: JaxArray, mask: JaxArray): Start => {
    const encoded = model.encode(w, source, mask.ref);
    const adapters = model.generateAdapters(w, encoded.ref, mask.ref)
      .map((adapter) => ({ ...adapter }));
    const cross = layers.map((i) => ({ ...model.crossKeyValues(w, i, encoded.ref) }));
    encoded.dispose();
    const bias = model.positionBias(w, "decoder", length);
    tree.dispose(w);
    const keys = mask.reshape([batchSize, 1, 1, sourceLength]).notEqual(0);
    return { bias, mask: keys, cross, adapters };
  });

  const step = jit(
    (
      w: Weights,
      { bias, mask, cross, adapters }: Start,
      cache: readonly Both[],
      token: JaxArray,
      position: JaxArray,
    ): [readonly Both[], JaxArray] => {
      const positions = np.arange(length).reshape([1, length, 1, 1]);
      const isNow = positions.ref.equal(position.ref);
      const isPast = positions.lessEqual(position.ref).reshape([1, 1, 1, length]);
      const row = np.take(bias, position, 2); // [1, heads, 1, length]
      const next: Both[] = [];
      let h = np.take(w["shared.weight"].ref, token, 0).reshape([batchSize, 1, modelDim]);
      for (const i of layers) {
        const name = `decoder.block.${i}.layer.0`;
        const x = model.norm(w, `${name}.layer_norm`, h.ref);
        const query = model.heads(w, `${name}.SelfAttention.q`, x.ref);
        const { key, value } = model.keyValues(w, `${name}.SelfAttention`, x);
        const own = {
          key: np.where(isNow.ref, key, cache[i].key),
          value: np.where(isNow.ref, value, cache[i].value),
        };
        next.push(own);
        const options = { bias: row.ref, mask: isPast.ref };
        const context = model.attend(w, `${name}.SelfAttention`, query, tree.ref(own), options);
        h = model.crossAttend(w, i, h.add(context), cross[i], mask.ref);
        h = model.feedForward(w, "decoder", i, h, adapters[i]);
      }
      const hidden = model.norm(w, "decoder.final_layer_norm", h).reshape([batchSize, modelDim]);
      const isEnd = np.arange(vocabSize).equal(config.eosId).reshape([1, vocabSize]);
      const logits = np.where(isEnd, -Infinity, model.project(w, hidden));
      tree.dispose([w, isNow, isPast, row, mask]);
      return [next, np.argmax(logits, -1)];
    },
  );

  async function decode(): Promise<ArrayLike<number>> {
    const start = begin(tree.ref(weights), source.ref, mask.ref);
    let cache: readonly Both[] = layers.map(() => ({
      key: np.zeros([batchSize, length, heads, headDim]),
      value: np.zeros([batchSize, length, heads, headDim]),
    }));
    let token = np.array(new Int32Array(batchSize).fill(config.decoderStartId), {
      dtype: "int32",
    });
    const tokens: JaxArray[] = [];
    for (let i = 0; i < length; i++) {
      const position = np.array(Int32Array.of(i), { dtype: "int32" });
      [cache, token] = step(tree.ref(weights), tree.ref(start), cache, token, position);
      tokens.push(token.ref);
    }
    tree.dispose([start, cache, token]);
    return await np.stack(tokens, 1).data();
  }
  return {
    async run(count) {
      let values: ArrayLike<number> = [];
      for (let i = 0; i < count; i++) values = await decode();
      return [values];
    },
    destroy: () => tree.dispose([weights, source, mask]),
  };
}
