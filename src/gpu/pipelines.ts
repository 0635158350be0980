/**
 * Compute pipelines, made once per device, source, entry point and constants.
 *
 * Layouts are explicit and built from the shader's own declarations, so that a binding which one
 * variant leaves unused still has its place.
 */

import type { Gpu } from "./device.ts";
import { typedError } from "./errors.ts";
import { type EntryPoint, reflect } from "./reflection.ts";

/** A pipeline with what is needed to bind and feed it. */
export interface Pipeline {
  readonly label: string;
  readonly pipeline: GPUComputePipeline;
  readonly layout: GPUBindGroupLayout;
  readonly entry: EntryPoint;
}

/** Which pipeline is wanted. */
export interface PipelineDescription {
  /** Appears in errors and profiles. */
  readonly name: string;
  readonly source: string;
  readonly entry: string;
  readonly constants: Readonly<Record<string, number>>;
}

const caches = new WeakMap<GPUDevice, Map<string, Promise<Pipeline>>>();

/**
 * The pipeline for a description, from the device's cache or newly compiled.
 *
 * @throws {ValidationError} naming the shader and entry point when it does not compile
 */
export function pipelineFor(gpu: Gpu, description: PipelineDescription): Promise<Pipeline> {
  let cache = caches.get(gpu.device);
  if (!cache) caches.set(gpu.device, cache = new Map());
  const { name, source, entry, constants } = description;
  const key = JSON.stringify([name, entry, Object.entries(constants).sort(), source]);
  let pipeline = cache.get(key);
  if (!pipeline) cache.set(key, pipeline = createPipeline(gpu, description));
  return pipeline;
}

async function createPipeline(gpu: Gpu, description: PipelineDescription): Promise<Pipeline> {
  const { device } = gpu;
  const { name, source, constants } = description;
  const entry = reflect(source, description.entry);
  for (const constant of Object.keys(constants)) {
    if (!entry.constants.has(constant)) {
      throw new Error(`The shader ${name} has no override constant "${constant}".`);
    }
  }
  const label = entry.name === "main" ? name : `${name}.${entry.name}`;
  device.pushErrorScope("validation");
  const layout = device.createBindGroupLayout({ label, entries: layoutEntries(entry) });
  const creation = device.createComputePipelineAsync({
    label,
    layout: device.createPipelineLayout({ label, bindGroupLayouts: [layout] }),
    compute: {
      module: device.createShaderModule({
        label,
        code: withoutDeadLines(withEnables(gpu, source), constants),
      }),
      entryPoint: entry.name,
      constants,
    },
  });
  const scope = device.popErrorScope();
  const pipeline = await creation.catch((error: Error) => error);
  const invalid = await scope;
  gpu.assertHealthy(`the shader ${label}`);
  if (invalid) throw typedError(`the shader ${label}`, invalid);
  if (pipeline instanceof Error) throw typedError(`the shader ${label}`, pipeline);
  return { label, pipeline, layout, entry };
}

/**
 * The source without the lines `if (constant) { … }` and `if (!constant && …) { … }` that the constants make
 * dead. Compilers would find them too, but only once they had copied them to wherever their function is
 * called: on llvmpipe the matrix products' epilogues, inlined 64 times, took two thirds of the time until a
 * pipeline was there.
 */
function withoutDeadLines(source: string, constants: Readonly<Record<string, number>>): string {
  return Object.entries(constants).reduce((code, [name, value]) => {
    const never = value ? `!${name}` : name;
    return code.replace(new RegExp(`^ *if \\(${never}(?: && [^{}]*)?\\) \\{[^{}]*\\}\n`, "gm"), "");
  }, source);
}

/** Adds the `enable` lines that the source needs on this device; the files are kept free of them. */
function withEnables(gpu: Gpu, source: string): string {
  const needsSubgroups = gpu.enableSubgroupsLine &&
    /\bsubgroup[A-Z]\w*\s*\(|\bsubgroup_\w+\b/.test(source);
  const needsHalf = /\bf16\b/.test(source);
  return `${needsSubgroups ? "enable subgroups;\n" : ""}${
    needsHalf ? "enable f16;\n" : ""
  }${source}`;
}

function layoutEntries(entry: EntryPoint): GPUBindGroupLayoutEntry[] {
  const visibility = 4; // GPUShaderStage.COMPUTE, spelt out because Dawn's bindings have no globals
  const entries: GPUBindGroupLayoutEntry[] = entry.storage.map(({ binding, writable }) => ({
    binding,
    visibility,
    buffer: { type: writable ? "storage" : "read-only-storage" },
  }));
  if (entry.uniforms) {
    entries.push({ binding: entry.uniforms.binding, visibility, buffer: { type: "uniform" } });
  }
  return entries;
}
