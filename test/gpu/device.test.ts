import { suite } from "uvu";
import * as assert from "uvu/assert";
import { acquireDevice, checked, describe, type Gpu } from "../../src/gpu/device.ts";
import {
  DeviceLostError,
  type GpuError,
  OutOfMemoryError,
  typedError,
  ValidationError,
} from "../../src/gpu/errors.ts";
import { testDevice } from "../graph/device.ts";

const test = suite("device");

const COPY_SRC = 4;
const STORAGE = 128;

/** A device of the test's own, which it may break. */
async function freshDevice(): Promise<Gpu> {
  await testDevice(); // in Deno, makes sure that the process has an adapter
  const gpu = await acquireDevice();
  assert.ok(gpu);
  return gpu;
}

async function thrownBy(f: () => unknown): Promise<GpuError> {
  try {
    await f();
  } catch (error) {
    return error as GpuError;
  }
  throw new Error("nothing was thrown");
}

test("has at least the limits that the specification guarantees", async () => {
  const { limits } = await testDevice();
  assert.ok(limits.maxStorageBuffersPerShaderStage >= 8);
  assert.ok(limits.maxStorageBufferBindingSize >= 2 ** 27);
  assert.ok(limits.maxComputeInvocationsPerWorkgroup >= 256);
});

test("is described with its name and kind", async () => {
  const gpu = await testDevice();
  const line = describe(gpu);
  assert.ok(line.startsWith(gpu.adapterName));
  assert.is(line.includes("CPU adapter"), gpu.isCpu);
  assert.is(line.includes("subgroups"), gpu.features.subgroups);
});

test("compiles the subgroup syntax and f16 that it claims to have", async () => {
  const gpu = await testDevice();
  const enables = [
    gpu.features.f16 ? "enable f16;" : "",
    gpu.enableSubgroupsLine ? "enable subgroups;" : "",
  ].join("\n");
  const body = [
    gpu.features.f16 ? "let half = 1h;" : "",
    gpu.features.subgroups ? "let sum = subgroupAdd(1u);" : "",
  ].join("\n");
  const code = `${enables}\n@compute @workgroup_size(32) fn main() { ${body} }`;
  await checked(gpu, "probe", () => gpu.device.createShaderModule({ code }));
});

test("checked returns what the function returns", async () => {
  const gpu = await testDevice();
  const buffer = await checked(
    gpu,
    "upload",
    () => gpu.device.createBuffer({ label: "weights", size: 16, usage: STORAGE }),
  );
  assert.is(buffer.size, 16);
  buffer.destroy();
});

test("checked throws a validation error that names the operation", async () => {
  const gpu = await testDevice();
  const size = gpu.limits.maxBufferSize * 2;
  const error = await thrownBy(() =>
    checked(gpu, "encoder upload", () => gpu.device.createBuffer({ size, usage: STORAGE }))
  );
  assert.instance(error, ValidationError);
  assert.is(error.operation, "encoder upload");
  gpu.assertHealthy();
});

test("an error outside checked is kept until asked for, with the buffer's label", async () => {
  const gpu = await freshDevice();
  const reported = new Promise((resolve) =>
    gpu.device.addEventListener("uncapturederror", resolve)
  );
  const buffer = gpu.device.createBuffer({ label: "embedding", size: 16, usage: COPY_SRC });
  gpu.device.queue.writeBuffer(buffer, 0, new Uint8Array(16));
  await reported;
  const error = await thrownBy(() => gpu.assertHealthy());
  assert.instance(error, ValidationError);
  assert.is(error.buffer, "embedding");
  gpu.destroy();
});

test("a lost device is reported as such by whatever comes next", async () => {
  const gpu = await freshDevice();
  gpu.destroy();
  await gpu.device.lost;
  const make = () => gpu.device.createBuffer({ size: 16, usage: STORAGE });
  const error = await thrownBy(() => checked(gpu, "decoder upload", make));
  assert.instance(error, DeviceLostError);
  assert.is(error.operation, "decoder upload");
  assert.instance(await thrownBy(() => gpu.assertHealthy()), DeviceLostError);
});

test("out of memory is told apart, with what to do", () => {
  const error = typedError("attention", new GPUOutOfMemoryError("Not enough memory left."));
  assert.instance(error, OutOfMemoryError);
  assert.match(error.message, /^attention: .*smaller batch/);
});

test.run();
