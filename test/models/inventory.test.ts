import { suite } from "uvu";
import * as assert from "uvu/assert";
import { parseConfig, taskIndices } from "../../models/config.ts";
import { isTrainable, parameterInventory, type TrainablePart } from "../../models/inventory.ts";
import { UserError } from "../../src/errors.ts";

const test = suite("model inventory");

const config = parseConfig({
  vocab_size: 32,
  d_model: 8,
  d_kv: 4,
  d_ff: 16,
  num_layers: 1,
  num_decoder_layers: 2,
  num_heads: 2,
  feed_forward_proj: "gated-gelu",
  tie_word_embeddings: false,
  encoder_adapter: "generated",
  decoder_adapter: "task",
  tasks: ["sst2", "rte", "mrpc"],
}, "config.json");
const names = parameterInventory(config).map(({ name }) => name);

/** The names that training `parts` changes, cut to their first `depth` words and made unique. */
function trained(parts: TrainablePart[], depth: number): string[] {
  const cut = names.filter((name) => isTrainable(parts, name))
    .map((name) => name.split(".").slice(0, depth).join("."));
  return [...new Set(cut)];
}

test("a side's adapters include its hypernetwork, whose inner module is called decoder", () => {
  assert.equal(trained(["encoder-adapters"], 1), ["encoder"]);
  assert.ok(trained(["encoder-adapters"], 3).includes("encoder.param_gen.decoder"));
  assert.equal(trained(["decoder-adapters"], 2), [
    "decoder.block",
    "decoder.param_gen",
    "decoder.adapter_task_embedding",
  ]);
  assert.equal(
    trained(["adapters"], 9),
    trained(["encoder-adapters", "decoder-adapters"], 9),
  );
});

test("stacks are trained without the embeddings they share, norms without all else", () => {
  assert.equal(trained(["encoder", "decoder"], 1), ["encoder", "decoder"]);
  assert.equal(trained(["all"], 1), ["shared", "encoder", "decoder", "lm_head"]);
  const norms = trained(["layer-norms"], 9);
  assert.equal(norms.length, 2 + 2 * 3 + 2);
  assert.ok(norms.every((name) => name.endsWith("layer_norm.weight")));
});

test("a task is its place in the model's list, and no other task has an adapter", () => {
  assert.equal(taskIndices(config, ["rte", "sst2", "rte"]), Int32Array.of(1, 0, 1));
  assert.throws(
    () => taskIndices(config, ["rt"]),
    (error: Error) =>
      error instanceof UserError && /no adapter for the task "rt"/.test(error.message),
  );
});

test.run();
