/**
 * A model's parameters on the device.
 *
 * Parameters lie side by side in a few flat variables, the slabs. Trainable ones have slabs of the same
 * layout for their gradients and moments: clipping and the optimiser then are a few dispatches whatever the
 * number of parameters. Frozen ones cost nothing else; they may be stored as f16, to be widened where they
 * are read. The parts of a module are neighbours, so that one product can read them all as one matrix.
 *
 * Every parameter starts at a multiple of the alignment of bindings; the gaps are zero in every slab and
 * stay so. A frozen matrix that is larger than what the device binds is in slices of rows, each in a slab of its own.
 */

import { UserError } from "../errors.ts";
import type { Gpu } from "../gpu/device.ts";
import { float16ToFloat32 } from "../io/half.ts";
import { read, type Variable } from "./leaves.ts";
import { ALIGNMENT } from "./steps.ts";
import { slices } from "./ops/slices.ts";
import { window } from "./ops/window.ts";
import { elementBytes, type Shape, size, type Tensor } from "./tensor.ts";
import { createVariable, readRanges, roundToHalf, wholeWords, writeVariable } from "./variables.ts";

/**
 * Bytes of a slab unless a module needs more: the largest buffer that every WebGPU device makes, since
 * memory in larger pieces is harder to come by.
 */
const ORDINARY_SLAB = 2 ** 28;

/** A parameter's place in a slab, or that of a slice of it. */
export interface SlabEntry {
  readonly name: string;
  readonly shape: Shape;
  /** In elements. */
  readonly offset: number;
}

/** Parameters that share one flat variable. */
export interface Slab {
  readonly variable: Variable;
  /** Elements, gaps included. */
  readonly length: number;
  readonly entries: readonly SlabEntry[];
}

/** What is needed to make room for a parameter. */
export interface ParameterDescription {
  /** Neighbours whose names differ in the last two parts alone, as in "attention.q.weight", are of one module. */
  readonly name: string;
  readonly shape: Shape;
  readonly trainable: boolean;
  /** f32 unless given; f16 is for frozen parameters that only products and embeddings read. */
  readonly storage?: Storage | undefined;
}

type Storage = "f32" | "f16";

/** See the module's header. */
export class Parameters {
  /** The slabs of trainable parameters. */
  readonly slabs: readonly Slab[];
  readonly #frozen: readonly Slab[];
  readonly #entries = new Map<string, { places: readonly Place[]; tensor: Tensor }>();

  constructor(readonly gpu: Gpu, readonly descriptions: readonly ParameterDescription[]) {
    for (const { name, trainable, storage } of descriptions) {
      if (trainable && storage === "f16") {
        throw new Error(`The parameter "${name}" is trained: it must be stored as f32.`);
      }
    }
    const frozen = (dtype: Storage) =>
      descriptions.filter(({ trainable, storage = "f32" }) => !trainable && storage === dtype);
    this.slabs = layOut(gpu, "trainable", descriptions.filter(({ trainable }) => trainable));
    this.#frozen = [
      ...layOut(gpu, "frozen", frozen("f32")),
      ...layOut(gpu, "frozen", frozen("f16"), "f16"),
    ];
    const places = this.#all.flatMap((slab) =>
      slab.entries.map((entry): Place => ({ slab, entry }))
    );
    for (const [name, own] of Map.groupBy(places, ({ entry }) => entry.name)) {
      const parts = own.map(({ slab, entry: { offset, shape } }) =>
        window(read(slab.variable), offset, shape)
      );
      this.#entries.set(name, {
        places: own,
        tensor: parts.length === 1 ? parts[0] : slices(name, parts),
      });
    }
  }

  /** Names of the parameters that training changes, in order. */
  get trainable(): string[] {
    return this.descriptions.filter(({ trainable }) => trainable).map(({ name }) => name);
  }

  /** Bytes on the device. */
  get bytes(): number {
    return this.#all.reduce((sum, { variable }) => sum + variable.buffer.size, 0);
  }

  /** The parameter as a tensor, always the same one for a name. */
  tensor(name: string): Tensor {
    return this.#find(name).tensor;
  }

  /**
   * Gives a parameter new values, rounded to nearest, ties to even, where it is stored as f16.
   *
   * @throws {UserError} naming the parameter where a value is beyond f16's range
   */
  write(name: string, values: Float32Array): void {
    this.#write(name, this.#dtype(name) === "f16" ? roundToHalf(name, values) : values);
  }

  /** Gives a parameter the values of IEEE binary16 bit patterns: exact however it is stored. */
  writeHalf(name: string, bits: Uint16Array): void {
    this.#write(name, this.#dtype(name) === "f16" ? bits : float16ToFloat32(bits));
  }

  #write(name: string, values: Float32Array | Uint16Array): void {
    const { places, tensor: { shape } } = this.#find(name);
    if (values.length !== size(shape)) {
      throw new Error(
        `The parameter "${name}" [${shape.join(", ")}] cannot take ${values.length} values.`,
      );
    }
    let begin = 0;
    for (const { slab, entry } of places) {
      const part = values.subarray(begin, begin += size(entry.shape));
      // What makes halves whole words falls into the gap.
      writeVariable(this.gpu, slab.variable, wholeWords(part), entry.offset);
    }
  }

  /** The values of the named parameters, or of all, in f32 however they are stored. */
  async read(names?: readonly string[]): Promise<Map<string, Float32Array>> {
    const wanted = new Set(names ?? this.descriptions.map(({ name }) => name));
    const slabs = new Set(
      Array.from(wanted).flatMap((name) => this.#find(name).places.map(({ slab }) => slab)),
    );
    const values = new Map<string, Float32Array>();
    for (const { variable, entries } of slabs) {
      const found = entries.filter(({ name }) => wanted.has(name));
      const parts = await readEntries(this.gpu, variable, found);
      for (const [name, part] of parts) {
        const before = values.get(name);
        values.set(name, before ? joined(before, part) : part);
      }
    }
    return new Map(Array.from(wanted, (name) => [name, values.get(name)!]));
  }

  /** The parts of any variable that is laid out like a slab (its gradients, its moments). */
  readSlab(variable: Variable, { entries }: Slab): Promise<Map<string, Float32Array>> {
    return readEntries(this.gpu, variable, entries);
  }

  /** Gives the parameters' memory back. */
  destroy(): void {
    for (const { variable } of this.#all) variable.buffer.destroy();
  }

  get #all(): Slab[] {
    return [...this.slabs, ...this.#frozen];
  }

  #find(name: string) {
    const found = this.#entries.get(name);
    if (!found) throw new Error(`The model has no parameter "${name}".`);
    return found;
  }

  #dtype(name: string) {
    return this.#find(name).tensor.dtype;
  }
}

/** Where a parameter is, or a slice of it. */
interface Place {
  readonly slab: Slab;
  readonly entry: SlabEntry;
}

function joined(a: Float32Array, b: Float32Array): Float32Array {
  const both = new Float32Array(a.length + b.length);
  both.set(a);
  both.set(b, a.length);
  return both;
}

async function readEntries(
  gpu: Gpu,
  variable: Variable,
  entries: readonly SlabEntry[],
): Promise<Map<string, Float32Array>> {
  const ranges = entries.map(({ offset, shape }) => ({ variable, offset, length: size(shape) }));
  const values = await readRanges(gpu, ranges) as Float32Array[];
  return new Map(entries.map(({ name }, i) => [name, values[i]]));
}

/** Packs parameters into few slabs that can be bound whole, modules unparted where one slab can hold them. */
function layOut(
  gpu: Gpu,
  kind: "trainable" | "frozen",
  descriptions: readonly ParameterDescription[],
  dtype: Storage = "f32",
): Slab[] {
  const unit = ALIGNMENT / elementBytes(dtype);
  const limit = bindingLimit(gpu);
  const elements = (bytes: number) => Math.floor(bytes / ALIGNMENT) * unit;
  const most = elements(limit), capacity = elements(Math.min(limit, ORDINARY_SLAB));
  const room = ({ shape }: ParameterDescription) => Math.ceil(size(shape) / unit) * unit;
  const sliced = descriptions.flatMap((description) => slicesOf(description, gpu, dtype));
  const layouts: { length: number; entries: SlabEntry[] }[] = [];
  const begin = () => {
    const layout = { length: 0, entries: [] };
    layouts.push(layout);
    return layout;
  };
  for (const module of modulesOf(sliced)) {
    const total = module.reduce((sum, description) => sum + room(description), 0);
    let last = layouts.at(-1) ?? begin();
    if (last.length > 0 && last.length + total > capacity) last = begin();
    for (const description of module) {
      if (last.length > 0 && last.length + room(description) > most) last = begin();
      const { name, shape } = description;
      last.entries.push({ name, shape, offset: last.length });
      last.length += room(description);
    }
  }
  return layouts.map(({ length, entries }, i) => {
    // An error that something is too large should name it.
    const name = entries.length === 1 ? entries[0].name : `${kind} parameters ${i}`;
    return { variable: createVariable(gpu, name, [length], dtype), length, entries };
  });
}

/** Rows of slices are multiples of so many, so that what is made of each begins where vectors do. */
const SLICE_ROWS = 64;

/** A parameter in pieces that can be bound, all of its name: itself where that is small enough. */
function slicesOf(
  description: ParameterDescription,
  gpu: Gpu,
  dtype: Storage,
): ParameterDescription[] {
  const { name, shape, trainable } = description;
  const limit = bindingLimit(gpu), bytes = elementBytes(dtype) * size(shape);
  if (bytes <= limit) return [description];
  const [rows, columns] = shape;
  const length = Math.floor(limit / elementBytes(dtype) / columns / SLICE_ROWS) * SLICE_ROWS;
  if (trainable || shape.length !== 2 || length === 0) {
    throw new UserError(
      `the parameter "${name}" [${shape.join(", ")}] has ${bytes} bytes and ${gpu.adapterName} ` +
        `binds at most ${limit} at once: ${
          trainable ? "leave it frozen, or use" : "use"
        } another ` +
        `adapter`,
    );
  }
  return Array.from({ length: Math.ceil(rows / length) }, (_, i) => ({
    ...description,
    shape: [Math.min(length, rows - i * length), columns],
  }));
}

/** Bytes that one binding can have, and its buffer. */
function bindingLimit({ limits }: Gpu): number {
  return Math.min(limits.maxStorageBufferBindingSize, limits.maxBufferSize);
}

/** Neighbours whose names differ in the last two parts alone. */
function modulesOf(descriptions: readonly ParameterDescription[]): ParameterDescription[][] {
  const modules: { name: string; members: ParameterDescription[] }[] = [];
  for (const description of descriptions) {
    const name = description.name.split(".").slice(0, -2).join(".");
    const last = modules.at(-1);
    if (last?.name === name) last.members.push(description);
    else modules.push({ name, members: [description] });
  }
  return modules.map(({ members }) => members);
}
