/**
 * A model's parameters on the device.
 *
 * Trainable parameters lie side by side in a few flat slabs, with slabs of the same layout for their
 * gradients and moments: clipping and the optimiser then are a few dispatches whatever the number of
 * parameters. Frozen ones have memory of their own and cost nothing else; they may be stored as f16, to
 * be widened where they are read. Every parameter starts at a multiple of 64 elements; the gaps are zero
 * in every slab and stay so.
 */

import type { Gpu } from "../gpu/device.ts";
import { float16ToFloat32 } from "../io/half.ts";
import { read, type Variable } from "./leaves.ts";
import { ALIGNMENT } from "./steps.ts";
import { window } from "./ops/window.ts";
import { type Shape, size, type Tensor } from "./tensor.ts";
import { createVariable, readVariables, writeVariable } from "./variables.ts";

/** Elements that every parameter's offset is a multiple of. */
export const SLAB_ALIGNMENT = ALIGNMENT / 4;

/** A parameter's place in a slab. */
export interface SlabEntry {
  readonly name: string;
  readonly shape: Shape;
  /** In elements. */
  readonly offset: number;
}

/** Trainable parameters that share one flat variable. */
export interface Slab {
  readonly variable: Variable;
  /** Elements, gaps included. */
  readonly length: number;
  readonly entries: readonly SlabEntry[];
}

/** What is needed to make room for a parameter. */
export interface ParameterDescription {
  readonly name: string;
  readonly shape: Shape;
  readonly trainable: boolean;
  /** f32 unless given; f16 is for frozen parameters that only products and embeddings read. */
  readonly storage?: "f32" | "f16" | undefined;
}

/** See the module's header. */
export class Parameters {
  /** The slabs of trainable parameters. */
  readonly slabs: readonly Slab[];
  readonly #frozen = new Map<string, Variable>();
  readonly #entries = new Map<string, { slab: Slab; entry: SlabEntry }>();
  readonly #tensors = new Map<string, Tensor>();

  constructor(readonly gpu: Gpu, readonly descriptions: readonly ParameterDescription[]) {
    this.slabs = layOut(gpu, descriptions.filter(({ trainable }) => trainable));
    for (const slab of this.slabs) {
      for (const entry of slab.entries) {
        this.#entries.set(entry.name, { slab, entry });
        this.#tensors.set(entry.name, window(read(slab.variable), entry.offset, entry.shape));
      }
    }
    for (const { name, shape, trainable, storage } of descriptions) {
      if (trainable && storage === "f16") {
        throw new Error(`The parameter "${name}" is trained: it must be stored as f32.`);
      }
      if (trainable) continue;
      const variable = createVariable(gpu, name, shape, storage);
      this.#frozen.set(name, variable);
      this.#tensors.set(name, read(variable));
    }
  }

  /** Names of the parameters that training changes, in order. */
  get trainable(): string[] {
    return this.descriptions.filter(({ trainable }) => trainable).map(({ name }) => name);
  }

  /** Bytes on the device. */
  get bytes(): number {
    const buffers = [...this.slabs.map(({ variable }) => variable), ...this.#frozen.values()];
    return buffers.reduce((sum, { buffer }) => sum + buffer.size, 0);
  }

  /** The parameter as a tensor, always the same one for a name. */
  tensor(name: string): Tensor {
    const tensor = this.#tensors.get(name);
    if (!tensor) throw new Error(`The model has no parameter "${name}".`);
    return tensor;
  }

  /**
   * Gives a parameter new values, rounded to nearest, ties to even, where it is stored as f16.
   *
   * @throws {UserError} naming the parameter where a value is beyond f16's range
   */
  write(name: string, values: Float32Array): void {
    this.#write(name, values);
  }

  /** Gives a parameter the values of IEEE binary16 bit patterns: exact however it is stored. */
  writeHalf(name: string, bits: Uint16Array): void {
    this.#write(name, this.tensor(name).dtype === "f16" ? bits : float16ToFloat32(bits));
  }

  #write(name: string, values: Float32Array | Uint16Array): void {
    const tensor = this.tensor(name);
    if (values.length !== size(tensor.shape)) {
      throw new Error(
        `The parameter "${name}" [${tensor.shape.join(", ")}] cannot take ${values.length} values.`,
      );
    }
    const place = this.#entries.get(name);
    if (place) writeVariable(this.gpu, place.slab.variable, values, place.entry.offset);
    else writeVariable(this.gpu, this.#frozen.get(name)!, values);
  }

  /** The values of the named parameters, or of all, in f32 however they are stored. */
  async read(names?: readonly string[]): Promise<Map<string, Float32Array>> {
    const wanted = names ?? this.descriptions.map(({ name }) => name);
    const frozen = wanted.filter((name) => this.#frozen.has(name));
    const values = new Map<string, Float32Array>();
    const frozenValues = await readVariables(
      this.gpu,
      frozen.map((name) => this.#frozen.get(name)!),
    );
    frozen.forEach((name, i) => values.set(name, frozenValues[i] as Float32Array));
    const slabNames = new Set(wanted);
    for (const slab of this.slabs) {
      if (!slab.entries.some(({ name }) => slabNames.has(name))) continue;
      const parts = await this.readSlab(slab.variable, slab);
      for (const [name, part] of parts) if (slabNames.has(name)) values.set(name, part);
    }
    return new Map(wanted.map((name) => {
      const value = values.get(name);
      if (!value) throw new Error(`The model has no parameter "${name}".`);
      return [name, value];
    }));
  }

  /** The parts of any variable that is laid out like a slab (its gradients, its moments). */
  async readSlab(variable: Variable, slab: Slab): Promise<Map<string, Float32Array>> {
    const [flat] = await readVariables(this.gpu, [variable]) as [Float32Array];
    return new Map(slab.entries.map(({ name, offset, shape }) => [
      name,
      flat.slice(offset, offset + size(shape)),
    ]));
  }

  /** Gives the parameters' memory back. */
  destroy(): void {
    for (const variable of this.#frozen.values()) variable.buffer.destroy();
    for (const { variable } of this.slabs) variable.buffer.destroy();
  }
}

/** Packs parameters into as few slabs as the adapter's binding limit allows. */
function layOut(gpu: Gpu, descriptions: readonly ParameterDescription[]): Slab[] {
  const capacity = Math.floor(gpu.limits.maxStorageBufferBindingSize / ALIGNMENT) * SLAB_ALIGNMENT;
  const layouts: { length: number; entries: SlabEntry[] }[] = [];
  for (const { name, shape } of descriptions) {
    const length = Math.ceil(size(shape) / SLAB_ALIGNMENT) * SLAB_ALIGNMENT;
    let last = layouts.at(-1);
    if (!last || last.length + length > capacity) layouts.push(last = { length: 0, entries: [] });
    last.entries.push({ name, shape, offset: last.length });
    last.length += length;
  }
  return layouts.map(({ length, entries }, i) => ({
    variable: createVariable(gpu, `trainable parameters ${i}`, [length]),
    length,
    entries,
  }));
}
