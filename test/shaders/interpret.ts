/**
 * Runs a graph on the CPU, every dispatch of it through the race detector.
 *
 * The dispatches are those that `compile` would encode for the device, on memory laid out by the same
 * plan of windows and in-place results; only the reuse of memory between tensors is left out.
 */

import type { Gpu } from "../../src/gpu/device.ts";
import { asInput, asVariable } from "../../src/graph/leaves.ts";
import { executionOrder } from "../../src/graph/order.ts";
import type { HostArray } from "../../src/graph/program.ts";
import { simplify } from "../../src/graph/rewrite.ts";
import { isScratch, planSteps } from "../../src/graph/steps.ts";
import { byteLength, type Dispatch, type Scratch, type Tensor } from "../../src/graph/tensor.ts";
import { raceCheck } from "./race.ts";

/** What an interpreted run found. */
export interface Interpretation {
  /** Races and divergent barriers, each with its op and shader; none in a sound graph. */
  readonly problems: string[];
  /** The outputs, as the shaders computed them. */
  readonly values: Readonly<Record<string, HostArray>>;
}

/**
 * Runs a small graph: every invocation costs about 0.1 ms.
 *
 * @param gpu chooses the kernels; nothing runs on it
 * @param leaves values of inputs and variables, by name; variables start at zero if not given
 */
export function interpret(
  gpu: Gpu,
  outputs: Readonly<Record<string, Tensor>>,
  leaves: Readonly<Record<string, HostArray>>,
): Interpretation {
  const names = Object.keys(outputs);
  const roots = simplify(Object.values(outputs));
  const { steps, home } = planSteps(executionOrder(roots), gpu);

  const memory = new Map<Tensor | Scratch, Uint8Array>();
  const allocated = (owner: Tensor | Scratch): Uint8Array => {
    let bytes = memory.get(owner);
    if (!bytes) {
      // Room for the last tensor to be read four elements at a time.
      bytes = new Uint8Array(bytesOf(owner) + 16);
      const name = isScratch(owner) ? undefined : (asInput(owner) ?? asVariable(owner))?.name;
      const value = name === undefined ? undefined : leaves[name];
      if (value) bytes.set(new Uint8Array(value.buffer, value.byteOffset, value.byteLength));
      memory.set(owner, bytes);
    }
    return bytes;
  };
  const view = (place: Tensor | Scratch): Uint8Array => {
    const { tensor, byteOffset } = isScratch(place)
      ? { tensor: place, byteOffset: 0 }
      : home(place);
    const length = Math.ceil(bytesOf(place) / 16) * 16;
    return allocated(tensor).subarray(byteOffset, byteOffset + length);
  };

  const problems = steps.flatMap(({ node, dispatches }) =>
    dispatches.flatMap((dispatch) => {
      const found = raceCheck(onHost(dispatch, view));
      return found.map((problem) => `${node.op.name}, shader ${dispatch.shader.name}: ${problem}`);
    })
  );
  const values = Object.fromEntries(
    names.map((name, i) => [name, valuesOf(roots[i], view(roots[i]))]),
  );
  return { problems, values };
}

function onHost(dispatch: Dispatch, view: (place: Tensor | Scratch) => Uint8Array) {
  const { shader, entry = "main", constants, uniforms, workgroups } = dispatch;
  const bindings = Object.fromEntries(
    Object.entries(dispatch.bindings).map(([name, place]) => [name, view(place)]),
  );
  return { source: shader.source, entry, constants, uniforms, workgroups, bindings };
}

function valuesOf({ dtype, shape }: Tensor, bytes: Uint8Array): HostArray {
  const length = shape.reduce((product, axis) => product * axis, 1);
  const { buffer } = bytes.slice();
  if (dtype === "f32") return new Float32Array(buffer, 0, length);
  return dtype === "i32" ? new Int32Array(buffer, 0, length) : new Uint32Array(buffer, 0, length);
}

function bytesOf(place: Tensor | Scratch): number {
  return isScratch(place) ? place.scratchBytes : byteLength(place);
}
