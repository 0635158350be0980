/** That benchmarks measure the work they say; how long it takes is no test's business. */

import { suite } from "uvu";
import * as assert from "uvu/assert";
import { parseConfig } from "../../models/config.ts";
import { parameterInventory } from "../../models/inventory.ts";
import { modelKernels } from "../../src/bench/cases/all.ts";
import { squareProducts } from "../../src/bench/cases/products.ts";
import { multiplyAdd, stream } from "../../src/bench/ceilings.ts";
import { takeCensus } from "../../src/bench/census.ts";
import { blockInventory, EncoderBlock } from "../../src/bench/encoder-block.ts";
import { measureGeneration } from "../../src/bench/generation.ts";
import { measureKernels } from "../../src/bench/kernels.ts";
import { checkpointConfig, measureLoading, randomCheckpoint } from "../../src/bench/loading.ts";
import { type Spread, wallClock } from "../../src/bench/measure.ts";
import { measureBlock, measureTraining } from "../../src/bench/training.ts";
import { size } from "../../src/graph/tensor.ts";
import { testDevice } from "../graph/device.ts";
import { evaluate, operand } from "../graph/ops/check.ts";
import { tinyConfig } from "../train/tiny-model.ts";

const test = suite("bench");

const quick = { samples: 1, sampleMilliseconds: 0 };
const config = parseConfig({
  ...tinyConfig,
  vocab_size: 64,
  encoder_adapter: "manual",
  decoder_adapter: "generated",
  encoder_adapter_dim: 4,
  decoder_adapter_dim: 4,
  hypernetwork_bottleneck: 4,
}, "test");
const subject = {
  name: "tiny",
  config,
  batch: { batchSize: 2, sourceLength: 8, targetLength: 4 },
};

const isSpread = ({ least, median, most }: Spread) =>
  least > 0 && least <= median && median <= most;

test("the arithmetic ceiling's kernel does every multiplication it counts", async () => {
  const factor = { shape: [1], values: Float32Array.of(0.5) };
  const summand = { shape: [1], values: Float32Array.of(1) };
  const { sums } = await evaluate(
    await testDevice(),
    { factor, summand },
    ({ factor, summand }) => ({
      sums: multiplyAdd(factor, summand, { invocations: 64, rounds: 1 }),
    }),
  );
  // x → x/2 + 1 four times: 2 + (x - 2)/16, and x is 0, 1, 2 and 3.
  assert.equal([...sums], new Array(256).fill(8 + (6 - 8) / 16));
});

test("the memory ceiling's kernel copies everything", async () => {
  const source = operand([3 * 1024]);
  const { copy } = await evaluate(
    await testDevice(),
    { source },
    ({ source }) => ({ copy: stream(source) }),
  );
  assert.equal(copy, source.values);
});

test("every kernel of training and decoding runs, under a name of its own", async () => {
  const cases = [...squareProducts([16]), ...modelKernels(subject)];
  const ceilings = { gigaflops: 1e-9, gigabytes: 1e9 }; // 1 FLOP/s
  const names: string[] = [];
  const results = await measureKernels(
    await testDevice(),
    ceilings,
    cases,
    quick,
    wallClock,
    (name) => names.push(name),
  );
  assert.equal(names, results.map(({ name }) => name));
  assert.is(new Set(names).size, cases.length);
  for (const { name, timing, gigaflops, gigabytes, share } of results) {
    assert.ok(isSpread(timing.wall) && gigabytes > 0, name);
    if (gigaflops === 0) continue; // a look-up computes nothing
    assert.ok(Math.abs(share / (gigaflops * 1e9) - 1) < 1e-9, `${name}: ${share}`);
  }
  const square = results.find(({ name }) => name === "product 16×16×16 nt, square")!;
  assert.ok(Math.abs(square.gigaflops * square.timing.wall.median * 1e6 / 8192 - 1) < 1e-9);
});

test("a training step is measured whole, with its memory", async () => {
  const gpu = await testDevice();
  const result = await measureTraining(gpu, subject, quick, wallClock);
  const { timing: { wall }, tokensPerSecond, memory, dispatches, kernels } = result;
  assert.ok(isSpread(wall));
  assert.ok(Math.abs(tokensPerSecond * wall.median / 1000 / (2 * (8 + 4)) - 1) < 1e-9);
  assert.is(
    memory.parameterBytes,
    parameterInventory(config).reduce((sum, { shape }) => sum + 4 * size(shape), 0),
  );
  assert.ok(memory.workspaceBytes >= memory.lowerBoundBytes && memory.lowerBoundBytes > 0);
  assert.ok(memory.optimizerBytes > 0 && memory.optimizerBytes < 2 * memory.parameterBytes);
  if (!gpu.features.timestamps) return;
  assert.is(kernels.length, dispatches);
  for (const op of ["matmul", "attention", "AdamW"]) {
    assert.ok(kernels.some(({ label }) => label.startsWith(op)), `no ${op} was run`);
  }
});

test("the encoder block is trained whole, but for the embedding", async () => {
  const gpu = await testDevice();
  const config = parseConfig({ ...tinyConfig, vocab_size: 64 }, "test"); // without adapters
  const block = await EncoderBlock.compile(gpu, config, subject.batch);
  const before = await block.parameters.read();
  const first = await block.run(1), later = await block.run(20);
  const after = await block.parameters.read();
  block.destroy();
  assert.ok(first.norm > 0 && later.loss < first.loss, `${first.loss} → ${later.loss}`);
  const names = blockInventory(config).map(({ name }) => name);
  const changed = names.filter((name) =>
    before.get(name)!.some((x, i) => x !== after.get(name)![i])
  );
  assert.equal(changed, names.filter((name) => name !== "shared.weight"));
  const { memory } = await measureBlock(gpu, { ...subject, config }, quick, wallClock);
  assert.is(memory.parameterBytes, [...before.values()].reduce((sum, v) => sum + v.byteLength, 0));
});

test("generation gives every row all its tokens", async () => {
  const result = await measureGeneration(await testDevice(), subject, quick, wallClock);
  const { timing: { wall }, firstToken, tokensPerSecond, dispatchesPerToken, readbacks } = result;
  assert.ok(isSpread(wall) && isSpread(firstToken.wall));
  assert.ok(Math.abs(tokensPerSecond * wall.median / 1000 / (2 * 4) - 1) < 1e-9);
  if (!("GPUDevice" in globalThis)) return; // the census counts nothing under Dawn's bindings
  assert.ok(Number.isInteger(dispatchesPerToken) && dispatchesPerToken > 10);
  assert.is(readbacks, 1);
});

test("a checkpoint of about the size that was asked for is loaded", async () => {
  const asked = checkpointConfig(100e6);
  const bytes = parameterInventory(asked).reduce((sum, { shape }) => sum + 4 * size(shape), 0);
  assert.ok(Math.abs(bytes / 100e6 - 1) < 0.15, `${bytes}`);

  const file = randomCheckpoint(config);
  const source = {
    name: "model.safetensors",
    size: file.length,
    read: (begin: number, end: number) => Promise.resolve(file.slice(begin, end)),
  };
  let resident = 0;
  const result = await measureLoading(
    await testDevice(),
    config,
    () => Promise.resolve(source),
    () => resident += 100,
    2,
  );
  const tensors = parameterInventory(config).length;
  assert.is(result.bytes, file.length);
  assert.is(result.peakHostBytes, 100 * tensors);
  assert.ok(
    Math.abs(result.megabytesPerSecond * result.milliseconds.median * 1000 / file.length - 1) <
      1e-9,
  );
});

test("a census counts what is asked of WebGPU while it is taken, and only then", async () => {
  if (!("GPUDevice" in globalThis)) return;
  const { device } = await testDevice();
  const use = GPUBufferUsage.COPY_DST;
  const outside = device.createBuffer({ size: 1024, usage: use });
  const [result, census] = await takeCensus(() => {
    outside.destroy();
    const buffers = [16, 32].map((size) => device.createBuffer({ size, usage: use }));
    buffers[0].destroy();
    device.createBuffer({ size: 8, usage: use }).destroy();
    device.queue.submit([]);
    buffers[1].destroy();
    return Promise.resolve("done");
  });
  device.createBuffer({ size: 4096, usage: use }).destroy();
  assert.is(result, "done");
  assert.equal(census, { dispatches: 0, submits: 1, readbacks: 0, peakBytes: 48 });
});

test.run();
