import { suite } from "uvu";
import * as assert from "uvu/assert";
import { parseConfig } from "../../models/config.ts";
import { UserError } from "../../src/errors.ts";
import { fromFloat32, readFloat32, writeSafetensors } from "../../src/io/safetensors.ts";
import { matchModel, readModel } from "../../src/train/model-files.ts";
import { memorySource, tinySource } from "./memory.ts";
import { tinyConfig, tinyTensors } from "./tiny-model.ts";

const test = suite("model files");

type Files = Record<string, Uint8Array>;

const encode = (value: unknown) => new TextEncoder().encode(JSON.stringify(value));

/** A directory as transformers wrote it, with a tokenizer: the same T5 in each of four. */
async function huggingFace(directory: string): Promise<Files> {
  const fixtures = new URL("../fixtures/", import.meta.url);
  const root = new URL(`huggingface/${directory}/`, fixtures);
  const files: Files = {
    "spiece.model": await Deno.readFile(new URL("sentencepiece/unigram.model", fixtures)),
  };
  for await (const { name } of Deno.readDir(root)) {
    files[name] = await Deno.readFile(new URL(name, root));
  }
  return files;
}

const read = (files: Files, others: Record<string, Files> = {}) =>
  readModel(memorySource(files), (name) => memorySource(others[name]));

async function loaded(files: Files) {
  const model = await read(files);
  const weights = matchModel(model, parseConfig(model.config, "config.json"));
  return { model, weights, fingerprint: (await model.reference()).fingerprint };
}

async function refuses(work: Promise<unknown>, message: string | RegExp): Promise<void> {
  const error = await work.then(() => undefined, (error) => error);
  assert.instance(error, UserError);
  if (typeof message === "string") assert.is(error.message, message);
  else assert.match(error.message, message);
}

test("a model is the same whichever files it lies in", async () => {
  const one = await loaded(await huggingFace("safetensors"));
  assert.is(one.weights.size, 39);
  assert.ok(/^[0-9a-f]{64}$/.test(one.fingerprint));
  const name = "decoder.block.1.layer.2.DenseReluDense.wi.weight";
  const values = await readFloat32(one.weights.get(name)!, name);
  for (const directory of ["safetensors-sharded", "pytorch", "pytorch-sharded"]) {
    const other = await loaded(await huggingFace(directory));
    assert.is(other.weights.size, 39, directory);
    assert.is(other.fingerprint, one.fingerprint, directory);
    assert.equal(await readFloat32(other.weights.get(name)!, name), values, directory);
  }
});

test("of several files the first of the usual order counts", async () => {
  const junk = new TextEncoder().encode("junk");
  const safetensors = { ...await huggingFace("safetensors") };
  await read({ ...safetensors, "model.safetensors.index.json": junk, "pytorch_model.bin": junk });
  const sharded = await huggingFace("safetensors-sharded");
  await read({ ...sharded, "pytorch_model.bin": junk, "pytorch_model.bin.index.json": junk });
  const pytorch = await huggingFace("pytorch");
  await read({ ...pytorch, "pytorch_model.bin.index.json": junk });
});

test("an index may list aliases that a converter left out, and nothing else", async () => {
  const files = await huggingFace("safetensors-sharded");
  const index = JSON.parse(new TextDecoder().decode(files["model.safetensors.index.json"]));
  const withTensor = (name: string, file = "model-00001-of-00002.safetensors"): Files => ({
    ...files,
    "model.safetensors.index.json": encode({ weight_map: { ...index.weight_map, [name]: file } }),
  });
  const whole = await loaded(files);
  for (const alias of ["encoder.embed_tokens.weight", "lm_head.weight"]) {
    assert.is((await loaded(withTensor(alias))).fingerprint, whole.fingerprint);
  }
  const lacking = "encoder.block.0.layer.1.adapter_layer.adapter_up_manual.bias";
  await refuses(
    loaded(withTensor(lacking)),
    `memory/model.safetensors.index.json: the tensor ${lacking} should be in ` +
      "model-00001-of-00002.safetensors, which does not have it: are they of one checkpoint?",
  );
});

test("all files of an index are checked before anything is read of one", async () => {
  const files = await huggingFace("safetensors-sharded");
  const second = "model-00002-of-00002.safetensors";
  await refuses(
    read({ ...files, [second]: files[second].subarray(0, -4) }),
    /^memory\/model-00002-of-00002\.safetensors is not a sound safetensors file: .*truncated\?$/,
  );
  const { [second]: _, ...rest } = files;
  await refuses(
    read(rest),
    `memory/model.safetensors.index.json: the file ${second}, with 31 of its tensors, is missing: ` +
      "fetch it as well",
  );
});

test("the tokenizer is tokenizer.json, or else spiece.model", async () => {
  const files = await huggingFace("safetensors");
  const { tokenizer, tokenizerFiles } = await read(files);
  assert.equal(Object.keys(tokenizerFiles), ["spiece.model"]);
  assert.is(tokenizer.decode(tokenizer.encode("The creature fled.")), "The creature fled.");
  assert.is(tokenizer.sentinelIds.length, 100);

  const json = new URL("../../models/miniature/tokenizer.json", import.meta.url);
  const both = { ...files, "tokenizer.json": await Deno.readFile(json) };
  // Both are kept, for those who read the other.
  assert.equal(Object.keys((await read(both)).tokenizerFiles), ["tokenizer.json", "spiece.model"]);
});

test("a model without a tokenizer may have one from elsewhere, and it is kept with it", async () => {
  const { "spiece.model": spiece, ...files } = await huggingFace("safetensors");
  await refuses(
    read(files),
    "memory has no tokenizer, neither tokenizer.json nor spiece.model: name a directory or hub id " +
      "that has the model's with --tokenizer",
  );
  const elsewhere = memorySource({ "spiece.model": spiece });
  const model = await readModel(memorySource(files), () => elsewhere, { source: elsewhere });
  assert.equal(Object.keys(model.tokenizerFiles), ["spiece.model"]);

  // Under a rule that somebody chose, what is kept gives that tokenizer to everybody.
  for (const rule of ["file", "transformers"] as const) {
    const { tokenizer, tokenizerFiles } = await readModel(memorySource(files), () => elsewhere, {
      source: elsewhere,
      rule,
    });
    assert.equal(Object.keys(tokenizerFiles), ["tokenizer.json", "tokenizer_config.json"]);
    const again = await read({ ...files, ...tokenizerFiles });
    for (const text of ["to <extra_id_0> and\u0085fro ", "The  creature\nfled. "]) {
      assert.equal(again.tokenizer.encode(text), tokenizer.encode(text), `${rule} ${text}`);
    }
  }
});

test("a tokenizer with ids that the model has no embedding for, or does not pad with, is refused", async () => {
  const files = await huggingFace("safetensors");
  const config = JSON.parse(new TextDecoder().decode(files["config.json"]));
  const matched = (tokenizerConfig: object) =>
    loaded({ ...files, "tokenizer_config.json": encode({ extra_ids: 100, ...tokenizerConfig }) });
  const names = Array.from({ length: config.vocab_size - 299 }, (_, i) => `<new_${i}>`);
  const added = names.map((content, i) => [300 + i, { content, special: true }]);
  await refuses(
    matched({ added_tokens_decoder: Object.fromEntries(added) }),
    `The tokenizer has ${
      config.vocab_size + 1
    } ids, the last of which, ${config.vocab_size}, is that ` +
      `of "${
        names.at(-1)
      }", but the model's vocabulary only ${config.vocab_size}; use the tokenizer ` +
      "that the model was trained with.",
  );
  await matched({ added_tokens_decoder: Object.fromEntries(added.slice(1)) });
  await refuses(matched({ pad_token: "<unk>" }), /^memory: the tokenizer pads with id 2, .* 0;/);
});

test("a directory that lacks something is no model", async () => {
  const files = await huggingFace("safetensors");
  for (
    const [file, what] of [
      ["config.json", "config.json"],
      ["model.safetensors", "weights"],
    ]
  ) {
    const { [file]: _, ...rest } = files;
    await refuses(
      read(rest),
      `memory is not a model: it has no ${what}; a model is a directory with config.json, ` +
        "model.safetensors or pytorch_model.bin, and tokenizer.json or spiece.model",
    );
  }
});

test("a backbone is known by its weights, wherever and in whatever files they are", async () => {
  const name = "encoder.block.0.layer.1.adapter_layer.adapter_down_manual.bias";
  const config = { ...tinyConfig, encoder_adapter: "manual", encoder_adapter_dim: 4 };
  const backbone: Files = {
    "config.json": encode(tinyConfig),
    "model.safetensors": writeSafetensors(tinyTensors()),
    "tokenizer.json": await (await tinySource()).read("tokenizer.json"),
  };
  const reference = await (await read(backbone)).reference();
  const checkpoint: Files = {
    "config.json": encode(config),
    "model.safetensors": writeSafetensors(
      new Map([[name, fromFloat32(Float32Array.of(1, 2, 3, 4), [4])]]),
    ),
    "backbone.json": encode({ ...reference, model: "backbone" }),
  };
  const on = (backbone: Files) => read(checkpoint, { backbone });
  const model = await on(backbone);
  const weights = matchModel(model, parseConfig(model.config, "config.json"));
  assert.is(weights.size, tinyTensors().size + 1);

  const moved = "model-1.safetensors";
  const map = Object.fromEntries([...tinyTensors().keys()].map((tensor) => [tensor, moved]));
  const { "model.safetensors": bytes, ...rest } = backbone;
  const index = { "model.safetensors.index.json": encode({ weight_map: map }) };
  await on({ ...rest, ...index, [moved]: bytes });

  const norm = "encoder.final_layer_norm.weight";
  const changed = new Map(tinyTensors()).set(norm, fromFloat32(new Float32Array(16), [16]));
  await refuses(
    on({ ...backbone, "model.safetensors": writeSafetensors(changed) }),
    /^memory was trained on other weights than those of memory \(fingerprint [0-9a-f]{64}\): it needs those of fingerprint [0-9a-f]{64}$/,
  );
  for (const old of [{ model: "backbone" }, { model: "backbone", bytes: 1, sha256: "00" }]) {
    await refuses(
      read({ ...checkpoint, "backbone.json": encode(old) }, { backbone }),
      "memory/backbone.json must name a model and the fingerprint of its weights",
    );
  }
});

test("adapters of other libraries are said to be that", async () => {
  const peft = { peft_type: "LORA", base_model_name_or_path: "google/flan-t5-base" };
  await refuses(
    read({ "adapter_config.json": encode(peft), "adapter_model.safetensors": new Uint8Array(8) }),
    /^memory is a LORA adapter of PEFT for google\/flan-t5-base, and no model: merge it/,
  );
  await refuses(
    read({ "adapter_config.json": encode({ config: {} }), "config.json": encode(tinyConfig) }),
    /^memory has adapters of AdapterHub and no model/,
  );
  const whole = await huggingFace("safetensors");
  const lora = "base_model.model.encoder.block.0.layer.0.SelfAttention.q.lora_A.default.weight";
  const half = fromFloat32(new Float32Array(4), [2, 2]);
  const { "model.safetensors": _, ...rest } = whole;
  await refuses(
    loaded({ ...rest, "model.safetensors": writeSafetensors(new Map([[lora, half]])) }),
    /has no tensor encoder\S*lora_A\.default\.weight: it is of a LoRA adapter; merge that/,
  );
});

test("a ByT5, which has no tokenizer's file, is said to be that", async () => {
  const { "spiece.model": _, ...rest } = await huggingFace("safetensors");
  await refuses(
    read({ ...rest, "tokenizer_config.json": encode({ tokenizer_class: "ByT5Tokenizer" }) }),
    "memory has a ByT5Tokenizer, which reads bytes: ByT5 is not supported",
  );
});

/** What the published configurations of v1.0 and Flan have in common, and what differs. */
const publishedConfig = (fields: object) => ({
  architectures: ["T5ForConditionalGeneration"],
  classifier_dropout: 0.0,
  decoder_start_token_id: 0,
  dropout_rate: 0.1,
  eos_token_id: 1,
  initializer_factor: 1.0,
  is_encoder_decoder: true,
  layer_norm_epsilon: 1e-06,
  model_type: "t5",
  n_positions: 512,
  output_past: true,
  pad_token_id: 0,
  relative_attention_max_distance: 128,
  relative_attention_num_buckets: 32,
  torch_dtype: "float32",
  use_cache: true,
  vocab_size: 32128,
  ...fields,
});
const relu = { feed_forward_proj: "relu", dense_act_fn: "relu", is_gated_act: false };
const gelu = { feed_forward_proj: "gated-gelu", dense_act_fn: "gelu_new", is_gated_act: true };

test("configurations as they are published are understood", () => {
  const sizes = (width: number, inner: number, heads: number, layers: number) => ({
    d_model: width,
    d_ff: inner,
    d_kv: 64,
    num_heads: heads,
    num_layers: layers,
    num_decoder_layers: layers,
  });
  const configs = {
    "t5-small": { ...sizes(512, 2048, 8, 6), ...relu },
    "t5-base": { ...sizes(768, 3072, 12, 12), ...relu },
    "flan-t5-small": { ...sizes(512, 1024, 6, 8), ...gelu, tie_word_embeddings: false },
    "flan-t5-large": { ...sizes(1024, 2816, 16, 24), ...gelu, tie_word_embeddings: false },
  };
  const models = Object.entries(configs).map(([name, fields]) => {
    const config = parseConfig(publishedConfig(fields), name);
    return [name, config.gated, config.tiedEmbeddings, config.decoderLayers];
  });
  assert.equal(models, [
    ["t5-small", false, true, 6],
    ["t5-base", false, true, 12],
    ["flan-t5-small", true, false, 8],
    ["flan-t5-large", true, false, 24],
  ]);
});

test.run();
