/**
 * What can go wrong on the GPU, as typed errors.
 *
 * Invariant: every error that WebGPU reports reaches the caller as one of these, naming the operation
 * and, where the driver tells, the buffer. WebGPU itself reports asynchronously and never throws, so
 * nothing here is raised by a driver call directly: see `checked` and `Gpu.assertHealthy` in device.ts.
 */

/** Something the GPU or its driver refused. The subclasses tell the kinds apart. */
export class GpuError extends Error {
  override name = "GpuError";
  /** What was being done: an op, a kernel, an upload. */
  readonly operation: string;
  /** Label of the buffer concerned, where the driver names one. */
  readonly buffer: string | undefined;

  constructor(operation: string, sentence: string, buffer?: string) {
    super(`${operation}: ${sentence}`);
    this.operation = operation;
    this.buffer = buffer;
  }
}

/** A command broke a rule of WebGPU: a defect of the code that issued it, not of the machine. */
export class ValidationError extends GpuError {
  override name = "ValidationError";
}

/** The GPU has no memory left for what was asked. */
export class OutOfMemoryError extends GpuError {
  override name = "OutOfMemoryError";
}

/** The GPU is gone: driver reset, removed, or out of memory beyond recovery. A new `Gpu` is needed. */
export class DeviceLostError extends GpuError {
  override name = "DeviceLostError";
}

/** The typed error for a `GPUError` reported while `operation` ran. */
export function typedError(operation: string, error: GPUError): GpuError {
  const report = firstLines(error.message);
  const buffer = bufferLabel(error.message);
  const where = buffer === undefined ? "" : ` (buffer "${buffer}")`;
  if (isKind(error, "GPUOutOfMemoryError")) {
    return new OutOfMemoryError(
      operation,
      `the GPU is out of memory${where}; use a smaller batch or a shorter sequence. ${report}`
        .trim(),
      buffer,
    );
  }
  if (isKind(error, "GPUValidationError")) {
    return new ValidationError(operation, `WebGPU refused it${where}: ${report}`, buffer);
  }
  return new GpuError(operation, `the GPU driver failed${where}: ${report}`, buffer);
}

/** The typed error for a device that was lost while `operation` ran. */
export function lostError(operation: string, info: GPUDeviceLostInfo): DeviceLostError {
  const sentence = info.reason === "destroyed"
    ? "the device was already destroyed"
    : `the GPU device was lost; start again, with a smaller batch if memory was short. ${info.message}`;
  return new DeviceLostError(operation, sentence.trim());
}

/** By name rather than `instanceof`: Dawn's bindings bring classes of their own. */
function isKind(error: GPUError, name: string): boolean {
  return error.constructor.name === name;
}

/** wgpu says `Buffer with 'x' label`, Dawn and Chromium `[Buffer "x"]`. */
function bufferLabel(message: string): string | undefined {
  return message.match(/[Bb]uffer(?: with)? ['"]([^'"]+)['"]/)?.[1];
}

/** Drivers append call stacks and empty lines; a shader's error needs about this many lines. */
function firstLines(message: string, count = 12): string {
  return message.trim().split("\n").slice(0, count).join("\n");
}
