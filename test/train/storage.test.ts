import { suite } from "uvu";
import * as assert from "uvu/assert";
import { parseConfig } from "../../models/config.ts";
import { forward } from "../../models/hyperdecoder.ts";
import { isAdapterParameter, parameterInventory } from "../../models/inventory.ts";
import type { Gpu } from "../../src/gpu/device.ts";
import { compile } from "../../src/graph/compile.ts";
import { gradients } from "../../src/graph/gradients.ts";
import { input } from "../../src/graph/leaves.ts";
import { labelSmoothedLoss } from "../../src/graph/ops/label-smoothed-loss.ts";
import { reshape } from "../../src/graph/ops/reshape.ts";
import { Parameters } from "../../src/graph/parameters.ts";
import { readSafetensors } from "../../src/io/safetensors.ts";
import { drawParameter } from "../../src/train/initialise.ts";
import { storageOf, type WeightStorage } from "../../src/train/storage.ts";
import { testDevice } from "../graph/device.ts";

const test = suite("storage of weights");
const gpu = await testDevice();

const miniature = new URL("../../models/miniature/", import.meta.url);
const config = parseConfig(
  JSON.parse(await Deno.readTextFile(new URL("config.json", miniature))),
  "config.json",
);
const inventory = parameterInventory(config);
const file = readSafetensors(
  await Deno.readFile(new URL("model.safetensors", miniature)),
  "model.safetensors",
);

/** The embedded model, its matrices stored as asked for, with adapters that are trained. */
function place(wanted: WeightStorage): Parameters {
  const described = inventory.map(({ name, shape }) => {
    const trainable = isAdapterParameter(name);
    const storage = storageOf(gpu, wanted, { name, trainable, dtype: file.get(name)?.dtype });
    return { name, shape, trainable, storage };
  });
  const parameters = new Parameters(gpu, described);
  for (const parameter of inventory) {
    const tensor = file.get(parameter.name);
    if (tensor) parameters.writeHalf(parameter.name, new Uint16Array(tensor.data.slice().buffer));
    else parameters.write(parameter.name, drawParameter(parameter, 1));
  }
  return parameters;
}

/** Logits, and a gradient that has come through every layer of the decoder. */
async function computeWith(parameters: Parameters) {
  const { logits } = forward({ config, weight: (name) => parameters.tensor(name) }, {
    inputIds: input("inputIds", [2, 9], "i32"),
    attentionMask: input("attentionMask", [2, 9], "i32"),
    decoderInputIds: input("decoderInputIds", [2, 5], "i32"),
  });
  const { loss } = labelSmoothedLoss(
    reshape(logits, [10, config.vocabSize]),
    input("labels", [10], "i32"),
    { smoothing: 0.1 },
  );
  const trained = parameters.tensor("decoder.param_gen.decoder.linear1.weight");
  const [gradient] = gradients(loss, [trained]);
  const program = await compile(gpu, { outputs: { logits, gradient: gradient! } });
  const ids = (count: number) => Int32Array.from({ length: count }, (_, i) => 3 + i * 37 % 2000);
  const given = {
    inputIds: ids(18),
    attentionMask: Int32Array.from({ length: 18 }, (_, i) => i < 15 ? 1 : 0),
    decoderInputIds: ids(10),
    labels: ids(10),
  };
  const computed = await program.run(given, ["logits", "gradient"]);
  program.destroy();
  return computed;
}

const bytesOf = ({ bytes, slabs }: Parameters) =>
  slabs.reduce((rest, { variable }) => rest - variable.buffer.size, bytes);

test("a model whose file is f16 gives the same bits from either storage, in half the memory", async () => {
  const [single, half] = [place("f32"), place("f16")];
  const expected = await computeWith(single);
  assert.ok(expected.logits.some((value) => Math.abs(value) > 1));
  assert.ok(expected.gradient.some((value) => value !== 0));
  assert.equal(await computeWith(half), expected);
  assert.equal(await half.read(), await single.read());
  const share = bytesOf(half) / bytesOf(single);
  assert.ok(share > 0.5 && share < 0.51, `f16 takes ${share} of the memory`);
  single.destroy();
  half.destroy();
});

test("only what products and embeddings read is ever f16, and nothing that is trained", () => {
  const name = "encoder.block.0.layer.0.SelfAttention.q.weight";
  const halved = (wanted: WeightStorage, trainable = false) =>
    inventory.filter(({ name }) =>
      storageOf(gpu, wanted, { name, trainable, dtype: "F16" }) === "f16"
    ).map(({ name }) => name);
  assert.ok(halved("f16").includes(name));
  assert.ok(halved("f16").every((name) => file.get(name)!.shape.length === 2));
  assert.not.ok(halved("f16").some((name) => /adapter|bias|norm|param_gen|mlp/.test(name)));
  assert.equal(halved("f32"), []);
  assert.equal(halved("f16", true), []);
});

test("by itself f16 is chosen for what the file has in f16, where it is as fast", () => {
  const chosen = (dtype: "F16" | "F32" | "BF16" | undefined, isCpu: boolean, f16: boolean) => {
    const seen = { isCpu, features: { ...gpu.features, f16 } } as Gpu;
    return storageOf(seen, "auto", { name: "shared.weight", trainable: false, dtype });
  };
  assert.is(chosen("F16", false, false), "f16");
  assert.is(chosen("F16", true, true), "f16");
  assert.is(chosen("F16", true, false), "f32");
  for (const dtype of ["F32", "BF16", undefined] as const) {
    assert.is(chosen(dtype, false, true), "f32");
  }
});

test.run();
