/**
 * Rewrites of a graph that change its cost and not its values.
 *
 * Nodes are immutable, so a rewrite is a map from old tensors to new ones, built in topological order:
 * when a node is reached, its operands already are what they will be.
 */

import { isLeaf } from "./leaves.ts";
import { topologicalOrder } from "./order.ts";
import { applyAll, type Node, type Tensor } from "./tensor.ts";

/**
 * The same tensors, computed by less: simpler nodes and none twice, then fused epilogues and paired readers,
 * until there is nothing to fuse, since one fusion may be what another waits for.
 */
export function simplify(roots: readonly Tensor[]): Tensor[] {
  let current = reduce(roots);
  while (true) {
    const next = pair(fuse(current));
    if (next.every((tensor, i) => tensor === current[i])) return next;
    current = next;
  }
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

/** How often each tensor is read. */
function usesOf(order: readonly Node[], roots: readonly Tensor[]): Map<Tensor, number> {
  const uses = new Map<Tensor, number>();
  for (const tensor of [...order.flatMap(({ inputs }) => inputs), ...roots]) {
    uses.set(tensor, (uses.get(tensor) ?? 0) + 1);
  }
  return uses;
}

/** Epilogue fusion: a node whose only reader can be computed in the same kernel absorbs it. */
function fuse(roots: readonly Tensor[]): Tensor[] {
  const order = topologicalOrder(roots);
  const uses = usesOf(order, roots);
  const replacement = new Map<Tensor, Tensor>();
  for (const node of order) {
    let current = rebuilt(node, replacement);
    for (const [i, original] of node.inputs.entries()) {
      if (uses.get(original) !== 1) continue;
      const producer = current.inputs[i].node;
      // Other outputs have readers that may come first: see `pair`.
      if (producer.outputs.length > 1) continue;
      const fused = producer.op.absorb?.(producer, current);
      if (!fused) continue;
      current = fused;
      break; // the operands have moved; what is left is fused through the new node's own readers
    }
    node.outputs.forEach((output, i) => replacement.set(output, current.outputs[i]));
  }
  return roots.map((root) => replacement.get(root)!);
}

/**
 * Pairing: a node of several outputs or readers is computed together with one of the readers, where a kernel
 * does both. All else that the reader needs must be there when the node runs.
 */
function pair(roots: readonly Tensor[]): Tensor[] {
  const order = topologicalOrder(roots);
  const uses = usesOf(order, roots);
  const readers = new Map<Node, Set<Node>>(order.map((node) => [node, new Set()]));
  const replacement = new Map<Tensor, Tensor>();
  for (const node of order) {
    for (const tensor of node.inputs) readers.get(tensor.node)!.add(node);
    // A reader that is moved forward may need leaves, or windows and gatherings of them, that nothing before it reads.
    const isThere = isLeaf(node) ||
      ((node.op.alias || node.op.gather) && node.inputs.every((tensor) => replacement.has(tensor)));
    if (isThere) { for (const output of node.outputs) replacement.set(output, output); }
  }
  const twins = twinsOf(order, new Set(replacement.keys()));
  for (const node of order) {
    if (replacement.has(node.outputs[0])) continue;
    const current = rebuilt(node, replacement);
    const replace = (tensors: readonly Tensor[], { outputs }: Node) =>
      tensors.forEach((tensor, i) => replacement.set(tensor, outputs[i]));
    replace(node.outputs, current);
    for (const reader of readers.get(node)!) {
      if (!reader.inputs.every((tensor) => replacement.has(tensor))) continue;
      const consumer = rebuilt(reader, replacement);
      const read = node.outputs.findIndex((output) => reader.inputs.includes(output));
      const only = twins(node).every(({ outputs }) => uses.get(outputs[read]) === 1);
      const absorbed = only && node.op.absorb?.(current, consumer);
      if (absorbed) {
        replace(node.outputs.with(read, reader.outputs[0]), absorbed);
        break;
      }
      const both = node.op.accompany?.(current, consumer);
      if (both) {
        replace([...node.outputs, ...reader.outputs], both);
        break;
      }
    }
  }
  return roots.map((root) => replacement.get(root)!);
}

/**
 * For a node, those that do the same with the same parameters: itself and what recomputes it (recomputation.ts).
 * A sum that is made in another kernel may differ in its last bit, so either all of them are fused or none is.
 */
function twinsOf(
  order: readonly Node[],
  parameters: ReadonlySet<Tensor>,
): (node: Node) => readonly Node[] {
  const groups = Map.groupBy(order, (node) => {
    const own = node.inputs.filter((tensor) => parameters.has(tensor));
    const ids = own.map((tensor) => `${tensor.node.id}.${tensor.index}`);
    return own.length > 0 ? `${node.op.name}(${ids})${JSON.stringify(node.attributes)}` : node.id;
  });
  const twins = new Map(
    [...groups.values()].flatMap((group) => group.map((node) => [node, group])),
  );
  return (node) => twins.get(node)!;
}

/** The node with its operands replaced; the node itself if none was. */
function rebuilt(node: Node, replacement: ReadonlyMap<Tensor, Tensor>): Node {
  const inputs = node.inputs.map((tensor) => replacement.get(tensor)!);
  if (inputs.every((tensor, i) => tensor === node.inputs[i])) return node;
  return applyAll(node.op, inputs, node.attributes)[0].node;
}
