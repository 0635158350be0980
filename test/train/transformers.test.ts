/** Checkpoints as transformers saves them, against what it computes: see fixtures/checkpoints/record.py. */

import { suite } from "uvu";
import * as assert from "uvu/assert";
import expected from "../fixtures/checkpoints/expected.json" with { type: "json" };
import { formatConfig, parseConfig } from "../../models/config.ts";
import { forward } from "../../models/hyperdecoder.ts";
import { SequenceGenerator } from "../../src/generate/generator.ts";
import { compile } from "../../src/graph/compile.ts";
import { input } from "../../src/graph/leaves.ts";
import { matchModel, readModel } from "../../src/train/model-files.ts";
import { placeWeights } from "../../src/train/weights.ts";
import { testDevice } from "../graph/device.ts";
import { assertClose } from "../graph/ops/check.ts";
import { memorySource } from "./memory.ts";

const test = suite("checkpoints of transformers");
const gpu = await testDevice();

const { batch, ...checkpoints } = expected;

/** A tokenizer of as many tokens as the checkpoints have, which are given ids and never text. */
const tokenizer = new TextEncoder().encode(JSON.stringify({
  added_tokens: ["<pad>", "</s>", "<unk>"].map((content, id) => ({ id, content, special: true })),
  pre_tokenizer: { type: "Metaspace", replacement: "▁", prepend_scheme: "always", split: true },
  post_processor: {
    type: "TemplateProcessing",
    single: [{ Sequence: { id: "A", type_id: 0 } }, { SpecialToken: { id: "</s>", type_id: 0 } }],
    pair: [],
    special_tokens: { "</s>": { id: "</s>", ids: [1], tokens: ["</s>"] } },
  },
  decoder: { type: "Metaspace", replacement: "▁", prepend_scheme: "always", split: true },
  model: {
    type: "Unigram",
    unk_id: 2,
    vocab: Array.from({ length: 48 }, (_, id) => [["<pad>", "</s>", "<unk>"][id] ?? `t${id}`, -id]),
  },
}));

async function load(name: string) {
  const root = new URL(`../fixtures/checkpoints/${name}/`, import.meta.url);
  const files: Record<string, Uint8Array> = { "tokenizer.json": tokenizer };
  for await (const file of Deno.readDir(root)) {
    files[file.name] = await Deno.readFile(new URL(file.name, root));
  }
  const source = memorySource(files);
  const model = await readModel(source, () => source);
  return { model, config: parseConfig(model.config, `${name}/config.json`) };
}

/** Whether each has a head of its own, and scales what goes into it. */
const HEADS: Record<string, [own: boolean, scaled: boolean]> = {
  "v4-t5": [false, true],
  "v4-t5-bin": [false, true],
  "v4-t5-1.1": [true, false],
  "v4-mt5": [true, false],
  "v4-mt5-tied": [false, true],
  "v5-t5": [false, true],
  "v5-t5-head": [true, true],
  "v5-t5-1.1-new": [false, false],
  "v5-t5-1.1-from-v4": [true, false],
  "v5-mt5": [false, false],
  "v5-mt5-from-v4": [true, false],
};

test("whether there is a head, and whether it is scaled, is what the version means that saved it", async () => {
  for (const [name, [own, scaled]] of Object.entries(HEADS)) {
    const { model, config } = await load(name);
    assert.equal([!config.tiedEmbeddings, config.scaledOutputs], [own, scaled], name);
    assert.is(matchModel(model, config).has("lm_head.weight"), own, name);
    // A checkpoint of adapters has this configuration and no head: its backbone's counts there.
    assert.equal(parseConfig(formatConfig(config), name), config);
  }
});

const rows = batch.source.length;
const mask = batch.source.map((row) => row.map((id) => Number(id !== 0)));
const ints = (values: number[][]) => Int32Array.from(values.flat());

for (const [name, { logits, greedy }] of Object.entries(checkpoints)) {
  test(`${name}: logits and the greedy answer are those of transformers`, async () => {
    const { model, config } = await load(name);
    const parameters = await placeWeights(gpu, config, matchModel(model, config));
    const weight = (name: string) => parameters.tensor(name);
    const [sourceLength, targetLength] = [batch.source[0].length, batch.target[0].length];
    const outputs = forward({ config, weight }, {
      inputIds: input("inputIds", [rows, sourceLength], "i32"),
      attentionMask: input("attentionMask", [rows, sourceLength], "i32"),
      decoderInputIds: input("decoderInputIds", [rows, targetLength], "i32"),
    });
    const program = await compile(gpu, { outputs: { logits: outputs.logits } });
    const source = { inputIds: ints(batch.source), attentionMask: ints(mask) };
    const result = await program.run(
      { ...source, decoderInputIds: ints(batch.target) },
      ["logits"],
    );
    program.destroy();
    assertClose(result.logits, logits.flat(2), { absolute: 5e-5, relative: 2e-5, what: "logit" });

    const generator = new SequenceGenerator(config, parameters);
    const answers = await generator.generate({
      batchSize: rows,
      sourceLength,
      tasks: [],
      ...source,
    }, {
      maxLength: greedy[0].length,
    });
    generator.destroy();
    parameters.destroy();
    assert.equal(answers.map(([{ tokens }]) => tokens), greedy.map((ids) => ids.slice(1)));
  });
}

test.run();
