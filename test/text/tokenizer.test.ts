import { suite } from "uvu";
import * as assert from "uvu/assert";
import { UserError } from "../../src/errors.ts";
import { checkTokenizerFits, createTokenizer } from "../../src/text/tokenizer.ts";
import { resolveTokenizer, type TokenizerRule } from "../../src/text/tokenizer-files.ts";
import { realPath, testOnRealData } from "../real-data.ts";

const test = suite("tokenizer");

const readJson = async (path: string) =>
  JSON.parse(await Deno.readTextFile(new URL(path, import.meta.url)));

// 300 Unigram pieces learned from Frankenstein; the expected values are from Python's tokenizers 0.23.
const smallJson = await readJson("../fixtures/tokenizer.json");
const small = createTokenizer(smallJson);

const smallCases: [text: string, ids: number[], decoded: string][] = [
  ["", [1], ""],
  [" ", [3, 1], ""],
  ["The creature fled.", [126, 245, 37, 13, 8, 21, 1], "The creature fled."],
  ["Hello  world ", [175, 118, 12, 46, 35, 13, 9, 3, 1], "Hello world "],
  [" lead", [3, 74, 123, 1], "lead"],
  ["two\nlines", [144, 45, 12, 2, 13, 58, 100, 1], "twolines"],
  ["The <extra_id_0> of the<extra_id_1>", [126, 3, 307, 20, 7, 306, 1], "The  of the"],
  ["caf\u00e9 \ufb01re", [132, 39, 299, 37, 69, 4, 1], "caf\u00e9 fire"],
  ["\u6771\u4eac", [3, 2, 1], ""],
  ["a</s>b", [23, 1, 90, 1], "a b"],
  ["x y  z\t!", [3, 189, 3, 22, 3, 213, 2, 163, 1], "x y z!"],
  ["\u201cNever,\u201d she said \u2014 \u2018never\u2019", [
    106,
    294,
    4,
    83,
    6,
    134,
    138,
    30,
    10,
    129,
    3,
    187,
    3,
    293,
    80,
    83,
    208,
    1,
  ], "\u201cNever,\u201d she said \u2014 \u2018never\u2019"],
];

test("encodes as the Python library does", () => {
  for (const [text, ids] of smallCases) assert.equal(small.encode(text), ids, JSON.stringify(text));
});

test("encodes the same a second time, when words are remembered", () => {
  for (const [text, ids] of smallCases) assert.equal(small.encode(text), ids, JSON.stringify(text));
});

test("decodes as the Python library does, special tokens left out", () => {
  for (const [text, ids, decoded] of smallCases) {
    assert.is(small.decode(ids), decoded, JSON.stringify(text));
  }
});

test("decodes what a model may write", () => {
  assert.is(small.decode([]), "");
  assert.is(small.decode(new Int32Array([0, 0, 1])), "");
  assert.is(small.decode([126, 5000, 83]), small.decode([126, 83]), "an id that has no piece");
});

test("knows its special ids", () => {
  const { vocabSize, padId, eosId, unkId, sentinelIds } = small;
  assert.equal({ vocabSize, padId, eosId, unkId }, {
    vocabSize: 308,
    padId: 0,
    eosId: 1,
    unkId: 2,
  });
  assert.equal(sentinelIds, [307, 306, 305, 304, 303, 302, 301, 300]);
});

test("a tokenizer must fit the model's vocabulary", () => {
  checkTokenizerFits(small, 308);
  checkTokenizerFits(small, 512);
  assert.throws(
    () => checkTokenizerFits(small, 307),
    (error: Error) => error instanceof UserError && /308 ids.* 307/.test(error.message),
  );
});

test("what is not a tokenizer is refused with a reason", () => {
  const { model } = smallJson;
  const others = [null, [], {}, { model: null }, { model: {} }, { model: { ...model, vocab: 5 } }];
  for (
    const json of [
      ...others,
      { ...smallJson, model: { type: "Unknown" } },
      { ...smallJson, added_tokens: 3 },
      { ...smallJson, model: { type: "BPE", vocab: {} } },
    ]
  ) {
    const isRefused = (error: Error) => error instanceof UserError;
    assert.throws(() => createTokenizer(json), isRefused, JSON.stringify(json));
    const opened = () => {
      const files = { tokenizer: json as Record<string, unknown> };
      createTokenizer(resolveTokenizer(files, { location: "memory" }).json);
    };
    assert.throws(opened, isRefused, JSON.stringify(json));
  }
  const config = { added_tokens_decoder: { 5: null } };
  assert.throws(
    () => resolveTokenizer({ tokenizer: smallJson, config }, { location: "memory" }),
    /^memory: the tokenizer's files are not usable: /,
  );
});

test("an older file's model is known by what it has", () => {
  const { type: _, ...model } = smallJson.model;
  const older = createTokenizer({ ...smallJson, model });
  assert.equal(older.encode("The creature fled."), small.encode("The creature fled."));
  const files = { tokenizer: { ...smallJson, normalizer: null, model } };
  assert.is(resolveTokenizer(files, { location: "memory" }).rule, "transformers");
});

test("special tokens may be text as any other", () => {
  const added_tokens = [...smallJson.added_tokens, { content: "<sep>", special: true }];
  const holds = (config: object) =>
    createTokenizer({ ...smallJson, added_tokens }, config).encodePart("a <sep> b").includes(308);
  assert.is(holds({}), true);
  assert.is(holds({ split_special_tokens: true }), false);
});

test("a part that is not done here is refused by its name", () => {
  const { model } = smallJson;
  const sequence = (id: string) => ({ Sequence: { id, type_id: 0 } });
  const cases: [object, RegExp][] = [
    [{ normalizer: { type: "Titlecase" } }, /normalizer Titlecase/],
    [
      { normalizer: { type: "Replace", pattern: { Regex: "(" }, content: "" } },
      /normalizer pattern/,
    ],
    [{ pre_tokenizer: { type: "UnicodeScripts" } }, /pre-tokenizer UnicodeScripts/],
    [
      {
        pre_tokenizer: {
          type: "Sequence",
          pretokenizers: [{ type: "Punctuation", behavior: "x" }],
        },
      },
      /pre-tokenizer behavior "x"/,
    ],
    [{ decoder: { type: "CTC" } }, /decoder CTC/],
    [{ post_processor: { type: "Other" } }, /post-processor Other/],
    [
      {
        post_processor: {
          type: "TemplateProcessing",
          single: [sequence("A"), sequence("B")],
          special_tokens: {},
        },
      },
      /post-processor template/,
    ],
    [{ model: { ...model, unk_id: null } }, /unk_id, null, is none of its 300 pieces/],
    [{ model: { ...model, alpha: 0.1 } }, /model Unigram with alpha 0\.1/],
    [{ model: { type: "BPE", vocab: {}, merges: [], dropout: 0.1 } }, /BPE with dropout 0\.1/],
    [
      { model: { type: "BPE", vocab: {}, merges: [], continuing_subword_prefix: "##" } },
      /BPE with continuing_subword_prefix "##"/,
    ],
  ];
  for (const [part, message] of cases) {
    assert.throws(
      () => createTokenizer({ ...smallJson, ...part }),
      (error: Error) => error instanceof UserError && message.test(error.message),
      String(message),
    );
  }
});

test("of a T5's tokenizer.json the file counts where transformers 5 would drop what it says", () => {
  const t5 = {
    ...smallJson,
    normalizer: { type: "Replace", pattern: { Regex: " {2,}" }, content: " " },
  };
  const before = { type: "SpecialToken", SpecialToken: { id: "</s>", type_id: 0 } };
  const cases: [TokenizerRule, object, object?][] = [
    ["transformers", {}],
    ["transformers", { normalizer: null }],
    ["transformers", {}, { tokenizer_class: "T5TokenizerFast" }],
    ["file", {}, { tokenizer_class: "PreTrainedTokenizerFast" }],
    ["file", { normalizer: { type: "Lowercase" } }],
    ["file", { pre_tokenizer: { ...t5.pre_tokenizer, prepend_scheme: "never" } }],
    ["file", { decoder: { type: "Fuse" } }],
    ["file", { model: { ...t5.model, byte_fallback: true } }],
    ["file", { model: { ...t5.model, unk_id: 0 } }],
    [
      "file",
      { post_processor: { ...t5.post_processor, single: [before, ...t5.post_processor.single] } },
    ],
  ];
  for (const [rule, part, config = {}] of cases) {
    const files = { tokenizer: { ...t5, ...part }, config: config as Record<string, unknown> };
    const message = JSON.stringify([part, config]).slice(0, 200);
    assert.is(resolveTokenizer(files, { location: "memory" }).rule, rule, message);
    const told = resolveTokenizer(files, { location: "memory", rule: "transformers" });
    assert.equal(told.json.pre_tokenizer?.type, "Sequence", message);
  }
});

test("a tokenizer without T5's special tokens is refused by the token's name", () => {
  const vocab = smallJson.model.vocab.map(([piece, score]: [string, number]) => [
    piece === "</s>" ? "<end>" : piece,
    score,
  ]);
  const json = {
    ...smallJson,
    added_tokens: [],
    post_processor: null,
    model: { ...smallJson.model, vocab },
  };
  assert.throws(() => createTokenizer(json), /no <\/s>/);
});

// The tokenizers of T5 itself are too large for this repository.
const t5Cases: [text: string, flanT5Base: number[], t5Small: number[]][] = [
  ["", [1], [1]],
  ["sst2 sentence: hide new secretions from the parental units ", [
    3,
    7,
    7,
    17,
    357,
    7142,
    10,
    7387,
    126,
    2829,
    2865,
    45,
    8,
    21555,
    3173,
    3,
    1,
  ], [3, 7, 7, 17, 357, 7142, 10, 7387, 126, 2829, 2865, 45, 8, 21555, 3173, 1]],
  ["The <extra_id_0> walks in <extra_id_1> park", [37, 3, 32099, 10681, 16, 3, 32098, 2447, 1], [
    37,
    32099,
    10681,
    16,
    32098,
    2447,
    1,
  ]],
  ["Hello  world", [8774, 296, 1], [8774, 296, 1]],
  ["tab\tand\nnewline", [3808, 11, 126, 747, 1], [3808, 11, 126, 747, 1]],
  ["caf\u00e9 na\u00efve \ufb01ne \uff21", [11949, 3, 29, 9, 2, 162, 1399, 71, 1], [
    11949,
    3,
    29,
    9,
    2,
    162,
    1399,
    71,
    1,
  ]],
  ["\u6771\u4eac \ud83d\ude00", [3, 2, 3, 2, 1], [3, 2, 3, 2, 1]],
  ["a</s>b", [3, 9, 1, 3, 115, 1], [3, 9, 1, 3, 115, 1]],
  ["I can't say \u201cno\u201d \u2014 really\u2026", [
    27,
    54,
    31,
    17,
    497,
    105,
    29,
    32,
    153,
    3,
    318,
    310,
    233,
    1,
  ], [27, 54, 31, 17, 497, 105, 29, 32, 153, 3, 318, 310, 233, 1]],
  ["\ufb01\u0301x a\u0344b \u00b2\u0301", [2210, 3, 9, 2, 115, 204, 1], [
    2210,
    3,
    9,
    2,
    115,
    204,
    1,
  ]],
  ["1,234.56", [1914, 2773, 12451, 948, 1], [1914, 2773, 12451, 948, 1]],
];
const t5Folder = "data/tokenizer";

testOnRealData(
  test,
  [t5Folder],
  "encodes with T5's own tokenizers as the Python library does",
  async () => {
    for (const [column, name] of [[1, "flan-t5-base"], [2, "t5-small"]] as const) {
      const folder = `file://${realPath(`${t5Folder}/${name}`)}`;
      const tokenizer = createTokenizer(
        await readJson(`${folder}/tokenizer.json`),
        await readJson(`${folder}/tokenizer_config.json`),
      );
      assert.is(tokenizer.vocabSize, 32100);
      assert.equal([tokenizer.sentinelIds[0], tokenizer.sentinelIds[99]], [32099, 32000]);
      for (const row of t5Cases) {
        assert.equal(tokenizer.encode(row[0]), row[column], `${name} ${JSON.stringify(row[0])}`);
      }
    }
  },
);

test.run();
