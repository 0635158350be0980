import { suite } from "uvu";
import * as assert from "uvu/assert";
import { formatConfig, parseConfig } from "../../models/config.ts";
import { UserError } from "../../src/errors.ts";

const test = suite("config.json");

const T5 = {
  model_type: "t5",
  vocab_size: 32,
  d_model: 8,
  d_kv: 4,
  d_ff: 16,
  num_layers: 2,
  num_heads: 2,
};

const parse = (fields: object) => parseConfig({ ...T5, ...fields }, "config.json");

test("what stands between the products is what transformers computes", () => {
  const cases: [fields: object, activation: string, gated: boolean][] = [
    [{}, "relu", false],
    [{ model_type: "mt5" }, "gelu_new", true],
    [{ feed_forward_proj: "relu" }, "relu", false],
    [{ feed_forward_proj: "gelu" }, "gelu", false],
    [{ feed_forward_proj: "gelu_new" }, "gelu_new", false],
    [{ feed_forward_proj: "gated-gelu" }, "gelu_new", true],
    [{ feed_forward_proj: "gated-gelu_new" }, "gelu_new", true],
    [{ feed_forward_proj: "gated-gelu_python" }, "gelu", true],
    [{ feed_forward_proj: "gated-silu" }, "silu", true],
    [{ feed_forward_proj: "gated-swish" }, "silu", true],
    [{ feed_forward_proj: "gated-relu" }, "relu", true],
    // What is written apart counts.
    [{ feed_forward_proj: "gated-gelu", dense_act_fn: "gelu" }, "gelu", true],
    [{ feed_forward_proj: "relu", is_gated_act: true }, "relu", true],
  ];
  for (const [fields, activation, gated] of cases) {
    const config = parse(fields);
    assert.equal([config.activation, config.gated], [activation, gated], JSON.stringify(fields));
  }
});

test("tied and scaled are two facts", () => {
  const cases: [fields: object, tied: boolean, scaled: boolean][] = [
    [{}, true, true],
    [{ tie_word_embeddings: null }, true, true],
    [{ tie_word_embeddings: true }, true, true],
    [{ tie_word_embeddings: false }, false, false],
    [{ tie_word_embeddings: true, scale_decoder_outputs: false }, true, false],
    [{ tie_word_embeddings: false, scale_decoder_outputs: true }, false, true],
    [{ model_type: "mt5" }, false, false],
    [{ model_type: "mt5", tie_word_embeddings: true }, true, false],
    [{ model_type: "mt5", tie_word_embeddings: true, transformers_version: "5.2.0" }, true, false],
    [{ model_type: "mt5", tie_word_embeddings: true, transformers_version: "4.57.6" }, true, true],
  ];
  for (const [fields, tied, scaled] of cases) {
    const { tiedEmbeddings, scaledOutputs } = parse(fields);
    assert.equal([tiedEmbeddings, scaledOutputs], [tied, scaled], JSON.stringify(fields));
  }
});

test("synonyms, lists of ends and what is left out mean what they do in transformers", () => {
  const { d_model: _, num_heads: __, ...rest } = T5;
  const config = parseConfig(
    { ...rest, hidden_size: 8, num_attention_heads: 2, eos_token_id: [5, 1], pad_token_id: 3 },
    "config.json",
  );
  assert.equal(
    [config.modelDim, config.heads, config.eosId, config.endIds, config.decoderStartId],
    [8, 2, 5, [5, 1], 3],
  );
  assert.is(config.maxDistance, 128);
});

test("a configuration is written as it was read", () => {
  for (
    const fields of [
      {},
      { model_type: "mt5", relative_attention_max_distance: 20, eos_token_id: [1, 4] },
      { feed_forward_proj: "gelu", tie_word_embeddings: true, scale_decoder_outputs: false },
      { feed_forward_proj: "gated-silu", tie_word_embeddings: false, scale_decoder_outputs: true },
      { feed_forward_proj: "gated-gelu", dense_act_fn: "gelu" },
      { feed_forward_proj: "gated-gelu", encoder_adapter: "task", tasks: ["a", "b"] },
    ]
  ) {
    const config = parse(fields);
    assert.equal(parseConfig(formatConfig(config), "again"), config, JSON.stringify(fields));
  }
});

test("what transformers writes beside and what changes nothing is passed over", () => {
  parse({
    classifier_dropout: 0.0,
    initializer_factor: 1.0,
    is_decoder: false,
    output_past: true,
    n_positions: 512,
    pruned_heads: {},
    quantization_config: null,
    per_layer_config: null,
    tie_encoder_decoder: false,
    architectures: ["T5WithLMHeadModel"],
    task_specific_params: { summarization: { prefix: "summarize: " } },
    dtype: "bfloat16",
    num_labels: 3,
    custom_note: "of somebody's own",
  });
});

test("what changes results and is not computed is refused by name", () => {
  const cases: [fields: object, message: RegExp][] = [
    [{ model_type: "umt5" }, /model_type is "umt5" \(UMT5, which has a table/],
    [{ model_type: "bart" }, /model_type is "bart" \(BART/],
    [{ model_type: "byt6" }, /model_type is "byt6", which is not supported/],
    [{ tokenizer_class: "ByT5Tokenizer" }, /it describes a ByT5, which reads bytes/],
    [{ feed_forward_proj: "tanh" }, /feed_forward_proj "tanh" is not supported/],
    [{ feed_forward_proj: "geglu-gelu" }, /feed_forward_proj "geglu-gelu" is not supported/],
    [{ dense_act_fn: "quick_gelu" }, /dense_act_fn "quick_gelu" is not supported/],
    [{ quantization_config: { bits: 8 } }, /"quantization_config" is \{"bits":8\}: quantised/],
    [{ pruned_heads: { 0: [1] } }, /"pruned_heads"/],
    [{ per_layer_config: [{}] }, /"per_layer_config"/],
    [{ tie_encoder_decoder: true }, /"tie_encoder_decoder"/],
    [{ is_encoder_decoder: false }, /"is_encoder_decoder"/],
    [{ architectures: ["T5EncoderModel"] }, /describes a T5EncoderModel/],
    [{ relative_attention_num_buckets: 31 }, /"relative_attention_num_buckets" is 31/],
    [{ relative_attention_max_distance: 16 }, /"relative_attention_max_distance" is 16/],
    [{ relative_attention_max_distance: 1.5 }, /must be a positive integer, not 1\.5/],
    [{ hidden_size: 16 }, /"d_model" is 8 and "hidden_size".* is 16/],
    [{ eos_token_id: 32 }, /"eos_token_id" is 32, no id below the vocab_size 32/],
    [{ eos_token_id: [] }, /"eos_token_id" names no token/],
    [{ scale_decoder_outputs: "no" }, /"scale_decoder_outputs" must be a boolean/],
    [{ relative_attention_max_distence: 20 }, /if "relative_attention_max_distance" is meant/],
    [{ encoder_adaptor: "manual" }, /if "encoder_adapter" is meant/],
    [{ "decoder-adapter": "manual" }, /if "decoder_adapter" is meant/],
    [{ tie_word_embedding: false }, /if "tie_word_embeddings" is meant/],
    [{ adapter_size: 3 }, /"adapter_size" is unknown, and may mean adapters/],
  ];
  for (const [fields, message] of cases) {
    assert.throws(
      () => parse(fields),
      (error: Error) => error instanceof UserError && message.test(error.message),
      JSON.stringify(fields),
    );
  }
});

test.run();
