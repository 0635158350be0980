/**
 * A compiled graph: everything a run needs, made once.
 *
 * Invariant: after construction a run allocates nothing on the device and compiles nothing. It is one
 * upload of the inputs, one pass over prepared bind groups, one submit and, only if values are asked
 * for, one copy back.
 */

import type { Gpu } from "../gpu/device.ts";
import { type KernelTime, timeDispatches } from "../gpu/profiler.ts";
import type { Pipeline } from "../gpu/pipelines.ts";
import type { InputAttributes } from "./leaves.ts";
import type { Workspace } from "./workspace.ts";
import { type ComputeDType, type Shape, size } from "./tensor.ts";

/** Values on the host. The array's type must be that of the tensor. */
export type HostArray = Float32Array | Int32Array | Uint32Array;

/** A dispatch with everything resolved but the buffers of the workspace, which may grow. */
export interface PreparedDispatch {
  readonly label: string;
  readonly pipeline: Pipeline;
  readonly workgroups: readonly [number, number, number];
  readonly flops: number;
  readonly bytes: number;
  bind(): GPUBindGroup;
}

/** A value that can be read after a run. */
export interface ReadableOutput {
  readonly shape: Shape;
  readonly dtype: ComputeDType;
  readonly byteOffsetInStaging: number;
  source(): { buffer: GPUBuffer; byteOffset: number };
}

/** Memory figures of a program, in bytes. */
export interface ProgramMemory {
  /** Intermediate tensors, as planned. */
  readonly workspaceBytes: number;
  /** The most intermediate memory alive at any step: no plan can need less. */
  readonly lowerBoundBytes: number;
}

/** What `compile` hands over. */
export interface ProgramParts {
  readonly gpu: Gpu;
  readonly dispatches: readonly PreparedDispatch[];
  readonly inputs: ReadonlyMap<string, InputAttributes & { byteOffset: number }>;
  readonly inputBuffer: GPUBuffer | undefined;
  readonly outputs: ReadonlyMap<string, ReadableOutput>;
  readonly stagingBuffer: GPUBuffer | undefined;
  readonly workspace: Workspace;
  readonly memory: ProgramMemory;
  readonly owned: readonly GPUBuffer[];
}

const MAP_READ = 1; // GPUMapMode.READ, spelt out because Dawn's bindings have no globals

/** See the module's header. Made by `compile`. */
export class Program {
  readonly memory: ProgramMemory;
  #parts: ProgramParts;
  #bindGroups: GPUBindGroup[] = [];
  #generation = -1;
  #upload: ArrayBuffer;
  #reading: Promise<unknown> = Promise.resolve();

  constructor(parts: ProgramParts) {
    this.#parts = parts;
    this.memory = parts.memory;
    this.#upload = new ArrayBuffer(parts.inputBuffer?.size ?? 0);
  }

  /** Names of the inputs that a run needs: those on which an output or an effect depends. */
  get inputNames(): ReadonlySet<string> {
    return new Set(this.#parts.inputs.keys());
  }

  /** Number of dispatches in one run. */
  get dispatchCount(): number {
    return this.#parts.dispatches.length;
  }

  /**
   * Runs the program and reads the named outputs back.
   *
   * @param inputs a value for every input leaf
   * @param reads names of outputs; without any, nothing is awaited on the device
   */
  async run(
    inputs: Readonly<Record<string, HostArray>> = {},
    reads: readonly string[] = [],
  ): Promise<Record<string, HostArray>> {
    if (reads.length === 0) {
      this.submit(inputs);
      return {};
    }
    // One reading at a time: a buffer that is mapped for the host cannot be copied to.
    const values = this.#reading.then(() => {
      this.submit(inputs, { reads });
      return this.#readBack(reads);
    });
    this.#reading = values.catch(() => {});
    return await values;
  }

  /** Queues `repeat` runs on the same inputs in one submit, without waiting for the device. */
  submit(
    inputs: Readonly<Record<string, HostArray>>,
    { repeat = 1, reads = [] }: { repeat?: number; reads?: readonly string[] } = {},
  ): void {
    const { gpu, dispatches, stagingBuffer } = this.#parts;
    gpu.assertHealthy();
    this.#write(inputs);
    this.#refreshBindGroups();
    const encoder = gpu.device.createCommandEncoder();
    const pass = encoder.beginComputePass();
    for (let i = 0; i < repeat; i++) {
      for (const [j, { pipeline, workgroups }] of dispatches.entries()) {
        pass.setPipeline(pipeline.pipeline);
        pass.setBindGroup(0, this.#bindGroups[j]);
        pass.dispatchWorkgroups(...workgroups);
      }
    }
    pass.end();
    for (const name of reads) {
      const output = this.#output(name);
      const { buffer, byteOffset } = output.source();
      const bytes = 4 * size(output.shape);
      encoder.copyBufferToBuffer(
        buffer,
        byteOffset,
        stagingBuffer!,
        output.byteOffsetInStaging,
        bytes,
      );
    }
    gpu.device.queue.submit([encoder.finish()]);
  }

  /** Runs once with a timestamp around every dispatch. Throws where the adapter has no timestamps. */
  async profile(inputs: Readonly<Record<string, HostArray>>): Promise<KernelTime[]> {
    this.#write(inputs);
    this.#refreshBindGroups();
    const { gpu, dispatches } = this.#parts;
    return await timeDispatches(
      gpu,
      dispatches.map((dispatch, i) => ({ ...dispatch, bindGroup: this.#bindGroups[i] })),
    );
  }

  /** Makes the bind groups, so that what is wrong with one shows now and not in a run. */
  prepare(): void {
    this.#refreshBindGroups();
  }

  /** Gives the program's own buffers back (not the workspace, not variables). */
  destroy(): void {
    for (const buffer of this.#parts.owned) buffer.destroy();
  }

  #output(name: string): ReadableOutput {
    const output = this.#parts.outputs.get(name);
    if (!output) throw new Error(`The program has no output "${name}".`);
    return output;
  }

  #write(values: Readonly<Record<string, HostArray>>): void {
    const { gpu, inputs, inputBuffer } = this.#parts;
    for (const name of Object.keys(values)) {
      if (!inputs.has(name)) throw new Error(`The program has no input "${name}".`);
    }
    for (const [name, { shape, dtype, byteOffset }] of inputs) {
      const value = values[name];
      if (value === undefined) throw new Error(`The input "${name}" was not given.`);
      if (dtypeOf(value) !== dtype || value.length !== size(shape)) {
        throw new Error(
          `The input "${name}" must be ${dtype}[${shape}], not ${value.length} of ${
            dtypeOf(value)
          }.`,
        );
      }
      hostView(dtype, this.#upload, byteOffset, value.length).set(value);
    }
    if (inputBuffer) gpu.device.queue.writeBuffer(inputBuffer, 0, this.#upload);
  }

  #refreshBindGroups(): void {
    const { workspace, dispatches } = this.#parts;
    if (workspace.generation === this.#generation) return;
    this.#bindGroups = dispatches.map((dispatch) => dispatch.bind());
    this.#generation = workspace.generation;
  }

  async #readBack(reads: readonly string[]): Promise<Record<string, HostArray>> {
    const { gpu } = this.#parts;
    const staging = this.#parts.stagingBuffer!;
    await staging.mapAsync(MAP_READ).catch((error) => {
      gpu.assertHealthy("reading results");
      throw error;
    });
    const range = staging.getMappedRange();
    const values = Object.fromEntries(reads.map((name) => {
      const { dtype, shape, byteOffsetInStaging } = this.#output(name);
      return [name, hostView(dtype, range, byteOffsetInStaging, size(shape)).slice()];
    }));
    staging.unmap();
    gpu.assertHealthy();
    return values;
  }
}

function dtypeOf(value: HostArray): ComputeDType {
  return value instanceof Float32Array ? "f32" : value instanceof Int32Array ? "i32" : "u32";
}

function hostView(
  dtype: ComputeDType,
  buffer: ArrayBuffer,
  byteOffset: number,
  length: number,
): HostArray {
  if (dtype === "f32") return new Float32Array(buffer, byteOffset, length);
  if (dtype === "i32") return new Int32Array(buffer, byteOffset, length);
  return new Uint32Array(buffer, byteOffset, length);
}
