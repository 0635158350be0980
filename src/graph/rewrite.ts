/**
 * Rewrites of a graph that change its cost and not its values.
 *
 * Nodes are immutable, so a rewrite is a map from old tensors to new ones, built in topological order:
 * when a node is reached, its operands already are what they will be.
 */

import { isLeaf } from "./leaves.ts";
import { topologicalOrder } from "./order.ts";
import { applyAll, type Node, type Tensor } from "./tensor.ts";

/** The same tensors, computed by less: by fewer and simpler nodes, then with epilogues fused. */
export function simplify(roots: readonly Tensor[]): Tensor[] {
  return fuse(reduce(roots));
}

/**
 * Simpler nodes where ops know them, and common-subexpression elimination: one node for all with the same
 * op, attributes and operands.
 */
function reduce(roots: readonly Tensor[]): Tensor[] {
  const replacement = new Map<Tensor, Tensor>();
  const known = new Map<string, readonly Tensor[]>();
  for (const node of topologicalOrder(roots)) {
    const current = rebuilt(node, replacement);
    let outputs: readonly Tensor[] | undefined;
    // Leaves are compared by identity, and an overwriting must happen exactly as often as it is written.
    if (!isLeaf(node) && !node.op.inPlace) {
      const operands = current.inputs.map((t) => `${t.node.id}.${t.index}`);
      const key = `${node.op.name}(${operands})${JSON.stringify(node.attributes)}`;
      outputs = known.get(key);
      if (!outputs) known.set(key, outputs = simplest(current));
    }
    const values = outputs ?? simplest(current);
    node.outputs.forEach((output, i) => replacement.set(output, values[i]));
  }
  return roots.map((root) => replacement.get(root)!);
}

function simplest(node: Node): readonly Tensor[] {
  return node.op.simpler?.(node) ?? node.outputs;
}

/** Epilogue fusion: a node whose only reader can be computed in the same kernel absorbs it. */
function fuse(roots: readonly Tensor[]): Tensor[] {
  const order = topologicalOrder(roots);
  const uses = new Map<Tensor, number>();
  const count = (tensor: Tensor) => uses.set(tensor, (uses.get(tensor) ?? 0) + 1);
  for (const node of order) node.inputs.forEach(count);
  roots.forEach(count);

  const replacement = new Map<Tensor, Tensor>();
  for (const node of order) {
    let current = rebuilt(node, replacement);
    for (const [i, original] of node.inputs.entries()) {
      if (uses.get(original) !== 1) continue;
      const producer = current.inputs[i].node;
      const fused = producer.op.absorb?.(producer, current);
      if (!fused) continue;
      current = fused;
      break; // the operands have moved; what is left is fused through the new node's own readers
    }
    node.outputs.forEach((output, i) => replacement.set(output, current.outputs[i]));
  }
  return roots.map((root) => replacement.get(root)!);
}

/** The node with its operands replaced; the node itself if none was. */
function rebuilt(node: Node, replacement: ReadonlyMap<Tensor, Tensor>): Node {
  const inputs = node.inputs.map((tensor) => replacement.get(tensor)!);
  if (inputs.every((tensor, i) => tensor === node.inputs[i])) return node;
  return applyAll(node.op, inputs, node.attributes)[0].node;
}
