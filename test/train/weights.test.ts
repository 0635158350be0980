import { suite } from "uvu";
import * as assert from "uvu/assert";
import { parseConfig } from "../../models/config.ts";
import { isAdapterParameter, parameterInventory } from "../../models/inventory.ts";
import { UserError } from "../../src/errors.ts";
import { fromFloat32, fromInt32, type SafeTensor, toFloat32 } from "../../src/io/safetensors.ts";
import { matchWeights, placeWeights } from "../../src/train/weights.ts";
import { testDevice } from "../graph/device.ts";
import { tinyConfig, tinyTensors } from "./tiny-model.ts";

const test = suite("weights");

const config = parseConfig(
  { ...tinyConfig, encoder_adapter: "manual", decoder_adapter: "generated" },
  "config.json",
);
const norm = "encoder.final_layer_norm.weight";

const match = (...files: ReadonlyMap<string, SafeTensor>[]) =>
  matchWeights(config, files.map((tensors, i) => ({ name: `file${i}`, tensors })));

const filled = (value: number) => fromFloat32(new Float32Array(16).fill(value), [16]);

test("later files win, and adapters may be absent", () => {
  const weights = match(tinyTensors(), new Map([[norm, filled(3)]]));
  assert.is(toFloat32(weights.get(norm)!, norm)[0], 3);
  const absent = parameterInventory(config).filter(({ name }) => !weights.has(name));
  assert.ok(absent.length > 0 && absent.every(({ name }) => isAdapterParameter(name)));
});

test("a shared tensor may come under an alias, and under its own name wins", () => {
  const table = (value: number) => fromFloat32(new Float32Array(2048 * 16).fill(value), [2048, 16]);
  const aliased = new Map(tinyTensors());
  aliased.delete("shared.weight");
  aliased.set("encoder.embed_tokens.weight", table(1));
  assert.is(toFloat32(match(aliased).get("shared.weight")!, "")[0], 1);
  aliased.set("shared.weight", table(2)).set("decoder.embed_tokens.weight", table(3));
  assert.is(toFloat32(match(aliased).get("shared.weight")!, "")[0], 2);
});

test("the position bias that old checkpoints have in cross-attention is passed over", () => {
  const name = "decoder.block.0.layer.1.EncDecAttention.relative_attention_bias.weight";
  const old = new Map(tinyTensors()).set(name, fromFloat32(new Float32Array(64), [32, 2]));
  assert.is(match(old).has(name), false);
});

test("integers are no weights", () => {
  const odd = new Map(tinyTensors()).set(norm, fromInt32(new Int32Array(16), [16]));
  assert.throws(
    () => match(odd),
    (error: Error) =>
      error instanceof UserError &&
      error.message === `file0: the tensor ${norm} is I32 where F32, F16 or BF16 is needed`,
  );
});

test("what a file has is placed as it is, what it lacks is drawn by the seed", async () => {
  const gpu = await testDevice();
  const half = new Map(tinyTensors()).set(
    norm,
    fromFloat32(new Float32Array(16).fill(0.5), [16], "F16"),
  );
  const read = async (seed: number) => {
    const parameters = placeWeights(gpu, config, match(half), isAdapterParameter, seed);
    const values = await parameters.read();
    parameters.destroy();
    return values;
  };
  const [one, same, other] = [await read(1), await read(1), await read(2)];
  assert.equal(one, same);
  assert.equal([...one.get(norm)!], new Array(16).fill(0.5));
  const drawn = "decoder.param_gen.decoder.linear1.weight";
  assert.not.equal(one.get(drawn), other.get(drawn));
  assert.equal(one.get("lm_head.weight"), other.get("lm_head.weight"));
});

test.run();
