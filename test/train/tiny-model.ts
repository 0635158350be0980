/** A model small enough to train in a test: random weights, the embedded model's tokenizer. */

import { parseConfig } from "../../models/config.ts";
import { isAdapterParameter, parameterInventory } from "../../models/inventory.ts";
import { fromFloat32, type SafeTensor, writeSafetensors } from "../../src/io/safetensors.ts";
import { drawParameter } from "../../src/train/initialise.ts";

const tokenizer = new URL("../../models/miniature/tokenizer.json", import.meta.url);

/** The fields of its `config.json`. */
export const tinyConfig = {
  vocab_size: 2048,
  d_model: 16,
  d_kv: 8,
  d_ff: 24,
  num_layers: 1,
  num_decoder_layers: 1,
  num_heads: 2,
  feed_forward_proj: "gated-gelu",
  tie_word_embeddings: false,
  dropout_rate: 0.1,
};

/** The tensors of a backbone of that configuration. */
export function tinyTensors(fields: Record<string, unknown> = tinyConfig): Map<string, SafeTensor> {
  const inventory = parameterInventory(parseConfig(fields, "config.json"));
  return new Map(
    inventory.filter(({ name }) => !isAdapterParameter(name)).map((parameter) => [
      parameter.name,
      fromFloat32(drawParameter(parameter, 1), parameter.shape),
    ]),
  );
}

/** Writes the model into `directory`, which must exist. */
export async function writeTinyModel(
  directory: string,
  fields: Record<string, unknown> = tinyConfig,
  tensors: ReadonlyMap<string, SafeTensor> = tinyTensors(),
): Promise<void> {
  await Deno.writeTextFile(`${directory}/config.json`, JSON.stringify(fields));
  await Deno.writeFile(`${directory}/model.safetensors`, writeSafetensors(tensors));
  await Deno.copyFile(tokenizer, `${directory}/tokenizer.json`);
}

/** A tokenizer of so many tokens, for models that are given ids and never text. */
export function tokenizerOf(size: number): Uint8Array {
  const special = ["<pad>", "</s>", "<unk>"];
  const spaces = { type: "Metaspace", replacement: "▁", prepend_scheme: "always", split: true };
  return new TextEncoder().encode(JSON.stringify({
    added_tokens: special.map((content, id) => ({ id, content, special: true })),
    pre_tokenizer: spaces,
    post_processor: {
      type: "TemplateProcessing",
      single: [{ Sequence: { id: "A", type_id: 0 } }, { SpecialToken: { id: "</s>", type_id: 0 } }],
      pair: [],
      special_tokens: { "</s>": { id: "</s>", ids: [1], tokens: ["</s>"] } },
    },
    decoder: spaces,
    model: {
      type: "Unigram",
      unk_id: 2,
      vocab: Array.from({ length: size }, (_, id) => [special[id] ?? `t${id}`, -id]),
    },
  }));
}
