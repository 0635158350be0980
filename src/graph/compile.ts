/**
 * From a graph to a `Program`: simplify, order, plan memory, build pipelines, pack uniforms.
 */

import { UserError } from "../errors.ts";
import { checked, type Gpu } from "../gpu/device.ts";
import { type Pipeline, pipelineFor } from "../gpu/pipelines.ts";
import { packUniforms } from "../gpu/reflection.ts";
import { READBACK, STORAGE, UNIFORM } from "../gpu/usage.ts";
import { asInput, asVariable, type InputAttributes } from "./leaves.ts";
import { align, type MemoryPlan, planMemory } from "./memory.ts";
import { executionOrder } from "./order.ts";
import {
  type PreparedDispatch,
  Program,
  type ProgramMemory,
  type ReadableOutput,
} from "./program.ts";
import { simplify } from "./rewrite.ts";
import { isScratch, planSteps, type Steps } from "./steps.ts";
import { byteLength, type Dispatch, type Scratch, type Tensor } from "./tensor.ts";
import { planTuned } from "./tuning.ts";
import { type Workspace, workspaceOf } from "./workspace.ts";

/** What a program computes. */
export interface ProgramDescription {
  /** Tensors that can be read after a run. */
  readonly outputs: Readonly<Record<string, Tensor>>;
  /** Results of in-place ops (optimiser updates, cache writes) that must happen. */
  readonly effects?: readonly Tensor[];
}

/** A range of a buffer; the buffer is looked up late because arenas may be replaced by larger ones. */
interface Location {
  buffer(): GPUBuffer;
  readonly byteOffset: number;
}

/** The memory that a program would need, without making anything on the device. */
export function planProgram(gpu: Gpu, description: ProgramDescription): ProgramMemory {
  return summary(plan(gpu, description).memory);
}

/** Everything that is decided before anything is made on the device. */
function plan(gpu: Gpu, description: ProgramDescription) {
  const names = Object.keys(description.outputs);
  const roots = simplify([...Object.values(description.outputs), ...description.effects ?? []]);
  const outputs = roots.slice(0, names.length);
  const nodes = executionOrder(roots);
  const steps = planSteps(nodes, gpu);
  return {
    names,
    outputs,
    nodes,
    steps,
    memory: planMemory(steps, outputs, gpu.limits.maxBufferSize),
  };
}

function summary({ arenaBytes, lowerBoundBytes }: MemoryPlan): ProgramMemory {
  return { workspaceBytes: arenaBytes.reduce((a, b) => a + b, 0), lowerBoundBytes };
}

/** Compiles a graph for a device. */
export async function compile(gpu: Gpu, description: ProgramDescription): Promise<Program> {
  const { names, outputs, nodes, steps, memory } = await planTuned(
    gpu,
    () => plan(gpu, description),
    (result) => compile(gpu, { outputs: {}, effects: [result] }),
  );
  const inputs = collectInputs(nodes.flatMap((node) => node.outputs));
  const dispatches = steps.steps.flatMap(({ node, dispatches }) =>
    dispatches.map((dispatch) => ({ dispatch, label: `${node.op.name}: ${dispatch.shader.name}` }))
  );
  const pipelines = await Promise.all(dispatches.map(({ dispatch }) => pipelineOf(gpu, dispatch)));

  return await checked(gpu, "preparing a program", () => {
    const workspace = workspaceOf(gpu);
    workspace.reserve(memory.arenaBytes);
    const inputBuffer = makeBuffer(gpu, "inputs", inputs.bytes, STORAGE);
    const uniforms = uniformBuffer(gpu, dispatches.map((d) => d.dispatch), pipelines);
    const staging = makeBuffer(gpu, "outputs", stagingBytes(outputs), READBACK);
    const locate = locator(steps, memory, workspace, inputs.leaves, inputBuffer);
    const dummies = [1, 2].map((i) => makeBuffer(gpu, `unused binding ${i}`, 256, STORAGE)!);

    const prepared = dispatches.map(({ dispatch, label }, i): PreparedDispatch => {
      checkGrid(gpu, label, dispatch);
      checkBindings(gpu, label, dispatch);
      const bindings = Object.values(dispatch.bindings);
      return {
        label,
        pipeline: pipelines[i],
        workgroups: dispatch.workgroups,
        flops: dispatch.flops ?? 0,
        bytes: bindings.reduce((sum, memory) => sum + bytesOf(memory), 0),
        bind: () =>
          gpu.device.createBindGroup({
            label,
            layout: pipelines[i].layout,
            entries: bindGroupEntries(dispatch, pipelines[i], locate, uniforms, i, dummies),
          }),
      };
    });
    const program = new Program({
      gpu,
      dispatches: prepared,
      inputs: inputs.byName,
      inputBuffer,
      outputs: readableOutputs(names, outputs, locate),
      stagingBuffer: staging,
      workspace,
      memory: summary(memory),
      owned: [inputBuffer, uniforms.buffer, staging, ...dummies].filter((b) => b !== undefined),
    });
    program.prepare();
    return program;
  });
}

function pipelineOf(gpu: Gpu, { shader, entry = "main", constants = {} }: Dispatch) {
  return pipelineFor(gpu, { ...shader, entry, constants });
}

function collectInputs(tensors: readonly Tensor[]) {
  const leaves = new Map<Tensor, number>();
  const byName = new Map<string, InputAttributes & { byteOffset: number }>();
  let bytes = 0;
  for (const tensor of tensors) {
    const attributes = asInput(tensor);
    if (!attributes) continue;
    if (byName.has(attributes.name)) {
      throw new Error(`Two inputs of one program are called "${attributes.name}".`);
    }
    leaves.set(tensor, bytes);
    byName.set(attributes.name, { ...attributes, byteOffset: bytes });
    bytes += align(byteLength(tensor));
  }
  return { leaves, byName, bytes };
}

function makeBuffer(gpu: Gpu, label: string, bytes: number, usage: number): GPUBuffer | undefined {
  return bytes > 0 ? gpu.device.createBuffer({ label, size: bytes, usage }) : undefined;
}

function stagingBytes(outputs: readonly Tensor[]): number {
  return outputs.reduce((sum, output) => sum + align(byteLength(output)), 0);
}

/** All uniform blocks of a program in one buffer, written once. */
function uniformBuffer(gpu: Gpu, dispatches: readonly Dispatch[], pipelines: readonly Pipeline[]) {
  const offsets: number[] = [];
  let bytes = 0;
  for (const { entry } of pipelines) {
    offsets.push(bytes);
    bytes += align(entry.uniforms?.byteLength ?? 0);
  }
  const data = new ArrayBuffer(bytes);
  pipelines.forEach(({ entry, label }, i) => {
    const values = dispatches[i].uniforms ?? {};
    if (!entry.uniforms) {
      if (Object.keys(values).length > 0) throw new Error(`The shader ${label} has no uniforms.`);
      return;
    }
    packUniforms(entry.uniforms, values, new DataView(data, offsets[i]));
  });
  const buffer = makeBuffer(gpu, "uniforms", bytes, UNIFORM);
  if (buffer) gpu.device.queue.writeBuffer(buffer, 0, data);
  return { buffer, offsets };
}

function locator(
  { home }: Steps,
  plan: MemoryPlan,
  workspace: Workspace,
  inputs: ReadonlyMap<Tensor, number>,
  inputBuffer: GPUBuffer | undefined,
): (memory: Tensor | Scratch) => Location {
  return (memory) => {
    const { tensor, byteOffset } = isScratch(memory)
      ? { tensor: memory, byteOffset: 0 }
      : home(memory);
    const variable = isScratch(tensor) ? undefined : asVariable(tensor);
    if (variable) return { buffer: () => variable.buffer, byteOffset };
    const inputOffset = isScratch(tensor) ? undefined : inputs.get(tensor);
    if (inputOffset !== undefined) {
      return { buffer: () => inputBuffer!, byteOffset: inputOffset + byteOffset };
    }
    const place = plan.places.get(tensor)!;
    return {
      buffer: () => workspace.buffer(place.arena),
      byteOffset: place.byteOffset + byteOffset,
    };
  };
}

function bindGroupEntries(
  dispatch: Dispatch,
  { entry }: Pipeline,
  locate: (memory: Tensor | Scratch) => Location,
  uniforms: { buffer: GPUBuffer | undefined; offsets: readonly number[] },
  index: number,
  [readDummy, writeDummy]: readonly GPUBuffer[],
): GPUBindGroupEntry[] {
  const entries = entry.storage.map(({ name, binding, writable }): GPUBindGroupEntry => {
    const memory = dispatch.bindings[name];
    if (!memory) return { binding, resource: { buffer: writable ? writeDummy : readDummy } };
    const { buffer, byteOffset } = locate(memory);
    // A whole number of vec4, so that a shader may read any tensor four elements at a time.
    const bytes = Math.ceil(bytesOf(memory) / 16) * 16;
    return { binding, resource: { buffer: buffer(), offset: byteOffset, size: bytes } };
  });
  if (entry.uniforms) {
    const { binding, byteLength } = entry.uniforms;
    const resource = {
      buffer: uniforms.buffer!,
      offset: uniforms.offsets[index],
      size: byteLength,
    };
    entries.push({ binding, resource });
  }
  return entries;
}

function readableOutputs(
  names: readonly string[],
  outputs: readonly Tensor[],
  locate: (memory: Tensor) => Location,
): Map<string, ReadableOutput> {
  let staged = 0;
  return new Map(names.map((name, i) => {
    const tensor = outputs[i];
    const { shape, dtype } = tensor;
    if (dtype === "f16") {
      throw new Error(`The output "${name}" is a variable of f16: read it with readVariables.`);
    }
    const byteOffsetInStaging = staged;
    staged += align(byteLength(tensor));
    const source = () => {
      const { buffer, byteOffset } = locate(tensor);
      return { buffer: buffer(), byteOffset };
    };
    return [name, { shape, dtype, byteOffsetInStaging, source }];
  }));
}

function bytesOf(memory: Tensor | Scratch): number {
  return isScratch(memory) ? memory.scratchBytes : byteLength(memory);
}

function checkGrid(gpu: Gpu, label: string, { workgroups }: Dispatch): void {
  const limit = gpu.limits.maxComputeWorkgroupsPerDimension;
  if (workgroups.some((count) => count > limit || count < 1 || !Number.isInteger(count))) {
    throw new Error(
      `${label}: cannot dispatch ${workgroups} workgroups (1 to ${limit} a dimension).`,
    );
  }
}

/** What is as large as this follows from sizes that are the user's to choose. */
function checkBindings(gpu: Gpu, label: string, { bindings }: Dispatch): void {
  const limit = gpu.limits.maxStorageBufferBindingSize;
  for (const [name, memory] of Object.entries(bindings)) {
    const bytes = bytesOf(memory);
    if (bytes <= limit) continue;
    const what = isScratch(memory) ? name : `${name} [${memory.shape.join(", ")}]`;
    throw new UserError(
      `${label}: ${what} has ${bytes} bytes and ${gpu.adapterName} binds at most ${limit} at once: ` +
        `use smaller batches, shorter texts or fewer beams, or another adapter`,
    );
  }
}
