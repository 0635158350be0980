/**
 * The order in which nodes run.
 *
 * Invariant: a node runs after all nodes it reads from, and a node that overwrites a variable runs after
 * every other reader of the old value. Among such orders the depth-first one is taken: it finishes what
 * it has begun, which keeps few tensors alive at once. The parts of a gathering may come in any order; the
 * shallowest come first, so that the gradient of a late layer's weight does not wait, with all that it is
 * made from, for the gradients of the layers before it.
 */

import { asVariable, type Variable } from "./leaves.ts";
import type { Node, Tensor } from "./tensor.ts";

/** All nodes that the given tensors need, inputs before users; nothing else (dead nodes are dropped). */
export function topologicalOrder(
  roots: readonly Tensor[],
  before: (node: Node) => readonly Node[] = () => [],
): Node[] {
  const order: Node[] = [];
  const state = new Map<Node, "open" | "done">();
  const byDepth = depthSorter();
  const visit = (node: Node) => {
    const seen = state.get(node);
    if (seen === "done") return;
    if (seen === "open") {
      throw new Error(
        `The op "${node.op.name}" overwrites a variable whose old value is read by an op that needs ` +
          `the new one; read the tensor that the op returns instead.`,
      );
    }
    state.set(node, "open");
    for (const tensor of node.op.gather ? byDepth(node.inputs) : node.inputs) visit(tensor.node);
    for (const earlier of before(node)) visit(earlier);
    state.set(node, "done");
    order.push(node);
  };
  for (const root of roots) visit(root.node);
  return order;
}

/** A function that sorts tensors by the longest way from a leaf to them. */
function depthSorter(): (tensors: readonly Tensor[]) => Tensor[] {
  const depths = new Map<Node, number>();
  const depth = (node: Node): number => {
    const known = depths.get(node);
    if (known !== undefined) return known;
    const value = 1 + Math.max(-1, ...node.inputs.map((tensor) => depth(tensor.node)));
    depths.set(node, value);
    return value;
  };
  return (tensors) => tensors.toSorted((a, b) => depth(a.node) - depth(b.node));
}

/** As `topologicalOrder`, with every overwriting of a variable after the last reading of its old value. */
export function executionOrder(roots: readonly Tensor[]): Node[] {
  const nodes = topologicalOrder(roots);
  const readers = new Map<Variable, Node[]>();
  const writer = new Map<Variable, Node>();
  for (const node of nodes) {
    node.op.inPlace?.forEach((operand) => {
      if (operand === undefined) return;
      const variable = overwrittenVariable(node, operand);
      const other = writer.get(variable);
      if (other) {
        throw new Error(`The variable "${variable.name}" is overwritten twice in one program.`);
      }
      writer.set(variable, node);
    });
    if (node.op.alias) continue; // a window reads nothing by itself
    for (const tensor of node.inputs) {
      const variable = asVariable(windowOf(tensor));
      if (!variable) continue;
      const list = readers.get(variable);
      if (list) list.push(node);
      else readers.set(variable, [node]);
    }
  }
  const before = new Map<Node, Node[]>();
  for (const [variable, node] of writer) {
    const others = (readers.get(variable) ?? []).filter((reader) => reader !== node);
    before.set(node, [...before.get(node) ?? [], ...others]);
  }
  return topologicalOrder(roots, (node) => before.get(node) ?? []);
}

/** The tensor whose memory this one is a window into: itself, unless made by reshape or split. */
export function windowOf(tensor: Tensor): Tensor {
  const alias = tensor.node.op.alias?.(tensor.node)[tensor.index];
  return alias ? windowOf(tensor.node.inputs[alias.input]) : tensor;
}

/** The variable that an in-place op overwrites. Throws if its operand is no variable. */
export function overwrittenVariable(node: Node, operand: number): Variable {
  const variable = asVariable(windowOf(node.inputs[operand]));
  if (!variable) {
    throw new Error(
      `The op "${node.op.name}" overwrites its operand ${operand}, which must be a variable.`,
    );
  }
  return variable;
}
