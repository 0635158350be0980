/**
 * The forward pass of a fixture: everything between ids and logits that the reference stored, and the
 * losses.
 */

import { needsTasks, type Side } from "../../models/config.ts";
import { type Adaptation, type Forward, forward } from "../../models/hyperdecoder.ts";
import type { StackOutput } from "../../models/t5.ts";
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

/** Before the names of tensors for which all rows were given one task. */
const UNIFORM = "eval_uniform.";

/** Runs the forward pass and compares every stored tensor and loss. */
export async function checkForward(
  gpu: Gpu,
  fixture: Fixture,
  parameters: Parameters,
  stored: Stored,
): Promise<Check[]> {
  const { meta, generation } = fixture;
  const { batch, tensors } = stored;
  const { results, inputs, wanted } = await run(gpu, fixture, parameters, stored, "");

  const given = new Comparison("decoder input ids", TOLERANCES.exact);
  const shifted = tensors.get("decoder_input_ids");
  if (shifted) given.tensor("decoder_input_ids", inputs.decoderInputIds, shifted);
  const checks = [...outcomes([given]), ...compare("", wanted, results, tensors)];

  // In evaluation the reference gives all rows the task of the first: stored apart, done again here.
  const known = new Set([...INPUTS, "decoder_input_ids", "labels_neg100"]);
  for (const { name } of wanted) known.add(name);
  if (meta.has("eval_uniform_tasks")) {
    const tasks = meta.texts("eval_uniform_tasks");
    const uniform = { tensors, batch: { ...batch, tasks } };
    const again = await run(gpu, fixture, parameters, uniform, UNIFORM);
    checks.push(...compare(UNIFORM, again.wanted, again.results, tensors));
    for (const { name } of again.wanted) known.add(UNIFORM + name);
  }
  const unknown = [...tensors.keys()].filter((name) => !known.has(name));
  checks.push(...unknown.map((name) => notChecked(name, "this build has no such tensor")));

  let predicted = results.sums;
  if (generation?.has(PREDICTION_STEP) && generation.has("tasks")) {
    const other = { tensors, batch: { ...batch, tasks: generation.texts("tasks") } };
    predicted = (await run(gpu, fixture, parameters, other, UNIFORM)).results.sums;
  }
  return [...checks, ...checkLosses(fixture, results, predicted[0])];
}

/** Runs the model and returns its losses and what is stored of it under names with `prefix`. */
async function run(
  gpu: Gpu,
  fixture: Fixture,
  parameters: Parameters,
  stored: Stored,
  prefix: string,
) {
  const { tensors } = stored;
  const graph = fixtureGraph(fixture, parameters, stored);
  const wanted = counterparts(graph.forward).filter(({ name }) => tensors.has(prefix + name));
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
  return { results, inputs, wanted };
}

/** Compares what was computed with what is stored under the same name behind `prefix`. */
function compare(
  prefix: string,
  wanted: readonly Counterpart[],
  results: Readonly<Record<string, HostArray>>,
  tensors: Stored["tensors"],
): Check[] {
  const comparisons = new Map<string, Comparison>();
  const title = prefix === UNIFORM ? "one task for all rows: " : "";
  for (const { name, quantity } of wanted) {
    const comparison = comparisons.get(quantity) ??
      new Comparison(title + quantity, TOLERANCES.activation);
    comparisons.set(quantity, comparison);
    comparison.tensor(prefix + name, results[name], tensors.get(prefix + name)!);
  }
  return outcomes([...comparisons.values()]);
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
    ...(needsTasks(config) && { taskIds: input("taskIds", [batchSize], "i32") }),
  });
  const rows = batchSize * targetLength;
  const logits = reshape(output.logits, [rows, config.vocabSize]);
  const labels = reshape(input("labels", [batchSize, targetLength], "i32"), [rows]);
  const smoothing = meta.fields("losses").number("label_smoothing");
  const { loss, sums } = labelSmoothedLoss(logits, labels, { smoothing, padId: config.padId });
  return { forward: output, logits, labels, loss, sums, inputs };
}

function counterparts(output: Forward): Counterpart[] {
  const { encoder, firstPass, encoderAdaptation, decoder, decoderAdaptation, logits } = output;
  const states = (side: Side, { hiddenStates, lastHiddenState }: StackOutput): Counterpart[] => [
    ...hiddenStates.map((tensor, i) => ({
      name: `${side}_hidden_states.${i}`,
      quantity: `${side} hidden states`,
      tensor,
    })),
    {
      name: `${side}_last_hidden_state`,
      quantity: `${side} last hidden state`,
      tensor: lastHiddenState,
    },
  ];
  return [
    ...firstPass
      ? [{
        name: "encoder_first_pass_last_hidden_state",
        quantity: "encoder last hidden state, first pass",
        tensor: firstPass.lastHiddenState,
      }]
      : [],
    ...generated("encoder", encoderAdaptation),
    ...states("encoder", encoder),
    ...generated("decoder", decoderAdaptation),
    ...states("decoder", decoder),
    { name: "logits", quantity: "logits", tensor: logits },
  ];
}

/** What a stack's hypernetwork reads and writes. */
function generated(side: Side, adaptation: Adaptation | undefined): Counterpart[] {
  if (!adaptation?.conditioning) return [];
  const { conditioning: { pooled, input }, adapters } = adaptation;
  const part = (name: string, quantity: string, tensor: Tensor): Counterpart => ({
    name: `generated.${side}.${name}`,
    quantity: `${side} ${quantity}`,
    tensor,
  });
  return [
    ...pooled ? [part("pooled", "pooled encoder output", pooled)] : [],
    part("hypernet_input", "hypernetwork input", input),
    ...adapters.flatMap(({ downWeight, downBias, upWeight, upBias }, i) => [
      part(`${i}.down_weight`, "generated parameters", downWeight),
      part(`${i}.down_bias`, "generated parameters", downBias),
      part(`${i}.up_weight`, "generated parameters", upWeight),
      part(`${i}.up_bias`, "generated parameters", upBias),
    ]),
  ];
}

/** `predicted` is the smoothed loss of the trainer's prediction step. */
function checkLosses(
  { meta, generation }: Fixture,
  results: Readonly<Record<string, HostArray>>,
  predicted: number,
): Check[] {
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
    comparison.value("loss of the trainer's prediction step", predicted, expected);
  }
  if (meta.has("target_tokens")) count.value("target_tokens", tokens, meta.number("target_tokens"));
  return [...outcomes([comparison, count]), ...unknown];
}
