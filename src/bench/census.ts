/**
 * What a framework asks of WebGPU, counted where it asks: the same way for this project and for others.
 *
 * The methods of WebGPU's own classes are replaced while a census is taken, and put back afterwards.
 * Memory is that of buffers that exist, whoever manages what lies in them.
 */

/** Counts of what was done while a census was taken. */
export interface Census {
  dispatches: number;
  submits: number;
  /** Buffers mapped for the host to read. */
  readbacks: number;
  /** The most bytes of buffers made meanwhile that existed at once. */
  peakBytes: number;
}

/**
 * Counts what `work` does.
 *
 * @returns what `work` returned, and the counts; zeros where WebGPU's classes are not global (Dawn's bindings)
 */
export async function takeCensus<T>(work: () => Promise<T>): Promise<[T, Census]> {
  const census: Census = { dispatches: 0, submits: 0, readbacks: 0, peakBytes: 0 };
  if (!("GPUDevice" in globalThis)) return [await work(), census];
  const live = new Map<GPUBuffer, number>();
  let bytes = 0;
  const restore = [
    observe(GPUComputePassEncoder, "dispatchWorkgroups", () => census.dispatches++),
    observe(GPUComputePassEncoder, "dispatchWorkgroupsIndirect", () => census.dispatches++),
    observe(GPUQueue, "submit", () => census.submits++),
    observe(GPUBuffer, "mapAsync", () => census.readbacks++),
    observe(GPUDevice, "createBuffer", (_, buffer) => {
      const { size } = buffer as GPUBuffer;
      live.set(buffer as GPUBuffer, size);
      census.peakBytes = Math.max(census.peakBytes, bytes += size);
    }),
    observe(GPUBuffer, "destroy", (buffer) => {
      bytes -= live.get(buffer as GPUBuffer) ?? 0;
      live.delete(buffer as GPUBuffer);
    }),
  ];
  try {
    return [await work(), census];
  } finally {
    for (const undo of restore) undo();
  }
}

/** Calls `tell` after each call of a class's method, with the object and what it returned. */
function observe<K extends string>(
  { prototype }: { readonly prototype: { [method in K]: unknown } },
  method: K,
  tell: (object: unknown, result: unknown) => void,
): () => void {
  const original = prototype[method] as (...args: unknown[]) => unknown;
  prototype[method] = function (this: unknown, ...args: unknown[]): unknown {
    const result = original.apply(this, args);
    tell(this, result);
    return result;
  };
  return () => {
    prototype[method] = original;
  };
}
