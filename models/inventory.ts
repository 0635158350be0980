/**
 * The parameters of a model: names, shapes and how each is drawn when it is new.
 *
 * Names are those of the reference implementation's `state_dict`, so that checkpoints need no mapping.
 * Linear weights are [out, in].
 */

import { LAYER_EMBEDDING_DIM, type ModelConfig, type Side, stackOf } from "./config.ts";

/** How a new parameter is drawn. */
export type Initialiser =
  | { readonly kind: "constant"; readonly value: number }
  | { readonly kind: "normal"; readonly deviation: number }
  | { readonly kind: "uniform"; readonly bound: number };

/** One parameter. */
export interface ParameterSpecification {
  readonly name: string;
  readonly shape: readonly number[];
  readonly initialiser: Initialiser;
}

/** All parameters of a model, in the order of the reference's modules. */
export function parameterInventory(config: ModelConfig): ParameterSpecification[] {
  return [
    { name: "shared.weight", shape: [config.vocabSize, config.modelDim], initialiser: normal(1) },
    ...stack(config, "encoder"),
    ...stack(config, "decoder"),
    ...(config.tiedEmbeddings ? [] : [linear(
      "lm_head",
      config.vocabSize,
      config.modelDim,
      normal(config.modelDim ** -0.5),
    )]),
  ];
}

/**
 * Names under which checkpoints may also hold a parameter that is stored once here.
 * Loading accepts them; saving leaves them out.
 */
export function parameterAliases(config: ModelConfig): Record<string, string> {
  return {
    "encoder.embed_tokens.weight": "shared.weight",
    "decoder.embed_tokens.weight": "shared.weight",
    ...(config.tiedEmbeddings ? { "lm_head.weight": "shared.weight" } : {}),
  };
}

/** What the names of a block's feed-forward sub-layer begin with, its adapter's included. */
export function feedForwardName(side: Side, layer: number): string {
  return `${side}.block.${layer}.layer.${side === "decoder" ? 2 : 1}`;
}

/**
 * Whether adapter training changes a parameter: everything with `adapter`, `mlp` or `param_gen` in its
 * name, as in the reference. All else is the frozen backbone.
 */
export function isAdapterParameter(name: string): boolean {
  return /adapter|mlp|param_gen/.test(name);
}

/** Parts of a model that can be trained while the rest stays as it is. */
export const TRAINABLE_PARTS = [
  "adapters",
  "encoder-adapters",
  "decoder-adapters",
  "encoder",
  "decoder",
  "layer-norms",
  "all",
] as const;

/** One of {@linkcode TRAINABLE_PARTS}. */
export type TrainablePart = typeof TRAINABLE_PARTS[number];

/**
 * Whether training these parts changes a parameter. The adapters of a side include the hypernetwork that
 * makes them; `encoder` and `decoder` are whole stacks, without the embeddings that they share.
 *
 * The reference looks for "encoder" and "decoder" anywhere in a name, and so takes the heads of the
 * encoder's hypernetwork, `encoder.param_gen.decoder.…`, for the decoder's as well. Here a side is what a
 * name begins with, which is what was meant.
 */
export function isTrainable(parts: readonly TrainablePart[], name: string): boolean {
  const isOf = (side: Side) => name.startsWith(`${side}.`);
  return parts.some((part) => {
    switch (part) {
      case "adapters":
        return isAdapterParameter(name);
      case "encoder-adapters":
        return isAdapterParameter(name) && isOf("encoder");
      case "decoder-adapters":
        return isAdapterParameter(name) && isOf("decoder");
      case "encoder":
      case "decoder":
        return isOf(part);
      case "layer-norms":
        return name.includes("layer_norm");
      case "all":
        return true;
    }
  });
}

function stack(config: ModelConfig, side: Side): ParameterSpecification[] {
  const { modelDim } = config;
  const isDecoder = side === "decoder";
  const { layers, mode, adapterDim } = stackOf(config, side);
  const parameters: ParameterSpecification[] = [];
  for (let i = 0; i < layers; i++) {
    const block = `${side}.block.${i}.layer`;
    parameters.push(...attention(config, `${block}.0.SelfAttention`));
    if (i === 0) {
      parameters.push({
        name: `${block}.0.SelfAttention.relative_attention_bias.weight`,
        shape: [config.relativeBuckets, config.heads],
        initialiser: normal(modelDim ** -0.5),
      });
    }
    parameters.push(norm(`${block}.0.layer_norm`, modelDim));
    if (isDecoder) {
      parameters.push(...attention(config, `${block}.1.EncDecAttention`));
      parameters.push(norm(`${block}.1.layer_norm`, modelDim));
    }
    const last = feedForwardName(side, i);
    parameters.push(
      ...feedForward(config, `${last}.DenseReluDense`),
      norm(`${last}.layer_norm`, modelDim),
    );
    const name = `${last}.adapter_layer`;
    if (mode === "manual_specific") {
      parameters.push(...taskAdapters(name, config.tasks.length, modelDim, adapterDim));
    } else if (mode !== "none") {
      // The reference makes them in stacks of generated adapters as well, where the decoder's are unused.
      parameters.push(...manualAdapter(name, modelDim, adapterDim));
    }
  }
  parameters.push(norm(`${side}.final_layer_norm`, modelDim));
  if (mode === "generated" || mode === "task") {
    parameters.push(...hypernetwork(config, `${side}.param_gen`, layers, adapterDim));
  }
  if (mode === "task") {
    parameters.push({
      name: `${side}.adapter_task_embedding.weight`,
      shape: [config.tasks.length, modelDim],
      initialiser: normal(1),
    });
  }
  if (mode === "generated" && config.processEncoderOutput) {
    const part = (name: string) =>
      linearWithBias(`${side}.mlp.${name}`, modelDim, modelDim, pytorchBound(modelDim));
    parameters.push(...part("0"), ...part("2"));
  }
  return parameters;
}

/** Mesh TensorFlow's scales: attention is unscaled, so the query's weights carry the 1/√headDim. */
function attention(config: ModelConfig, name: string): ParameterSpecification[] {
  const { modelDim, heads, headDim } = config;
  const inner = heads * headDim;
  return [
    linear(`${name}.q`, inner, modelDim, normal((modelDim * headDim) ** -0.5)),
    linear(`${name}.k`, inner, modelDim, normal(modelDim ** -0.5)),
    linear(`${name}.v`, inner, modelDim, normal(modelDim ** -0.5)),
    linear(`${name}.o`, modelDim, inner, normal(inner ** -0.5)),
  ];
}

function feedForward(config: ModelConfig, name: string): ParameterSpecification[] {
  const { modelDim, feedForwardDim } = config;
  const inner = (part: string) =>
    linear(`${name}.${part}`, feedForwardDim, modelDim, normal(modelDim ** -0.5));
  return [
    ...(config.gated ? [inner("wi_0"), inner("wi_1")] : [inner("wi")]),
    linear(`${name}.wo`, modelDim, feedForwardDim, normal(feedForwardDim ** -0.5)),
  ];
}

/** Xavier uniform with gain 1e-4: a new adapter leaves the backbone nearly as it was. */
function manualAdapter(
  name: string,
  modelDim: number,
  adapterDim: number,
): ParameterSpecification[] {
  const bound = 1e-4 * Math.sqrt(6 / (modelDim + adapterDim));
  return [
    linear(`${name}.adapter_down_manual`, adapterDim, modelDim, uniform(bound)),
    zeroBias(`${name}.adapter_down_manual`, adapterDim),
    linear(`${name}.adapter_up_manual`, modelDim, adapterDim, uniform(bound)),
    zeroBias(`${name}.adapter_up_manual`, modelDim),
  ];
}

/**
 * An adapter for every task, weights as [in, out]. Drawn as one manual adapter is, with the fans that
 * PyTorch sees in three axes.
 */
function taskAdapters(
  name: string,
  tasks: number,
  modelDim: number,
  adapterDim: number,
): ParameterSpecification[] {
  const weight = (part: string, fanIn: number, fanOut: number): ParameterSpecification => ({
    name: `${name}.adapter_${part}_manual_weight`,
    shape: [tasks, fanIn, fanOut],
    initialiser: uniform(1e-4 * Math.sqrt(6 / (fanIn * fanOut + tasks * fanOut))),
  });
  const bias = (part: string, size: number): ParameterSpecification => ({
    name: `${name}.adapter_${part}_manual_bias`,
    shape: [tasks, 1, size],
    initialiser: { kind: "constant", value: 0 },
  });
  return [
    weight("down", modelDim, adapterDim),
    bias("down", adapterDim),
    weight("up", adapterDim, modelDim),
    bias("up", modelDim),
  ];
}

/** The reference's hypernetwork: heads are drawn so that what they generate is small as well. */
function hypernetwork(
  config: ModelConfig,
  name: string,
  layers: number,
  adapterDim: number,
): ParameterSpecification[] {
  const { modelDim, hypernetworkBottleneck: bottleneck } = config;
  const inputDim = modelDim + LAYER_EMBEDDING_DIM;
  const head = (part: string, out: number, fan: number): ParameterSpecification[] => [
    linear(`${name}.decoder.${part}`, out, bottleneck, uniform(1e-3 * Math.sqrt(3 / fan))),
    zeroBias(`${name}.decoder.${part}`, out),
  ];
  return [
    {
      name: `${name}.layer_embed.weight`,
      shape: [layers, LAYER_EMBEDDING_DIM],
      initialiser: normal(1),
    },
    ...linearWithBias(`${name}.decoder.linear1`, bottleneck, inputDim, pytorchBound(inputDim)),
    ...head("weight_up", modelDim * adapterDim, bottleneck * adapterDim),
    ...head("weight_down", modelDim * adapterDim, bottleneck * modelDim),
    ...head("bias_up", modelDim, bottleneck),
    ...head("bias_down", adapterDim, bottleneck),
  ];
}

/** PyTorch's default for Linear layers, weight and bias. */
function pytorchBound(fanIn: number): Initialiser {
  return uniform(1 / Math.sqrt(fanIn));
}

function linearWithBias(
  name: string,
  out: number,
  fanIn: number,
  initialiser: Initialiser,
): ParameterSpecification[] {
  return [
    linear(name, out, fanIn, initialiser),
    { name: `${name}.bias`, shape: [out], initialiser },
  ];
}

function linear(
  name: string,
  out: number,
  fanIn: number,
  initialiser: Initialiser,
): ParameterSpecification {
  return { name: `${name}.weight`, shape: [out, fanIn], initialiser };
}

function zeroBias(name: string, size: number): ParameterSpecification {
  return { name: `${name}.bias`, shape: [size], initialiser: { kind: "constant", value: 0 } };
}

function norm(name: string, size: number): ParameterSpecification {
  return { name: `${name}.weight`, shape: [size], initialiser: { kind: "constant", value: 1 } };
}

function normal(deviation: number): Initialiser {
  return { kind: "normal", deviation };
}

function uniform(bound: number): Initialiser {
  return { kind: "uniform", bound };
}
