import { suite } from "uvu";
import * as assert from "uvu/assert";
import { parseConfig } from "../../models/config.ts";
import { isAdapterParameter, parameterInventory } from "../../models/inventory.ts";
import { UserError } from "../../src/errors.ts";
import {
  fromFloat32,
  fromInt32,
  readFloat32,
  type SafeTensor,
  toFloat32,
} from "../../src/io/safetensors.ts";
import type { StoredTensor } from "../../src/io/source.ts";
import { type LoadProgress, matchWeights, placeWeights } from "../../src/train/weights.ts";
import { storageOf } from "../../src/train/storage.ts";
import { SequenceGenerator } from "../../src/generate/generator.ts";
import type { Gpu } from "../../src/gpu/device.ts";
import { testDevice } from "../graph/device.ts";
import { assertClose } from "../graph/ops/check.ts";
import { withBindings } from "../optim/updates.ts";
import { tinyConfig, tinyTensors } from "./tiny-model.ts";

const test = suite("weights");

const config = parseConfig(
  { ...tinyConfig, encoder_adapter: "manual", decoder_adapter: "generated" },
  "config.json",
);
const norm = "encoder.final_layer_norm.weight";

/** The tensors of a file, which say when they are read. */
const stored = (tensors: ReadonlyMap<string, SafeTensor>, onRead?: (name: string) => void) =>
  new Map<string, StoredTensor>(
    Array.from(tensors, ([name, { dtype, shape, data }]) => [name, {
      dtype,
      shape,
      read: () => {
        onRead?.(name);
        return Promise.resolve(data);
      },
    }]),
  );

const match = (...files: ReadonlyMap<string, SafeTensor>[]) =>
  matchWeights(config, files.map((tensors, i) => ({ name: `file${i}`, tensors: stored(tensors) })));

const firstOf = async (weights: ReadonlyMap<string, StoredTensor>, name: string) =>
  (await readFloat32(weights.get(name)!, name))[0];

const filled = (value: number) => fromFloat32(new Float32Array(16).fill(value), [16]);

test("later files win, and adapters may be absent", async () => {
  const weights = match(tinyTensors(), new Map([[norm, filled(3)]]));
  assert.is(await firstOf(weights, norm), 3);
  const absent = parameterInventory(config).filter(({ name }) => !weights.has(name));
  assert.ok(absent.length > 0 && absent.every(({ name }) => isAdapterParameter(name)));
});

test("the position bias that old checkpoints have in cross-attention is passed over", () => {
  const name = "decoder.block.0.layer.1.EncDecAttention.relative_attention_bias.weight";
  const old = new Map(tinyTensors()).set(name, fromFloat32(new Float32Array(64), [32, 2]));
  assert.is(match(old).has(name), false);
});

test("integers and doubles are no weights", () => {
  const double: SafeTensor = { dtype: "F64", shape: [16], data: new Uint8Array(128) };
  for (const odd of [fromInt32(new Int32Array(16), [16]), double]) {
    assert.throws(
      () => match(new Map(tinyTensors()).set(norm, odd)),
      (error: Error) =>
        error instanceof UserError &&
        error.message ===
          `file0: the tensor ${norm} is ${odd.dtype} where F32, F16 or BF16 is needed`,
    );
  }
});

test("nothing is read before every file has been found to fit", () => {
  const read: string[] = [];
  const files = [tinyTensors(), new Map([["encoder.final_layer_nrom.weight", filled(1)]])];
  assert.throws(
    () =>
      matchWeights(
        config,
        files.map((tensors, i) => ({
          name: `file${i}`,
          tensors: stored(tensors, (name) => read.push(name)),
        })),
      ),
    /^file1: a model of this configuration has no tensor encoder\.final_layer_nrom\.weight \(did you mean "encoder\.final_layer_norm\.weight"\?\)$/,
  );
  assert.equal(read, []);
});

test("what a file has is placed as it is, what it lacks is drawn by the seed", async () => {
  const gpu = await testDevice();
  const half = new Map(tinyTensors()).set(
    norm,
    fromFloat32(new Float32Array(16).fill(0.5), [16], "F16"),
  );
  const read = async (seed: number) => {
    const parameters = await placeWeights(gpu, config, match(half), {
      trainable: isAdapterParameter,
      seed,
    });
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

test("frozen weights of an f16 file stay f16 where that costs nothing", async () => {
  const gpu = await testDevice();
  const half = new Map(Array.from(tinyTensors(), ([name, tensor]) => [
    name,
    fromFloat32(toFloat32(tensor, name), tensor.shape, "F16"),
  ]));
  const place = (trainable: (name: string) => boolean) =>
    placeWeights(gpu, config, match(half), { trainable });
  const frozen = await place(isAdapterParameter);
  const names = frozen.descriptions.map(({ name }) => name);
  for (const name of names) {
    const parameter = { name, trainable: isAdapterParameter(name), dtype: half.get(name)?.dtype };
    assert.is(frozen.tensor(name).dtype, storageOf(gpu, "auto", parameter), name);
  }
  const values = await frozen.read();
  for (const [name, tensor] of half) assert.equal(values.get(name), toFloat32(tensor, name), name);
  frozen.destroy();

  const trained = await place(() => true);
  assert.ok(names.every((name) => trained.tensor(name).dtype === "f32"));
  assert.equal((await trained.read()).get("lm_head.weight"), values.get("lm_head.weight"));
  trained.destroy();
});

test("loading tells how far it is, and an error on the way leaves nothing on the device", async () => {
  const gpu = await testDevice();
  const told: LoadProgress[] = [];
  const place = (weights: ReadonlyMap<string, StoredTensor>) =>
    placeWeights(gpu, config, weights, { onProgress: (progress) => told.push(progress) });
  const weights = match(tinyTensors());
  (await place(weights)).destroy();
  const { done, total, bytes } = told.at(-1)!;
  const count = (sizes: readonly number[]) => sizes.reduce((a, b) => a * b, 1);
  assert.is(total, parameterInventory(config).reduce((sum, { shape }) => sum + count(shape), 0));
  assert.is(done, total);
  assert.is(bytes, [...weights.values()].reduce((sum, { shape }) => sum + 4 * count(shape), 0));

  let made = 0;
  const buffers = new Set<GPUBuffer>();
  const device = new Proxy(gpu.device, {
    get: (target, key) => {
      if (key !== "createBuffer") return Reflect.get(target, key, target);
      return (descriptor: GPUBufferDescriptor) => {
        const buffer = target.createBuffer(descriptor);
        const destroy = buffer.destroy.bind(buffer);
        buffer.destroy = () => {
          buffers.delete(buffer);
          destroy();
        };
        made++;
        buffers.add(buffer);
        return buffer;
      };
    },
  });
  const broken = new Map(weights).set(norm, {
    ...weights.get(norm)!,
    read: () => Promise.reject(new UserError("the disk is gone")),
  });
  const watched = Object.create(gpu, { device: { value: device } });
  const error = await placeWeights(watched, config, broken)
    .then(() => undefined, (error) => error);
  assert.is(error.message, "the disk is gone");
  assert.ok(made > 0);
  assert.is(buffers.size, 0);
});

test("a model whose matrices are larger than what the device binds answers as ever", async () => {
  const gpu = await testDevice();
  const backbone = parseConfig(tinyConfig, "config.json");
  const batch = {
    batchSize: 2,
    sourceLength: 5,
    inputIds: Int32Array.of(5, 900, 2047, 64, 1, 1023, 1024, 1, 0, 0),
    attentionMask: Int32Array.of(1, 1, 1, 1, 1, 1, 1, 1, 0, 0),
    tasks: [],
  };
  const weights = matchWeights(backbone, [{ name: "file", tensors: stored(tinyTensors()) }]);
  const answers = async (device: Gpu) => {
    const parameters = await placeWeights(device, backbone, weights);
    const generator = new SequenceGenerator(backbone, parameters);
    const greedy = await generator.generate(batch, { maxLength: 6 });
    const beams = await generator.generate(batch, { maxLength: 6, beams: 3 });
    generator.destroy();
    parameters.destroy();
    return [greedy, beams].flat(2);
  };
  const whole = await answers(gpu);
  const sliced = await answers(withBindings(gpu, 2 ** 16)); // both matrices have twice as many bytes
  assert.equal(sliced.map(({ tokens }) => tokens), whole.map(({ tokens }) => tokens));
  const scores = (of: typeof whole) => of.map(({ logLikelihood }) => logLikelihood);
  assertClose(scores(sliced), scores(whole), { what: "log-likelihood" });
});

test.run();
