/**
 * What a WGSL source says about itself: bindings and uniform fields.
 *
 * Invariant: a binding or a uniform field is written once, in the shader. Everything the host needs
 * (layouts, offsets, which entry point uses what) is read back from there.
 */

// @ts-types="npm:wgsl_reflect@1.6.0"
import { ResourceType, type VariableInfo, WgslReflect } from "wgsl_reflect";

/** A storage buffer that an entry point uses. */
export interface StorageBinding {
  readonly name: string;
  readonly binding: number;
  /** False for `var<storage, read>`. */
  readonly writable: boolean;
}

/** The uniform struct of an entry point: field name → byte offset and type. */
export interface UniformBlock {
  readonly binding: number;
  readonly byteLength: number;
  readonly fields: ReadonlyMap<string, { offset: number; type: "u32" | "i32" | "f32" }>;
}

/** Resources of one entry point, all in group 0. */
export interface EntryPoint {
  readonly name: string;
  readonly storage: readonly StorageBinding[];
  readonly uniforms: UniformBlock | undefined;
  /** Names of the override constants that it may be given. */
  readonly constants: ReadonlySet<string>;
}

const parsed = new Map<string, WgslReflect>();

/** Reflects one entry point. Throws if the source has no such compute entry point. */
export function reflect(source: string, entryName: string): EntryPoint {
  let reflection = parsed.get(source);
  if (!reflection) parsed.set(source, reflection = new WgslReflect(source));
  const entry = reflection.entry.compute.find(({ name }) => name === entryName);
  if (!entry) throw new Error(`The shader has no compute entry point "${entryName}".`);

  const storage: StorageBinding[] = [];
  let uniforms: UniformBlock | undefined;
  for (const resource of entry.resources) {
    if (resource.resourceType === ResourceType.Storage) {
      const writable = resource.access === "read_write";
      storage.push({ name: resource.name, binding: resource.binding, writable });
    } else if (resource.resourceType === ResourceType.Uniform) {
      uniforms = uniformBlock(resource);
    }
  }
  const constants = new Set(reflection.overrides.map(({ name }) => name));
  return { name: entryName, storage, uniforms, constants };
}

/** Writes values into a uniform block's bytes. Every field must be given, and nothing else. */
export function packUniforms(
  block: UniformBlock,
  values: Readonly<Record<string, number>>,
  target: DataView,
): void {
  for (const name of Object.keys(values)) {
    if (!block.fields.has(name)) throw new Error(`The uniform block has no field "${name}".`);
  }
  for (const [name, { offset, type }] of block.fields) {
    const value = values[name];
    if (value === undefined) throw new Error(`The uniform field "${name}" was not given.`);
    if (type === "f32") target.setFloat32(offset, value, true);
    else if (type === "i32") target.setInt32(offset, value, true);
    else target.setUint32(offset, value, true);
  }
}

function uniformBlock(resource: VariableInfo): UniformBlock {
  const fields = new Map<string, { offset: number; type: "u32" | "i32" | "f32" }>();
  for (const { name, offset, type } of resource.members ?? []) {
    if (type.name !== "u32" && type.name !== "i32" && type.name !== "f32") {
      throw new Error(`Uniform field "${name}" must be a scalar, not ${type.name}.`);
    }
    fields.set(name, { offset, type: type.name });
  }
  return { binding: resource.binding, byteLength: Math.ceil(resource.size / 16) * 16, fields };
}
