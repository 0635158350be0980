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

const encode = (text: string) => new TextEncoder().encode(text);
const decode = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

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
    "config.json": encode(JSON.stringify(fields)),
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
  const config = encode(JSON.stringify(fields));
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
    "backbone.json": encode(JSON.stringify(reference)),
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

/** A field of a file as it is spelt there. */
function spelling(file: Uint8Array, field: string): string | undefined {
  return new RegExp(`"${field}": (.*?),?\\n`).exec(decode(file))?.[1];
}

test("config.json keeps what else it said, numbers in their form, and says what was written", async () => {
  const fields = adaptedConfig("none", "none");
  const text = JSON.stringify(fields).replace(/^{/, '{"model_type": "t5", ') // as Python spells numbers
    .replace(
      /"dropout_rate":[^,}]*/,
      '"dropout_rate": 1, "initializer_factor": 1.0, "layer_norm_epsilon": 1e-06',
    )
    .replace(
      /}$/,
      ', "use_cache": true, "dtype": "float32", "length_penalty": 2.0, "of": {"a": 1e-06}}',
    );
  const files = {
    "config.json": encode(text),
    "model.safetensors": writeSafetensors(adaptedTensors(fields)),
    "tokenizer.json": tokenizer,
  };
  const { "config.json": config } = await collected(await load(files), "bf16");
  const expected = {
    model_type: '"t5"',
    dropout_rate: "1.0",
    initializer_factor: "1.0",
    layer_norm_epsilon: "1e-06",
    length_penalty: "2.0",
    a: "1e-06",
    d_model: "16",
    use_cache: "true",
    torch_dtype: '"bfloat16"',
    dtype: undefined, // which would contradict it
    encoder_adapter: undefined,
    auto_map: undefined,
  };
  for (const [field, value] of Object.entries(expected)) {
    assert.is(spelling(config, field), value, field);
  }
  assert.equal(JSON.parse(decode(config)).architectures, ["T5ForConditionalGeneration"]);
});

test("what lies beside a model is exported as it is, to the byte", async () => {
  const fields = adaptedConfig("manual", "generated");
  const beside = {
    "generation_config.json": encode(
      '{"num_beams": 4, "temperature": 1.0,\n "eos_token_id": [1, 2]}',
    ),
    "tokenizer_config.json": encode('{"tokenizer_class": "T5TokenizerFast", "x": 1.0}'),
    "special_tokens_map.json": encode('{"eos_token": "</s>"}'),
    "added_tokens.json": encode("{}"),
    "spiece.model": encode("pieces"),
  };
  const model = await load({
    "config.json": encode(JSON.stringify(fields)),
    "model.safetensors": writeSafetensors(adaptedTensors(fields)),
    "tokenizer.json": tokenizer,
    ...beside,
  });
  const files = await collected(model);
  for (const [name, bytes] of Object.entries(beside)) assert.equal(files[name], bytes, name);
  const bare = await collected(await modelOf(fields, adaptedTensors(fields)));
  assert.not("generation_config.json" in bare, "transformers then reads config.json for it");
});

test("adapters come with the code that computes them, under a type that nothing else claims", async () => {
  for (const [encoder, decoder] of [["manual", "none"], ["none", "task"], ["none", "none"]]) {
    const fields = adaptedConfig(encoder, decoder);
    const files = await collected(await modelOf(fields, adaptedTensors(fields)));
    const { model_type, auto_map = {}, tasks } = JSON.parse(decode(files["config.json"]));
    const isPlain = encoder === "none" && decoder === "none";
    assert.is(model_type, isPlain ? "t5" : "hyperdecoder");
    assert.is("tokenizer_config.json" in files, !isPlain);
    assert.equal(tasks, isPlain ? undefined : ["sst2", "rte"]);
    for (const entry of Object.values<string>(auto_map)) {
      const [module, name] = entry.split(".");
      assert.match(decode(files[`${module}.py`]), new RegExp(`^class ${name}\\(`, "m"));
    }
    assert.equal(Object.keys(auto_map), isPlain ? [] : ["AutoConfig", "AutoModelForSeq2SeqLM"]);
    // Read again, and exported by this build once more, it is the same.
    assert.equal(await collected(await load(files)), files);
  }
});

test("heads and scaling are written so that transformers 4 and 5 understand the same", async () => {
  const cases = [
    { tied: true, scaled: true, type: "t5", says: [true, true], head: false },
    { tied: false, scaled: false, type: "t5", says: [false, false], head: true },
    // Only 5 knows it: the head is written out.
    { tied: true, scaled: false, type: "t5", says: [false, false], head: true },
    // Nor has 4 this one: it takes our own code.
    { tied: false, scaled: true, type: "hyperdecoder", says: [false, true], head: true },
  ];
  for (const { tied, scaled, type, says, head } of cases) {
    const fields = adaptedConfig("none", "none", {
      tie_word_embeddings: tied,
      scale_decoder_outputs: scaled,
    });
    const tensors = adaptedTensors(fields);
    const files = await collected(await modelOf(fields, tensors));
    const config = JSON.parse(decode(files["config.json"]));
    const kind = `tied ${tied}, scaled ${scaled}`;
    assert.is(config.model_type, type, kind);
    assert.equal([config.tie_word_embeddings, config.scale_decoder_outputs], says, kind);
    const written = readSafetensors(files["model.safetensors"], kind);
    const expected = head && (tensors.get("lm_head.weight") ?? tensors.get("shared.weight"))!;
    assert.equal(
      written.get("lm_head.weight")?.data.slice(),
      expected ? expected.data.slice() : undefined,
      kind,
    );
    assert.equal(await collected(await load(files)), files, kind);
  }
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
