import { suite } from "uvu";
import * as assert from "uvu/assert";
import { parseConfig } from "../../models/config.ts";
import { forward } from "../../models/hyperdecoder.ts";
import { type Batch, collate, encodeExample, evaluationBatches } from "../../src/data/batch.ts";
import { UserError } from "../../src/errors.ts";
import { compile } from "../../src/graph/compile.ts";
import { input } from "../../src/graph/leaves.ts";
import type { Parameters } from "../../src/graph/parameters.ts";
import { openSafetensors, readFloat32, writeSafetensors } from "../../src/io/safetensors.ts";
import { bytesSource } from "../../src/io/source.ts";
import { createTokenizer } from "../../src/text/tokenizer.ts";
import { adapterHubFiles, checkAdapterHub } from "../../src/train/adapterhub.ts";
import { answer, createAnswering } from "../../src/train/evaluate.ts";
import { staticModel } from "../../src/train/export.ts";
import { AdapterMean, materialise, type StaticAdapters } from "../../src/train/materialise.ts";
import { readModel } from "../../src/train/model-files.ts";
import { batchInputs } from "../../src/train/training-step.ts";
import { checkTrained, type TrainedModel } from "../../src/train/trained-model.ts";
import { placeWeights } from "../../src/train/weights.ts";
import { testDevice } from "../graph/device.ts";
import { adaptedConfig, adaptedTensors } from "./adapted-model.ts";

const test = suite("materialised adapters");

const tokenizerFile = await Deno.readFile(
  new URL("../../models/miniature/tokenizer.json", import.meta.url),
);
const tokenizer = createTokenizer(JSON.parse(new TextDecoder().decode(tokenizerFile)), {});

const LIMITS = { batchSize: 3, maxSourceLength: 32, maxTargetLength: 8 };
const examples = [
  { task: "rte", source: "A short one.", target: "wrong" },
  { task: "sst2", source: "The lawyer who met the two doctors shouts.", target: "right or not" },
  { task: "rte", source: "The singers admire the judge, and so on and on.", target: "no" },
  { task: "sst2", source: "Yes.", target: "yes" },
];

/** A model with those adapters. */
async function modelOf(fields: Record<string, unknown>): Promise<TrainedModel> {
  const files: Record<string, Uint8Array> = {
    "config.json": new TextEncoder().encode(JSON.stringify(fields)),
    "model.safetensors": writeSafetensors(adaptedTensors(fields)),
    "tokenizer.json": tokenizerFile,
  };
  const source = {
    location: "model",
    read: (file: string) => Promise.resolve(files[file]),
    open: (file: string) => Promise.resolve(bytesSource(file, files[file])),
    exists: (file: string) => Promise.resolve(file in files),
  };
  return checkTrained(await readModel(source, () => source));
}

async function placed({ config, weights }: TrainedModel): Promise<Parameters> {
  return await placeWeights(await testDevice(), config, weights);
}

/** Each example's adapters. */
async function adaptersOf({ config }: TrainedModel, parameters: Parameters) {
  const found: StaticAdapters[] = [];
  const batches = evaluationBatches(examples, tokenizer, LIMITS);
  for await (const { index, adapters } of materialise(config, parameters, batches)) {
    found[index] = adapters;
  }
  return found;
}

/** The logits of a batch under teacher forcing. */
async function logits({ config }: TrainedModel, parameters: Parameters, batch: Batch) {
  const { batchSize, sourceLength, targetLength } = batch;
  const output = forward({ config, weight: (name) => parameters.tensor(name) }, {
    inputIds: input("inputIds", [batchSize, sourceLength], "i32"),
    attentionMask: input("attentionMask", [batchSize, sourceLength], "i32"),
    decoderInputIds: input("decoderInputIds", [batchSize, targetLength], "i32"),
    taskIds: input("taskIds", [batchSize], "i32"),
  });
  const program = await compile(parameters.gpu, { outputs: { logits: output.logits } });
  const inputs = Object.entries(batchInputs(batch, config))
    .filter(([name]) => program.inputNames.has(name));
  const values = await program.run(Object.fromEntries(inputs), ["logits"]);
  program.destroy();
  return values.logits;
}

const CASES = [
  { encoder: "manual", decoder: "generated" },
  { encoder: "generated", decoder: "generated" },
  { encoder: "none", decoder: "generated", fields: { adapter_norm_input: true } },
  { encoder: "task", decoder: "manual_specific" },
  { encoder: "manual_specific", decoder: "none" },
];
for (const { encoder, decoder, fields } of CASES) {
  const title = `${encoder}/${decoder}${fields ? " on the normed input" : ""}`;
  test(`a static model answers its instance as the model does: ${title}`, async () => {
    const model = await modelOf(adaptedConfig(encoder, decoder, fields));
    const parameters = await placed(model);
    const adapters = await adaptersOf(model, parameters);
    const { texts } = (await answer(
      createAnswering(model.config, parameters, tokenizer, LIMITS),
      examples,
    ))!;
    for (const [i, example] of examples.entries()) {
      const fixed = staticModel(model, adapters[i]);
      assert.is(fixed.config.encoderAdapter, encoder === "none" ? "none" : "manual");
      const fixedParameters = await placed(fixed);
      const batch = collate([encodeExample(example, tokenizer, LIMITS)]);
      const expected = await logits(model, parameters, batch);
      const actual = await logits(fixed, fixedParameters, batch);
      const worst = Math.max(...expected.map((value, j) => Math.abs(value - actual[j])));
      assert.ok(worst <= 2e-5, `logits of example ${i} are off by ${worst}`);
      const answering = createAnswering(fixed.config, fixedParameters, tokenizer, LIMITS);
      assert.equal((await answer(answering, [example]))!.texts, [texts[i]]);
      // Instances differ: another one's adapters are not as good.
      if (i > 0) {
        const other = await placed(staticModel(model, adapters[0]));
        const wrong = await logits(fixed, other, batch);
        const sameTask = example.task === examples[0].task;
        const isConstant = !(encoder === "generated" || decoder === "generated") && sameTask;
        assert.is(
          Math.max(...expected.map((value, j) => Math.abs(value - wrong[j]))) < 1e-3,
          isConstant,
        );
        other.destroy();
      }
      fixedParameters.destroy();
    }
    parameters.destroy();
  });
}

test("manual adapters are the model's own, bit for bit", async () => {
  const model = await modelOf(adaptedConfig("manual", "manual"));
  const parameters = await placed(model);
  const [{ encoder, decoder }] = await adaptersOf(model, parameters);
  parameters.destroy();
  for (const [side, layers] of [["encoder", encoder!], ["decoder", decoder!]] as const) {
    const name = `${side}.block.0.layer.${side === "decoder" ? 2 : 1}.adapter_layer.adapter_`;
    const read = (part: string) => readFloat32(model.weights.get(name + part)!, part);
    assert.equal(layers[0].downWeight, await read("down_manual.weight"));
    assert.equal(layers[0].upBias, await read("up_manual.bias"));
  }
});

test("the mean is weight by weight", () => {
  const adapters = (value: number): StaticAdapters => {
    const values = Float32Array.of(value, 1);
    const layer = { downWeight: values, downBias: values, upWeight: values, upBias: values };
    return { decoder: [layer, layer] };
  };
  const mean = new AdapterMean();
  for (const value of [1, 2, 6]) mean.add(adapters(value));
  assert.equal(mean.mean(), adapters(3));
});

test("AdapterHub's form: names, orientation, layers through both stacks", async () => {
  const fields = adaptedConfig("manual", "generated");
  const model = await modelOf(fields);
  const parameters = await placed(model);
  const [adapters] = await adaptersOf(model, parameters);
  parameters.destroy();
  const files = adapterHubFiles("instance-1", model.config, adapters, { instance: "a text" });
  const text = new TextDecoder().decode(files["adapter_config.json"]);
  assert.match(text, '"scaling": 1.0,'); // an integer is refused
  const { config, ...about } = JSON.parse(text);
  assert.is(about.name, "instance-1");
  assert.is(about.instance, "a text");
  assert.equal(
    [config.output_adapter, config.mh_adapter, config.is_parallel, config.non_linearity],
    [true, false, true, "relu"],
  );
  assert.equal(config.leave_out, []);
  // In Python, 16 // (16 / 6) is 6, but 16 // 3.2 is 4.
  assert.equal(config.reduction_factor, { default: 16 / 6, 2: 16 / 5.5 });
  const tensors = await openSafetensors(bytesSource("adapter", files["adapter.safetensors"]));
  const shapes = Object.fromEntries(Array.from(tensors, ([name, { shape }]) => [name, shape]));
  const prefix = (block: string) => `${block}.adapters.instance-1.adapter_`;
  assert.equal(shapes, {
    ...shapesOf(prefix("encoder.block.0.layer.1"), 6),
    ...shapesOf(prefix("encoder.block.1.layer.1"), 6),
    ...shapesOf(prefix("decoder.block.0.layer.2"), 5),
  });
  const down = tensors.get(`${prefix("decoder.block.0.layer.2")}down.0.weight`)!;
  assert.equal(await readFloat32(down, "down"), adapters.decoder![0].downWeight);
});

function shapesOf(prefix: string, adapterDim: number): Record<string, number[]> {
  return {
    [`${prefix}down.0.weight`]: [adapterDim, 16],
    [`${prefix}down.0.bias`]: [adapterDim],
    [`${prefix}up.weight`]: [16, adapterDim],
    [`${prefix}up.bias`]: [16],
  };
}

test("a stack without adapters is left out, and every size survives the library's division", () => {
  for (let adapterDim = 1; adapterDim <= 300; adapterDim++) {
    const fields = adaptedConfig("none", "generated", {
      d_model: 768,
      decoder_adapter_dim: adapterDim,
    });
    const files = adapterHubFiles("a", parseConfig(fields, "config.json"), {});
    const { config } = JSON.parse(new TextDecoder().decode(files["adapter_config.json"]));
    assert.equal(config.leave_out, [0, 1]);
    const factor = config.reduction_factor;
    assert.is(Math.round((768 - 768 % factor) / factor), adapterDim); // Python's 768 // factor
  }
});

test("what has no AdapterHub form is refused", () => {
  const check = (decoder: string, fields = {}) => () =>
    checkAdapterHub(parseConfig(adaptedConfig("none", decoder, fields), "config.json"));
  const says = (pattern: RegExp) => (error: Error) =>
    error instanceof UserError && pattern.test(error.message);
  assert.throws(check("none"), says(/no adapters to export/));
  assert.throws(check("generated", { adapter_norm_input: true }), says(/normed input .* --static/));
  assert.not.throws(check("generated"));
});

test.run();
