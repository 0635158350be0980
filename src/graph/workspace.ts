/**
 * Memory for intermediate tensors, shared by all programs of a device.
 *
 * Programs never overlap in time (the queue runs them in order), so one set of arenas, as large as the
 * hungriest program needs, serves them all. `generation` counts the replacements of a buffer: a program
 * that sees a new one binds again before it runs.
 */

import type { Gpu } from "../gpu/device.ts";
import { STORAGE } from "../gpu/usage.ts";

/** The arenas of one device. */
export class Workspace {
  generation = 0;
  #buffers: GPUBuffer[] = [];

  constructor(readonly gpu: Gpu) {}

  /** Makes every arena at least as large as asked for. What was in a replaced one is lost. */
  reserve(arenaBytes: readonly number[]): void {
    arenaBytes.forEach((bytes, arena) => {
      const old = this.#buffers[arena];
      if (old && old.size >= bytes) return;
      old?.destroy();
      this.#buffers[arena] = this.gpu.device.createBuffer({
        label: `workspace arena ${arena}`,
        size: bytes,
        usage: STORAGE,
      });
      this.generation++;
    });
  }

  /** The buffer of an arena, as it is now. */
  buffer(arena: number): GPUBuffer {
    return this.#buffers[arena];
  }

  /** Bytes held on the device. */
  get bytes(): number {
    return this.#buffers.reduce((sum, buffer) => sum + buffer.size, 0);
  }

  /** Gives all arenas back. */
  destroy(): void {
    for (const buffer of this.#buffers) buffer.destroy();
    this.#buffers = [];
    this.generation++;
  }
}

const workspaces = new WeakMap<GPUDevice, Workspace>();

/** The workspace of a device. */
export function workspaceOf(gpu: Gpu): Workspace {
  let workspace = workspaces.get(gpu.device);
  if (!workspace) workspaces.set(gpu.device, workspace = new Workspace(gpu));
  return workspace;
}
