import { suite } from "uvu";
import * as assert from "uvu/assert";
import { UserError } from "../../src/errors.ts";
import { defaults, type Options, resolveSettings } from "../../src/train/settings.ts";
import { learningRates } from "../../src/train/optimizer-settings.ts";
import { tinyConfig } from "./tiny-model.ts";

const test = suite("settings");

const resolve = (options: Options, fields: object = {}) =>
  resolveSettings(options, { ...tinyConfig, ...fields }, "config.json", ["rte"]);

const adapters = (options: Options, fields: object = {}) => {
  const { config, settings } = resolve(options, fields);
  // What is kept of a run must say the same as the model that is trained.
  assert.is(settings.encoderAdapter, config.encoderAdapter);
  assert.is(settings.decoderAdapterDim, config.decoderAdapterDim);
  return [config.encoderAdapter, config.decoderAdapter, config.decoderAdapterDim];
};

test("a backbone gets the paper's adapters, and a flag wins over the default", () => {
  const { decoderAdapterDim } = defaults.t5;
  assert.equal(adapters({ model: "/t5" }), ["manual", "generated", decoderAdapterDim]);
  assert.equal(adapters({ model: "/t5", decoderAdapter: "manual", decoderAdapterDim: 3 }), [
    "manual",
    "manual",
    3,
  ]);
  // As formatConfig writes it: "none" and sizes that mean nothing.
  const none = { encoder_adapter: "none", decoder_adapter: "none", decoder_adapter_dim: 7 };
  assert.equal(adapters({ model: "/t5" }, none), ["manual", "generated", decoderAdapterDim]);
});

test("a model that has adapters keeps them, unless a flag says otherwise", () => {
  const fields = { encoder_adapter: "none", decoder_adapter: "manual", decoder_adapter_dim: 7 };
  assert.equal(adapters({}, fields), ["none", "manual", 7]);
  assert.equal(adapters({ decoderAdapter: "generated" }, fields), ["none", "generated", 7]);
});

test("a run keeps whose rules its beams go by: its model's, unless told", () => {
  const theirs = { architectures: ["T5ForConditionalGenerationWithAdapter"] };
  const rule = (...args: Parameters<typeof resolve>) => resolve(...args).settings.beamRule;
  assert.is(rule({ decoderAdapter: "generated" }), "transformers");
  assert.is(rule({}, theirs), "reference");
  assert.is(rule({ beamRule: "transformers" }, theirs), "transformers");
  assert.is(rule({ beamRule: "reference" }), "reference");
});

test("full training of a plain model adds no adapters", () => {
  assert.equal(adapters({ train: ["all"] }).slice(0, 2), ["none", "none"]);
});

test("a model without adapters leaves adapter training nothing to do", () => {
  assert.throws(
    () => resolve({ encoderAdapter: "none", decoderAdapter: "none" }),
    (error: Error) => error instanceof UserError && /no adapters to train/.test(error.message),
  );
});

test("adapters that depend on the task are made for the tasks that are trained", () => {
  const { config } = resolve({ encoderAdapter: "task", decoderAdapter: "manual_specific" });
  assert.equal(config.tasks, ["rte"]);
  const made = { encoder_adapter: "task", decoder_adapter: "task", tasks: ["sst2", "rte"] };
  assert.equal(resolve({}, made).config.tasks, ["sst2", "rte"]);
});

test("warm-up below 1 is a share of the steps, and dropout is the model's unless told", () => {
  const { settings } = resolve({ model: "/t5", steps: 40, warmupSteps: 0.25, learningRate: 1 });
  assert.is(settings.warmupSteps, 10);
  assert.is(settings.dropout, tinyConfig.dropout_rate);
  assert.is(resolve({ model: "/t5", dropout: 0 }).settings.dropout, 0);
  const rate = learningRates(settings, settings.steps);
  assert.equal([0, 5, 10, 25, 40].map(rate), [0, 0.5, 1, 0.5, 0]);
});

test("epochs are counted in updates as transformers counts them", () => {
  const json = { ...tinyConfig };
  const updates = (options: Options, examples: number) => {
    const resolved = resolveSettings(options, json, "config.json", ["rte"], examples).settings;
    return [resolved.steps, resolved.evalEvery, resolved.saveEvery];
  };
  const epoch: Options = { batchSize: 8, evalEvery: "epoch", saveEvery: "epoch" };
  assert.equal(updates({ ...epoch, epochs: 3 }, 65), [27, 9, 9]); // the ninth batch is not full
  assert.equal(updates({ ...epoch, epochs: 2.5, accumulate: 2 }, 65), [10, 4, 4]);
  assert.equal(updates({ ...epoch, epochs: 3, accumulate: 100 }, 65), [3, 1, 1]);
  assert.equal(updates({ ...epoch, epochs: 3, steps: 5 }, 65), [5, 9, 9]);
});

test("what is scored is as what is trained, unless told", () => {
  const { settings } = resolve({ model: "/t5", seed: 4, batchSize: 3, maxTargetLength: 7 });
  assert.equal(settings.evalTasks, ["rte"]);
  assert.equal([settings.evalBatchSize, settings.maxAnswerLength, settings.dataSeed], [3, 0, 4]);
  const other = resolve({ evalTasks: ["sst2"], encoderAdapter: "task" });
  assert.equal(other.settings.evalTasks, ["sst2"]);
  // An adapter of its own for each task that the model will meet.
  assert.equal(other.config.tasks, ["rte", "sst2"]);
});

test("whether bad rows are skipped is kept where it was said, and else is each task's", () => {
  for (const skipBad of [true, false]) assert.is(resolve({ skipBad }).settings.skipBad, skipBad);
  assert.not.ok("skipBad" in resolve({}).settings);
});

test("settings resolved once stay as they are", () => {
  const { settings } = resolve({ model: "/t5", steps: 40, warmupSteps: 0.3, data: "/glue" });
  assert.equal(resolve(settings).settings, settings);
});

test.run();
