import { suite } from "uvu";
import * as assert from "uvu/assert";
import { ADAPTER_MODES } from "../../models/config.ts";
import { UserError } from "../../src/errors.ts";
import { fromFloat32, readSafetensors, type SafeTensor } from "../../src/io/safetensors.ts";
import { bytesSource } from "../../src/io/source.ts";
import { writeSafetensors } from "../../src/io/safetensors.ts";
import { type ExportDtype, exportFiles } from "../../src/train/export.ts";
import { readModel } from "../../src/train/model-files.ts";
import type { ModelSource } from "../../src/train/weight-files.ts";
import { checkTrained, type TrainedModel } from "../../src/train/trained-model.ts";
import { adaptedConfig, adaptedTensors } from "./adapted-model.ts";

const test = suite("export of a model");

const tokenizer = await Deno.readFile(
  new URL("../../models/miniature/tokenizer.json", import.meta.url),
);
const golden = new URL("../fixtures/golden/", import.meta.url);

/** A directory in memory. */
function directory(files: Readonly<Record<string, Uint8Array>>): ModelSource {
  return {
    location: "model",
    read: (file) => Promise.resolve(files[file]),
    open: (file) => Promise.resolve(bytesSource(`model/${file}`, files[file])),
    exists: (file) => Promise.resolve(file in files),
  };
}

/** A model of these files. */
async function load(files: Readonly<Record<string, Uint8Array>>): Promise<TrainedModel> {
  return checkTrained(await readModel(directory(files), directory.bind(null, {})));
}

function modelOf(fields: Record<string, unknown>, tensors: ReadonlyMap<string, SafeTensor>) {
  return load({
    "config.json": new TextEncoder().encode(JSON.stringify(fields)),
    "model.safetensors": writeSafetensors(tensors),
    "tokenizer.json": tokenizer,
  });
}

/** An export, read to its end. */
async function collected(model: TrainedModel, dtype?: ExportDtype) {
  const files: Record<string, Uint8Array> = {};
  for (const [name, content] of Object.entries(exportFiles(model, dtype))) {
    const parts = content instanceof Uint8Array ? [content] : await Array.fromAsync(content);
    files[name] = new Uint8Array(await new Blob(parts as BlobPart[]).arrayBuffer());
  }
  return files;
}

function sameTensors(actual: Uint8Array, expected: ReadonlyMap<string, SafeTensor>) {
  const tensors = readSafetensors(actual, "the export");
  assert.equal([...tensors.keys()].sort(), [...expected.keys()].sort());
  for (const [name, { dtype, shape, data }] of expected) {
    const tensor = tensors.get(name)!;
    assert.equal([tensor.dtype, tensor.shape], [dtype, shape], name);
    assert.equal(tensor.data.slice(), data.slice(), name);
  }
}

for (const mode of ADAPTER_MODES) {
  for (const tied of [false, true]) {
    const kind = `${mode} adapters, ${tied ? "tied" : "untied"} embeddings, unequal stacks`;
    test(`load, export and load give the same bits: ${kind}`, async () => {
      const other = mode === "none" ? "none" : "manual";
      const fields = adaptedConfig(mode, other, { tie_word_embeddings: tied });
      for (const dtype of ["F32", "F16", "BF16"] as const) {
        const tensors = adaptedTensors(fields, dtype);
        const first = await collected(await modelOf(fields, tensors));
        sameTensors(first["model.safetensors"], tensors);
        assert.equal(await collected(await load(first)), first);
      }
    });
  }
}

test("a backbone and the adapters on it become one file", async () => {
  const fields = adaptedConfig("manual", "generated");
  const tensors = adaptedTensors(fields);
  const config = new TextEncoder().encode(JSON.stringify(fields));
  const isAdapter = (name: string) => /adapter|mlp|param_gen/.test(name);
  const part = (adapters: boolean) =>
    writeSafetensors(new Map([...tensors].filter(([name]) => isAdapter(name) === adapters)));
  const backbone = directory({
    "config.json": config,
    "model.safetensors": part(false),
    "tokenizer.json": tokenizer,
  });
  const reference = await (await readModel(backbone, directory.bind(null, {}))).reference();
  const checkpoint = directory({
    "config.json": config,
    "model.safetensors": part(true),
    "backbone.json": new TextEncoder().encode(JSON.stringify(reference)),
  });
  const files = await collected(checkTrained(await readModel(checkpoint, () => backbone)));
  sameTensors(files["model.safetensors"], tensors);
  assert.equal(files["tokenizer.json"], tokenizer);
  assert.not("backbone.json" in files);
});

test("names are those of the reference's state dict, each shared tensor once", async () => {
  const cases = [
    "02_manual_manual",
    "03_manual_generated",
    "06_generated_generated",
    "07_task_task",
    "08_manual_specific_manual_specific",
    "11_manual_none",
  ];
  for (const name of cases) {
    const read = async (file: string) =>
      JSON.parse(await Deno.readTextFile(new URL(`${name}/${file}`, golden)));
    const { state_dict_names, aliases } = await read("meta.json");
    const fields = { ...await read("config.json"), vocab_size: 2048 };
    const files = await collected(await modelOf(fields, adaptedTensors(fields)));
    assert.equal(
      [...readSafetensors(files["model.safetensors"], name).keys()].sort(),
      state_dict_names.filter((name: string) => !(name in aliases)).sort(),
      name,
    );
  }
});

test("config.json keeps what else it said, and says what was written", async () => {
  const fields = adaptedConfig("none", "none", { use_cache: true, torch_dtype: "float32" });
  const model = await modelOf(fields, adaptedTensors(fields));
  const { "config.json": config, "generation_config.json": generation } = await collected(
    model,
    "bf16",
  );
  const parsed = JSON.parse(new TextDecoder().decode(config));
  assert.is(parsed.use_cache, true);
  assert.is(parsed.torch_dtype, "bfloat16");
  assert.equal(parsed.architectures, ["T5ForConditionalGeneration"]);
  assert.equal(JSON.parse(new TextDecoder().decode(generation)), {
    decoder_start_token_id: 0,
    eos_token_id: 1,
    pad_token_id: 0,
  });
});

test("a type narrows by rounding, and refuses what it cannot hold", async () => {
  const fields = adaptedConfig("none", "none");
  const tensors = adaptedTensors(fields);
  const values = new Float32Array(16).fill(1);
  values[3] = 65519;
  const name = "encoder.final_layer_norm.weight";
  const fits = await modelOf(fields, new Map(tensors).set(name, fromFloat32(values, [16])));
  const expected = fromFloat32(values, [16], "F16").data;
  const file = (await collected(fits, "f16"))["model.safetensors"];
  assert.equal(readSafetensors(file, "f16").get(name)!.data.slice(), expected);

  values[3] = -70000;
  const large = await modelOf(fields, new Map(tensors).set(name, fromFloat32(values, [16])));
  const error = await collected(large, "f16").then(() => undefined, (error) => error);
  assert.instance(error, UserError);
  assert.match(error.message, /final_layer_norm\.weight has the value -70000, too large for f16/);
  await collected(large, "bf16");
});

test.run();
