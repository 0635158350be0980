/**
 * Training steps in jax-js: `valueAndGrad` of a loss, clipping by the global norm and AdamW, all in one
 * `jit`. jax-js has no published optimisers, so AdamW is written out over the tree of parameters.
 */

import type { ModelConfig } from "../../../../models/config.ts";
import { isAdapterParameter, parameterInventory } from "../../../../models/inventory.ts";
import { isDecayed } from "../../../optim/optimizer.ts";
import { blockInventory, blockTarget, isTrained } from "../../encoder-block.ts";
import {
  type BatchShape,
  LABEL_SMOOTHING,
  LEARNING_RATE,
  optimizer,
  randomBatch,
  randomWeights,
} from "../../inputs.ts";
import type { Contender } from "../comparison.ts";
import type { Jax, JaxArray, Weights } from "./jax.ts";
import { JaxT5, jaxWeights } from "./t5.ts";

/** What an update changes. */
type State = { parameters: Weights; first: Weights; second: Weights };

/** A step's loss as a function of all weights; it gives the weights away. */
type Loss = (weights: Weights) => JaxArray;

/** The training step of the encoder block; see encoder-block.ts. */
export function jaxBlock(jax: Jax, config: ModelConfig, shape: BatchShape): Contender {
  const { numpy: np, tree } = jax;
  const inventory = blockInventory(config);
  const model = new JaxT5(jax, config);
  const { inputIds, attentionMask } = randomBatch(config, shape);
  const { batchSize, sourceLength } = shape;
  const all = [batchSize, sourceLength, config.modelDim];
  const batch: Weights = {
    ids: np.array(inputIds, { dtype: "int32" }).reshape([batchSize, sourceLength]),
    mask: np.array(attentionMask, { dtype: "int32" }).reshape([batchSize, sourceLength]),
    target: np.array(blockTarget(all.reduce((a, b) => a * b))).reshape(all),
  };
  const weights = jaxWeights(jax, inventory, randomWeights(inventory));
  return trainer(jax, weights, isTrained, batch, ({ ids, mask, target }) => (w) => {
    const loss = model.encode(w, ids, mask).mul(target).sum();
    tree.dispose(w);
    return loss;
  });
}

/** The training step of a model's adapters: learnt ones in the encoder, generated ones in the decoder. */
export function jaxModel(jax: Jax, config: ModelConfig, shape: BatchShape): Contender {
  const { numpy: np, nn, tree } = jax;
  const inventory = usedInventory(config);
  const model = new JaxT5(jax, config);
  const { inputIds, attentionMask, labels } = randomBatch(config, shape);
  const { batchSize, sourceLength, targetLength } = shape;
  const shifted = labels.map((_, i) =>
    i % targetLength === 0 ? config.decoderStartId : labels[i - 1]
  );
  const ids = (values: Int32Array, length: number) =>
    np.array(values, { dtype: "int32" }).reshape([batchSize, length]);
  const batch: Weights = {
    source: ids(inputIds, sourceLength),
    mask: ids(attentionMask, sourceLength),
    shifted: ids(shifted, targetLength),
    labels: ids(labels, targetLength),
  };
  const weights = jaxWeights(jax, inventory, randomWeights(inventory));
  return trainer(
    jax,
    weights,
    isAdapterParameter,
    batch,
    ({ source, mask, shifted, labels }) => (w) => {
      const encoded = model.encode(w, source, mask.ref);
      const adapters = model.generateAdapters(w, encoded.ref, mask.ref);
      const decoded = model.decode(w, shifted, encoded, mask, adapters);
      const logProbabilities = nn.logSoftmax(model.project(w, decoded), -1);
      const vocabulary = config.vocabSize;
      const wanted = nn.oneHot(labels.ref, vocabulary)
        .mul(1 - LABEL_SMOOTHING)
        .add(LABEL_SMOOTHING / vocabulary);
      const counts = labels.notEqual(config.padId).astype("float32");
      const loss = logProbabilities.mul(wanted).sum(-1).mul(counts).sum().neg();
      tree.dispose(w);
      return loss;
    },
  );
}

/** A model's parameters without those that nothing computes with: learnt adapters beside generated ones. */
export function usedInventory(config: ModelConfig) {
  return parameterInventory(config).filter(({ name }) =>
    !(config.decoderAdapter === "generated" && /^decoder.*adapter_layer/.test(name))
  );
}

function trainer(
  jax: Jax,
  weights: Weights,
  trainable: (name: string) => boolean,
  batch: Weights,
  lossOf: (batch: Weights) => Loss,
): Contender {
  const { jit, tree, valueAndGrad, numpy: np } = jax;
  const entries = Object.entries(weights);
  const parameters = Object.fromEntries(entries.filter(([name]) => trainable(name)));
  const frozen = Object.fromEntries(entries.filter(([name]) => !trainable(name)));
  const zeros = () =>
    Object.fromEntries(
      Object.entries(parameters).map(([name, { shape }]) => [name, np.zeros(shape)]),
    );

  const update = jit(
    (
      state: State,
      frozen: Weights,
      batch: Weights,
      rate: JaxArray,
    ): [State, JaxArray, JaxArray] => {
      const loss = lossOf(batch);
      const [value, gradients] = valueAndGrad((parameters: Weights) =>
        loss({ ...parameters, ...tree.ref(frozen) })
      )(tree.ref(state.parameters));
      tree.dispose(frozen);
      const [next, norm] = adamW(jax, state, gradients, rate);
      return [next, value, norm];
    },
  );

  let state: State = { parameters, first: zeros(), second: zeros() };
  const { beta1, beta2 } = optimizer;
  const rate = np.array(
    Float32Array.of(LEARNING_RATE * Math.sqrt(1 - beta2) / (1 - beta1)),
  ).reshape([]);
  return {
    async run(count) {
      let loss: JaxArray | undefined, norm: JaxArray | undefined;
      for (let i = 0; i < count; i++) {
        loss?.dispose();
        norm?.dispose();
        [state, loss, norm] = update(state, tree.ref(frozen), tree.ref(batch), rate.ref);
      }
      // To read one result of a `jit` is to wait for all of them.
      return await Promise.all([loss!.data(), norm!.data()]);
    },
    destroy() {
      tree.dispose(state);
      tree.dispose(frozen);
      tree.dispose(batch);
      rate.dispose();
    },
  };
}

/**
 * AdamW in Hugging Face's form, after clipping by the global norm; gives all its operands away.
 *
 * @param rate learning rate with the correction of both moments' bias
 */
function adamW(
  { numpy: np, tree }: Jax,
  { parameters, first, second }: State,
  gradients: Weights,
  rate: JaxArray,
): [State, JaxArray] {
  const { beta1, beta2, epsilon, weightDecay, maxNorm } = optimizer;
  const norm = np.sqrt(
    Object.values(gradients)
      .map((gradient) => np.square(gradient.ref).sum())
      .reduce((sum, square) => sum.add(square)),
  );
  const clip = np.minimum(np.reciprocal(norm.ref.add(1e-6)).mul(maxNorm), 1);
  const next: State = { parameters: {}, first: {}, second: {} };
  for (const [name, parameter] of Object.entries(parameters)) {
    const gradient = gradients[name].mul(clip.ref);
    const m = first[name].mul(beta1).add(gradient.ref.mul(1 - beta1));
    const v = second[name].mul(beta2).add(np.square(gradient).mul(1 - beta2));
    const step = m.ref.div(np.sqrt(v.ref).add(epsilon)).mul(rate.ref);
    const moved = parameter.sub(step);
    const decay = 1 - LEARNING_RATE * weightDecay;
    next.parameters[name] = isDecayed(name) ? moved.mul(decay) : moved;
    next.first[name] = m;
    next.second[name] = v;
  }
  tree.dispose([clip, rate]);
  return [next, norm];
}
