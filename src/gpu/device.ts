/**
 * Getting a GPU, in a page or in Deno.
 *
 * Invariant: a `Gpu` has every limit and optional feature that its adapter can give and this project
 * can use, so that kernels choose their variant from it alone. Nothing is assumed beyond the defaults
 * of the specification. Errors that no scope caught and the loss of the device are kept here until
 * `assertHealthy` throws them: WebGPU reports them late, and to nobody in particular.
 */

import { type DeviceLostError, type GpuError, lostError, typedError } from "./errors.ts";

/** Where to look for an adapter. */
export interface DeviceOptions {
  /** The WebGPU entry point; `navigator.gpu` unless given (Dawn's bindings, for one). */
  gpu?: GPU;
  /** A particular adapter, taken as it is. */
  adapter?: GPUAdapter;
}

/** Optional features, `false` where every kernel must do without. */
export interface GpuFeatures {
  /** `enable f16;` is allowed in shaders. */
  readonly f16: boolean;
  /** Subgroup operations are allowed in shaders. */
  readonly subgroups: boolean;
  /** Compute passes can write timestamps. */
  readonly timestamps: boolean;
}

/** A device, what it can do, and its state of health. */
export interface Gpu {
  readonly device: GPUDevice;
  /** As the driver calls it: "llvmpipe (LLVM 15.0.6, 256 bits)", "apple metal-3". */
  readonly adapterName: string;
  /** The adapter is a program on the CPU (llvmpipe, SwiftShader, WARP): right, but slow. */
  readonly isCpu: boolean;
  readonly features: GpuFeatures;
  readonly limits: GPUSupportedLimits;
  /** Lanes per subgroup; both 1 where there are no subgroups. */
  readonly subgroupSize: { readonly min: number; readonly max: number };
  /** Whether shaders with subgroups must begin with `enable subgroups;` (Chromium) or must not (Deno). */
  readonly enableSubgroupsLine: boolean;
  /** Resolves when the device is lost other than by `destroy`. */
  readonly lost: Promise<DeviceLostError>;
  /** Throws the loss of the device, or else the first error that no scope caught. */
  assertHealthy(operation?: string): void;
  /** Gives the device and all its buffers back. */
  destroy(): void;
}

/** Limits a kernel may profit from; the others stay at their defaults. */
const LIMITS = [
  "maxBindGroups",
  "maxBufferSize",
  "maxComputeInvocationsPerWorkgroup",
  "maxComputeWorkgroupSizeX",
  "maxComputeWorkgroupSizeY",
  "maxComputeWorkgroupSizeZ",
  "maxComputeWorkgroupStorageSize",
  "maxComputeWorkgroupsPerDimension",
  "maxStorageBufferBindingSize",
  "maxStorageBuffersPerShaderStage",
  "maxUniformBufferBindingSize",
] as const;

/**
 * The best adapter there is, hardware before software, with all it offers requested.
 *
 * @returns the device, or `undefined` when there is no adapter at all
 */
export async function acquireDevice(options: DeviceOptions = {}): Promise<Gpu | undefined> {
  const gpu = options.gpu ?? globalThis.navigator?.gpu;
  const adapter = options.adapter ?? (gpu && await bestAdapter(gpu));
  if (!adapter) return undefined;
  const device = await requestDevice(adapter);
  return new AcquiredGpu(adapter, device, await subgroupSyntax(device));
}

/** One line for people: the adapter, whether it is a CPU, and the optional features. */
export function describe(gpu: Gpu): string {
  const { min, max } = gpu.subgroupSize;
  const features = [
    gpu.features.f16 && "f16",
    gpu.features.subgroups && `subgroups of ${min === max ? min : `${min} to ${max}`}`,
    gpu.features.timestamps && "timestamps",
  ].filter(Boolean).join(", ");
  const kind = gpu.isCpu ? ", a CPU adapter" : "";
  return `${gpu.adapterName}${kind}${features && `: ${features}`}`;
}

/**
 * Runs `f`, which issues GPU commands without awaiting anything, and waits for the verdict.
 *
 * @param what names the work in errors: an op, a kernel, a buffer's label
 * @throws {ValidationError | OutOfMemoryError | DeviceLostError} what WebGPU reports on it
 */
export async function checked<T>(gpu: Gpu, what: string, f: () => T): Promise<T> {
  const { device } = gpu;
  const filters = ["validation", "out-of-memory", "internal"] as const;
  for (const filter of filters) device.pushErrorScope(filter);
  let result: T;
  let errors: (GPUError | null)[] = [];
  try {
    result = f();
  } finally {
    errors = await Promise.all(filters.map(() => device.popErrorScope()));
  }
  const error = errors.find((error) => error !== null);
  // A lost device may first show as a tiny buffer that cannot be made: the loss is the truer cause.
  gpu.assertHealthy(what);
  if (error) throw typedError(what, error);
  return result;
}

class AcquiredGpu implements Gpu {
  readonly adapterName: string;
  readonly isCpu: boolean;
  readonly features: GpuFeatures;
  readonly limits: GPUSupportedLimits;
  readonly subgroupSize: { readonly min: number; readonly max: number };
  readonly enableSubgroupsLine: boolean;
  readonly lost: Promise<DeviceLostError>;
  #loss: GPUDeviceLostInfo | undefined;
  #uncaught: GpuError | undefined;

  constructor(adapter: GPUAdapter, readonly device: GPUDevice, syntax: SubgroupSyntax) {
    const { info } = adapter;
    const subgroups = syntax !== "none";
    this.adapterName = adapterName(info);
    this.isCpu = isCpuAdapter(adapter);
    this.features = {
      f16: device.features.has("shader-f16"),
      subgroups,
      timestamps: device.features.has("timestamp-query"),
    };
    this.limits = device.limits;
    this.subgroupSize = subgroups
      ? { min: info.subgroupMinSize ?? 4, max: info.subgroupMaxSize ?? 128 }
      : { min: 1, max: 1 };
    this.enableSubgroupsLine = syntax === "with enable line";
    device.addEventListener("uncapturederror", (event) => {
      event.preventDefault();
      this.#uncaught ??= typedError("an earlier command", event.error);
    });
    this.lost = new Promise((resolve) => {
      device.lost.then((info) => {
        this.#loss = info;
        if (info.reason !== "destroyed") resolve(lostError("the GPU", info));
      });
    });
  }

  assertHealthy(operation = "the GPU"): void {
    if (this.#loss) throw lostError(operation, this.#loss);
    if (this.#uncaught) throw this.#uncaught;
  }

  destroy(): void {
    this.device.destroy();
  }
}

function adapterName(info: GPUAdapterInfo): string {
  // Pages are told the vendor and the architecture only; Deno's vendor is a bare PCI number.
  return info.description || [info.vendor, info.architecture].filter(Boolean).join(" ") ||
    "unnamed";
}

function isCpuAdapter({ info }: GPUAdapter): boolean {
  const name = `${info.description} ${info.vendor} ${info.architecture} ${info.device}`;
  return info.isFallbackAdapter || /llvmpipe|softpipe|swiftshader|warp|basic render/i.test(name);
}

async function bestAdapter(gpu: GPU): Promise<GPUAdapter | undefined> {
  let software: GPUAdapter | undefined;
  // A page is given the fallback adapter only when it asks for it by name.
  const wishes: GPURequestAdapterOptions[] = [
    { powerPreference: "high-performance" },
    {},
    { forceFallbackAdapter: true },
  ];
  for (const wish of wishes) {
    const adapter = await gpu.requestAdapter(wish);
    if (adapter && !isCpuAdapter(adapter)) return adapter;
    software ??= adapter ?? undefined;
  }
  return software;
}

async function requestDevice(adapter: GPUAdapter): Promise<GPUDevice> {
  const requiredLimits: Record<string, number> = {};
  for (const name of LIMITS) {
    const limit = adapter.limits[name];
    if (limit !== undefined) requiredLimits[name] = limit;
  }
  const listed = (["shader-f16", "timestamp-query"] as GPUFeatureName[])
    .filter((feature) => adapter.features.has(feature));
  try {
    // Deno's wgpu grants subgroups on Vulkan without listing them, so listing is no guide.
    return await adapter.requestDevice({
      requiredFeatures: [...listed, "subgroups" as GPUFeatureName],
      requiredLimits,
    });
  } catch {
    return await adapter.requestDevice({ requiredFeatures: listed, requiredLimits });
  }
}

type SubgroupSyntax = "none" | "with enable line" | "without enable line";

/** Finds out by compiling whether subgroups work, and whether they need their `enable` line. */
async function subgroupSyntax(device: GPUDevice): Promise<SubgroupSyntax> {
  if (!device.features.has("subgroups")) return "none";
  const shader = `@compute @workgroup_size(32) fn main() { _ = subgroupAdd(1u); }`;
  if (await compiles(device, `enable subgroups;\n${shader}`)) return "with enable line";
  return await compiles(device, shader) ? "without enable line" : "none";
}

async function compiles(device: GPUDevice, code: string): Promise<boolean> {
  device.pushErrorScope("validation");
  device.createShaderModule({ label: "subgroup probe", code });
  return await device.popErrorScope() === null;
}
