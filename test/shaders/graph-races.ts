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

/** Graphs of more workgroups take seconds. */
const MOST_WORKGROUPS = 64;

/** Kernels already run in this process, with their constants: once each is enough, and all is slow. */
const covered = new Set<string>();

/**
 * Throws if a shader of the graph has a race or a divergent barrier. A large graph, or one whose every
 * kernel this process has checked before, passes unseen.
 *
 * @param gpu chooses the kernels; nothing runs on it
 * @param leaves values of inputs and variables by name; what isn't given is zero
 */
export function assertNoRaces(
  gpu: Gpu,
  outputs: Readonly<Record<string, Tensor>>,
  leaves: Readonly<Record<string, HostArray>>,
): void {
  const { steps, home } = planSteps(executionOrder(simplify(Object.values(outputs))), gpu);
  const dispatches = steps.flatMap(({ dispatches }) => dispatches);
  const workgroups = dispatches.reduce((sum, { workgroups: [x, y, z] }) => sum + x * y * z, 0);
  if (workgroups > MOST_WORKGROUPS || dispatches.every((d) => covered.has(keyOf(d)))) return;

  const view = hostMemory(home, leaves);
  const problems = steps.flatMap(({ node, dispatches }) =>
    dispatches.flatMap((dispatch) => {
      covered.add(keyOf(dispatch));
      const found = raceCheck(onHost(dispatch, view));
      return found.map((problem) => `${node.op.name}, shader ${dispatch.shader.name}: ${problem}`);
    })
  );
  if (problems.length > 0) throw new Error(problems.join("\n"));
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
