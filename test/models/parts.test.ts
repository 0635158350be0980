import { suite } from "uvu";
import * as assert from "uvu/assert";
import { parseConfig } from "../../models/config.ts";
import { isAdapterParameter, parameterInventory } from "../../models/inventory.ts";
import { partSizes } from "../../models/parts.ts";
import { publicConfig } from "../../models/sizes.ts";
import { size } from "../../src/graph/tensor.ts";

const test = suite("sizes of models");

const adapted = {
  encoder_adapter: "manual",
  decoder_adapter: "generated",
  encoder_adapter_dim: 64,
  decoder_adapter_dim: 64,
  hypernetwork_bottleneck: 128,
};

function sizesOf(id: string, fields: Record<string, unknown> = {}) {
  const config = parseConfig({ ...publicConfig(id), ...fields }, id);
  return partSizes(config, isAdapterParameter);
}

const total = (parts: ReturnType<typeof partSizes>) =>
  parts.reduce((sum, part) => sum + part.total, 0);

test("public models have as many parameters as is known of them", () => {
  const known = {
    "t5-small": 60_506_624,
    "t5-base": 222_903_552,
    "t5-large": 737_668_096,
    "google-t5/t5-3b": 2_851_598_336,
    "t5-11b": 11_307_321_344,
    "google/t5-v1_1-small": 76_961_152,
    "google/t5-base-lm-adapt": 247_577_856,
    "google/flan-t5-large": 783_150_080,
    "google/flan-t5-xl": 2_849_757_184,
    "google/t5-xxl-lm-adapt": 11_135_332_352,
    "google/mt5-small": 300_176_768,
    "google/mt5-xl": 3_742_619_648,
  };
  for (const [id, count] of Object.entries(known)) assert.is(total(sizesOf(id)), count, id);
  for (const id of ["t5-huge", "google/mt5-base-lm-adapt", "bert-base", "t5-v1_1-large-lm-adapt"]) {
    assert.is(publicConfig(id) === undefined, id !== "t5-v1_1-large-lm-adapt", id);
  }
});

test("the paper's GLUE model trains roughly 3 % of its parameters", () => {
  const parts = sizesOf("google/t5-large-lm-adapt", adapted);
  const trainable = Object.fromEntries(
    parts.filter(({ trainable }) => trainable > 0).map((part) => [part.part, part.trainable]),
  );
  const [d, a, layers, bottleneck] = [1024, 64, 24, 128];
  const linear = (from: number, to: number) => from * to + to;
  const adapters = layers * (linear(d, a) + linear(a, d));
  assert.equal(trainable, {
    "encoder adapters": adapters,
    "decoder adapters": adapters,
    "decoder hypernetwork": layers * 10 + linear(d + 10, bottleneck) +
      2 * linear(bottleneck, d * a) + linear(bottleneck, d) + linear(bottleneck, a),
    "decoder perceptron": 2 * linear(d, d),
  });
  const sum = Object.values(trainable).reduce((sum, count) => sum + count, 0);
  assert.is((100 * sum / total(parts)).toFixed(2), "3.17");
});

test("every parameter is counted, in one part", () => {
  const modes = ["none", "manual", "manual_specific", "task", "generated"];
  for (const encoder of modes) {
    for (const decoder of modes) {
      const fields = {
        ...adapted,
        encoder_adapter: encoder,
        decoder_adapter: decoder,
        tasks: ["a", "b"],
      };
      const config = parseConfig({ ...publicConfig("t5-small"), ...fields }, "config.json");
      const parts = partSizes(config, () => true);
      const all = parameterInventory(config).reduce((sum, { shape }) => sum + size(shape), 0);
      assert.is(total(parts), all);
      assert.ok(parts.every((part) => part.trainable === part.total));
      const unused = parts.filter(({ unused }) => unused).map(({ part }) => part);
      assert.equal(unused, [
        ...encoder === "task" ? ["encoder adapters"] : [],
        ...decoder === "task" || decoder === "generated" ? ["decoder adapters"] : [],
      ]);
    }
  }
});

test.run();
