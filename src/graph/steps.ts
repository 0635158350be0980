/**
 * From nodes to dispatches, leaving out every copy that sharing memory makes unnecessary.
 *
 * A tensor's `home` is the tensor in whose memory it lies. Windows (reshape, split) live in their
 * operand; operands of a gathering (concat) are computed straight into its result. Where an offset would
 * not be aligned, or one dispatch would read and write the same buffer, the op's own copies run instead.
 */

import type { Gpu } from "../gpu/device.ts";
import { reflect } from "../gpu/reflection.ts";
import { isLeaf } from "./leaves.ts";
import { byteLength, type Dispatch, type Node, type Scratch, type Tensor } from "./tensor.ts";

/** Every binding starts at a multiple of this: the largest alignment that WebGPU lets an adapter ask for. */
export const ALIGNMENT = 256;

/** One node's dispatches, in order. */
export interface Step {
  readonly node: Node;
  readonly dispatches: readonly Dispatch[];
}

/** Where a tensor lies: inside another tensor's memory, or in its own. */
export interface Home {
  readonly tensor: Tensor;
  readonly byteOffset: number;
}

/** What to run, and which tensors share memory. */
export interface Steps {
  readonly steps: readonly Step[];
  home(tensor: Tensor): Home;
}

/** Memory that a dispatch touches, by how it touches it. */
export interface Accesses {
  readonly reads: readonly (Tensor | Scratch)[];
  readonly writes: readonly (Tensor | Scratch)[];
}

/** Splits a dispatch's bindings by the access that its shader declares. */
export function accesses(dispatch: Dispatch): Accesses {
  const { storage } = reflect(dispatch.shader.source, dispatch.entry ?? "main");
  const reads: (Tensor | Scratch)[] = [], writes: (Tensor | Scratch)[] = [];
  for (const [name, tensor] of Object.entries(dispatch.bindings)) {
    const binding = storage.find((binding) => binding.name === name);
    if (!binding) {
      throw new Error(`The shader ${dispatch.shader.name} has no storage binding "${name}".`);
    }
    (binding.writable ? writes : reads).push(tensor);
  }
  return { reads, writes };
}

/** Whether a binding is scratch memory rather than a tensor. */
export function isScratch(memory: Tensor | Scratch): memory is Scratch {
  return "scratchBytes" in memory;
}

/** Plans the dispatches of nodes that are already in execution order. */
export function planSteps(nodes: readonly Node[], gpu: Gpu): Steps {
  const homes = new Map<Tensor, Home>();
  const windows = new Set<Tensor>();
  const home = (tensor: Tensor): Home => {
    const step = homes.get(tensor);
    if (!step) return { tensor, byteOffset: 0 };
    const outer = home(step.tensor);
    return { tensor: outer.tensor, byteOffset: outer.byteOffset + step.byteOffset };
  };

  for (const node of nodes) {
    for (const [i, alias] of (node.op.alias?.(node) ?? []).entries()) {
      const operand = node.inputs[alias.input];
      const { byteOffset } = home(operand);
      if ((byteOffset + alias.byteOffset) % ALIGNMENT === 0) {
        homes.set(node.outputs[i], { tensor: operand, byteOffset: alias.byteOffset });
        windows.add(node.outputs[i]);
      }
    }
    node.op.inPlace?.forEach((operand, i) => {
      if (operand !== undefined) {
        homes.set(node.outputs[i], { tensor: node.inputs[operand], byteOffset: 0 });
      }
    });
  }

  const kernels = new Map<Node, Dispatch[]>();
  for (const node of nodes) {
    if (isLeaf(node)) continue;
    if (node.op.alias && node.outputs.every((output) => windows.has(output))) continue;
    if (!node.op.kernel) throw new Error(`The op "${node.op.name}" has no kernel.`);
    kernels.set(node, node.op.kernel(node, gpu));
  }
  const all = [...kernels].filter(([node]) => !node.op.gather).flatMap(([, list]) => list);
  const touched = all.map(accesses);
  for (const node of nodes) if (node.op.gather) placeGathered(node, home, homes, touched);

  const steps: Step[] = [];
  for (const [node, dispatches] of kernels) {
    // Windows and gatherings answer one copy per output or operand; those that share memory need none.
    const placed = node.op.alias
      ? node.outputs.map((output) => windows.has(output))
      : node.op.gather
      ? isInPlace(node, home)
      : [];
    const needed = dispatches.filter((_, i) => !placed[i]);
    if (needed.length > 0) steps.push({ node, dispatches: needed });
  }
  return { steps, home };
}

/** Lets the operands of a gathering live in its result where they can. */
function placeGathered(
  node: Node,
  home: (tensor: Tensor) => Home,
  homes: Map<Tensor, Home>,
  touched: readonly Accesses[],
): void {
  const [result] = node.outputs;
  const operandHomes = node.inputs.map(home);
  for (const { input, byteOffset } of node.op.gather!(node)) {
    const { tensor, byteOffset: within } = operandHomes[input];
    const whole = within === 0 && byteLength(tensor) === byteLength(node.inputs[input]);
    const once = operandHomes.filter((other) => other.tensor === tensor).length === 1;
    const movable = !isLeaf(tensor.node) && !tensor.node.op.gather && once;
    if (!whole || !movable || byteOffset % ALIGNMENT !== 0) continue;
    const gathered = home(result).tensor;
    const inside = (memory: Tensor | Scratch) => {
      if (isScratch(memory)) return false;
      const root = home(memory).tensor;
      return root === gathered || root === tensor;
    };
    if (touched.some(({ reads, writes }) => reads.some(inside) && writes.some(inside))) continue;
    homes.set(tensor, { tensor: result, byteOffset });
  }
}

/** Which operands of a gathering already lie where it would copy them. */
function isInPlace(node: Node, home: (tensor: Tensor) => Home): boolean[] {
  const result = home(node.outputs[0]);
  return node.op.gather!(node).map(({ input, byteOffset }) => {
    const operand = home(node.inputs[input]);
    return operand.tensor === result.tensor &&
      operand.byteOffset === result.byteOffset + byteOffset;
  });
}
