/**
 * The forward pass of a fixture: everything between ids and logits that the reference stored, and the
 * losses.
 */

import { type Forward, forward } from "../../models/hyperdecoder.ts";
import type { Gpu } from "../gpu/device.ts";
import { compile } from "../graph/compile.ts";
import { input } from "../graph/leaves.ts";
import { labelSmoothedLoss } from "../graph/ops/label-smoothed-loss.ts";
import { reshape } from "../graph/ops/reshape.ts";
import type { Parameters } from "../graph/parameters.ts";
import type { HostArray } from "../graph/program.ts";
import type { Tensor } from "../graph/tensor.ts";
import { batchInputs } from "../train/training-step.ts";
import { type Check, Comparison, notChecked, outcomes, TOLERANCES } from "./comparison.ts";
import type { Fixture, Stored } from "./fixture.ts";
import { PREDICTION_STEP } from "./generation.ts";

/** A stored tensor's name, the quantity that it belongs to, and this build's counterpart. */
interface Counterpart {
  readonly name: string;
  readonly quantity: string;
  readonly tensor: Tensor;
}

/** What `io.safetensors` gives to the model rather than expects of it. */
const INPUTS = ["input_ids", "attention_mask", "labels"];

/** Runs the forward pass and compares every stored tensor and loss. */
export async function checkForward(
  gpu: Gpu,
  fixture: Fixture,
  parameters: Parameters,
  stored: Stored,
): Promise<Check[]> {
  const { tensors } = stored;
  const graph = fixtureGraph(fixture, parameters, stored);
  const wanted = counterparts(graph.forward).filter(({ name }) => tensors.has(name));
  const outputs: Record<string, Tensor> = { sums: graph.sums };
  for (const { name, tensor } of wanted) outputs[name] = tensor;
  const inputs = { ...graph.inputs };
  const ignoring = tensors.get("labels_neg100");
  if (ignoring) {
    const labels = input("labelsNeg100", graph.labels.shape, "i32");
    outputs.unsmoothed =
      labelSmoothedLoss(graph.logits, labels, { smoothing: 0, padId: -100 }).sums;
    inputs.labelsNeg100 = ignoring.values;
  }
  const program = await compile(gpu, { outputs });
  const results = await program.run(inputs, Object.keys(outputs));
  program.destroy();

  const given = new Comparison("decoder input ids", TOLERANCES.exact);
  const shifted = tensors.get("decoder_input_ids");
  if (shifted) given.tensor("decoder_input_ids", graph.inputs.decoderInputIds, shifted);
  const comparisons = new Map<string, Comparison>();
  for (const { name, quantity } of wanted) {
    const comparison = comparisons.get(quantity) ??
      new Comparison(quantity, TOLERANCES.activation);
    comparisons.set(quantity, comparison);
    comparison.tensor(name, results[name], tensors.get(name)!);
  }
  const known = new Set([...INPUTS, "decoder_input_ids", "labels_neg100"]);
  for (const { name } of wanted) known.add(name);
  const unknown = [...tensors.keys()].filter((name) => !known.has(name));
  return [
    ...outcomes([given, ...comparisons.values()]),
    ...unknown.map((name) => notChecked(name, "this build has no such tensor")),
    ...checkLosses(fixture, results),
  ];
}

/** The model on a fixture's batch, with its losses, as a graph and the inputs to run it on. */
export function fixtureGraph(
  { config, meta }: Fixture,
  parameters: Parameters,
  { batch }: Stored,
) {
  const { batchSize, sourceLength, targetLength } = batch;
  const inputs = batchInputs(batch, config);
  const source = (name: string) => input(name, [batchSize, sourceLength], "i32");
  const output = forward({ config, weight: (name) => parameters.tensor(name) }, {
    inputIds: source("inputIds"),
    attentionMask: source("attentionMask"),
    decoderInputIds: input("decoderInputIds", [batchSize, targetLength], "i32"),
  });
  const rows = batchSize * targetLength;
  const logits = reshape(output.logits, [rows, config.vocabSize]);
  const labels = reshape(input("labels", [batchSize, targetLength], "i32"), [rows]);
  const smoothing = meta.fields("losses").number("label_smoothing");
  const { loss, sums } = labelSmoothedLoss(logits, labels, { smoothing, padId: config.padId });
  return { forward: output, logits, labels, loss, sums, inputs };
}

function counterparts(output: Forward): Counterpart[] {
  const { encoder, decoder, conditioning, decoderAdapters, logits } = output;
  const states = (side: string, tensors: readonly Tensor[]) =>
    tensors.map((tensor, i) => ({
      name: `${side}_hidden_states.${i}`,
      quantity: `${side} hidden states`,
      tensor,
    }));
  const found: Counterpart[] = [
    ...states("encoder", encoder.hiddenStates),
    {
      name: "encoder_last_hidden_state",
      quantity: "encoder last hidden state",
      tensor: encoder.lastHiddenState,
    },
  ];
  if (conditioning) {
    const { pooled, input } = conditioning;
    found.push(
      { name: "generated.decoder.pooled", quantity: "pooled encoder output", tensor: pooled },
      { name: "generated.decoder.hypernet_input", quantity: "hypernetwork input", tensor: input },
    );
    for (const [i, weights] of decoderAdapters!.entries()) {
      const part = (name: string, tensor: Tensor) => ({
        name: `generated.decoder.${i}.${name}`,
        quantity: "generated parameters",
        tensor,
      });
      found.push(
        part("down_weight", weights.downWeight),
        part("down_bias", weights.downBias),
        part("up_weight", weights.upWeight),
        part("up_bias", weights.upBias),
      );
    }
  }
  return [
    ...found,
    ...states("decoder", decoder.hiddenStates),
    {
      name: "decoder_last_hidden_state",
      quantity: "decoder last hidden state",
      tensor: decoder.lastHiddenState,
    },
    { name: "logits", quantity: "logits", tensor: logits },
  ];
}

function checkLosses({ meta, generation }: Fixture, results: Record<string, HostArray>): Check[] {
  const losses = meta.fields("losses");
  const [smoothed, nll, tokens] = results.sums;
  const computed: Record<string, number> = {
    label_smoothed_sum: smoothed,
    label_smoothed_mean_per_token: smoothed / tokens,
    nll_sum: nll,
    ce_mean_ignoring_pad: nll / tokens,
  };
  if (results.unsmoothed) {
    computed.ce_mean_neg100_via_model_labels = results.unsmoothed[0] / results.unsmoothed[2];
  }
  const comparison = new Comparison("losses", TOLERANCES.loss);
  const count = new Comparison("target tokens", TOLERANCES.exact);
  const unknown: Check[] = [];
  for (const name of losses.names) {
    if (name === "label_smoothing") continue;
    if (name in computed) comparison.value(name, computed[name], losses.number(name));
    else unknown.push(notChecked(`losses.${name}`, "this build has no such loss"));
  }
  if (generation?.has(PREDICTION_STEP)) {
    const expected = generation.fields(PREDICTION_STEP).number("loss");
    comparison.value("loss of the trainer's prediction step", smoothed, expected);
  }
  if (meta.has("target_tokens")) count.value("target_tokens", tokens, meta.number("target_tokens"));
  return [...outcomes([comparison, count]), ...unknown];
}
