/**
 * Races in the shaders of a graph: every dispatch that `compile` would encode, run on the CPU.
 *
 * Memory is laid out by the same plan of windows and in-place results; only its reuse between tensors is
 * left out. Results are not compared: wgsl_reflect's matrix and vector arithmetic has faults of its own,
 * but which elements a shader touches depends on integers alone.
 */

import type { Gpu } from "../../src/gpu/device.ts";
import { asInput, asVariable } from "../../src/graph/leaves.ts";
import { executionOrder } from "../../src/graph/order.ts";
import type { HostArray } from "../../src/graph/program.ts";
import { simplify } from "../../src/graph/rewrite.ts";
import { isScratch, planSteps, type Steps } from "../../src/graph/steps.ts";
import { byteLength, type Dispatch, type Scratch, type Tensor } from "../../src/graph/tensor.ts";
import { raceCheck } from "./race.ts";

type Memory = Tensor | Scratch;

/** Kernels run so far, by shader, entry point and constants: once each is enough, and all is slow. */
export type Covered = Map<string, Dispatch>;

/**
 * Runs every kernel of a graph that `covered` does not hold yet, and adds it there.
 *
 * @param gpu chooses the kernels; nothing runs on it
 * @param roots outputs and effects; the graph should be of a few workgroups a dispatch
 * @param leaves values of inputs and variables by name; what isn't given is zero
 * @returns the races and divergent barriers found, as sentences
 */
export function findRaces(
  gpu: Gpu,
  roots: readonly Tensor[],
  leaves: Readonly<Record<string, HostArray>>,
  covered: Covered,
): string[] {
  const { steps, home } = planSteps(executionOrder(simplify(roots)), gpu);
  const view = hostMemory(home, leaves);
  return steps.flatMap(({ node, dispatches }) =>
    dispatches.flatMap((dispatch) => {
      const key = keyOf(dispatch);
      if (covered.has(key)) return [];
      covered.set(key, dispatch);
      const found = raceCheck(onHost(dispatch, view));
      return found.map((problem) => `${node.op.name}, shader ${dispatch.shader.name}: ${problem}`);
    })
  );
}

/** The bytes of every tensor, made and filled when first asked for. */
function hostMemory(home: Steps["home"], leaves: Readonly<Record<string, HostArray>>) {
  const memory = new Map<Memory, Uint8Array>();
  const allocated = (owner: Memory): Uint8Array => {
    let bytes = memory.get(owner);
    if (!bytes) {
      memory.set(owner, bytes = new Uint8Array(wholeVectors(bytesOf(owner))));
      const name = isScratch(owner) ? undefined : (asInput(owner) ?? asVariable(owner))?.name;
      const value = name === undefined ? undefined : leaves[name];
      if (value) bytes.set(new Uint8Array(value.buffer, value.byteOffset, value.byteLength));
    }
    return bytes;
  };
  return (place: Memory): Uint8Array => {
    if (isScratch(place)) return allocated(place);
    const { tensor, byteOffset } = home(place);
    return allocated(tensor).subarray(byteOffset, byteOffset + wholeVectors(bytesOf(place)));
  };
}

function onHost(dispatch: Dispatch, view: (place: Memory) => Uint8Array) {
  const { shader, entry = "main", constants, uniforms, workgroups } = dispatch;
  const bindings = Object.fromEntries(
    Object.entries(dispatch.bindings).map(([name, place]) => [name, view(place)]),
  );
  return { source: shader.source, entry, constants, uniforms, workgroups, bindings };
}

function keyOf({ shader, entry = "main", constants = {} }: Dispatch): string {
  return JSON.stringify([shader.name, entry, Object.entries(constants).sort()]);
}

function bytesOf(place: Memory): number {
  return isScratch(place) ? place.scratchBytes : byteLength(place);
}

/** Shaders may read any tensor four elements at a time. */
function wholeVectors(bytes: number): number {
  return Math.ceil(bytes / 16) * 16;
}
