/**
 * Reverse-mode automatic differentiation, graph to graph.
 *
 * Adjoints are ordinary tensors made with ordinary ops, so the backward pass is compiled, merged, fused
 * and planned like the rest. Only nodes between a requested tensor and the loss are visited: what is
 * frozen costs no gradient work, and what lies below the lowest requested tensor costs nothing. What lies
 * between checkpoints is not kept for the backward pass but computed again (recomputation.ts).
 */

import { add } from "./ops/add.ts";
import { isCheckpoint } from "./ops/checkpoint.ts";
import { ones } from "./ops/fill.ts";
import { Recomputation } from "./recomputation.ts";
import { type Node, size, type Tensor } from "./tensor.ts";

/**
 * The gradient of a scalar `loss` with respect to each tensor of `parameters`.
 *
 * A parameter that the loss does not depend on gets `undefined` (it receives no gradient, as opposed to
 * a zero one: optimisers skip it). Throws if the loss is not a single number, or if an op on the way has
 * no gradient.
 *
 * @param factor what all gradients are multiplied by, of the loss's shape; 1 unless given
 */
export function gradients(
  loss: Tensor,
  parameters: readonly Tensor[],
  factor: Tensor = ones(loss.shape),
): (Tensor | undefined)[] {
  if (size(loss.shape) !== 1) {
    throw new Error(`gradients: the loss must have one element, not shape [${loss.shape}].`);
  }
  const requested = new Set(parameters);
  const order = nodesTowards(loss, requested);
  const adjoints = new Map<Tensor, Tensor>([[loss, factor]]);
  const active = new Set(order);
  const recomputation = new Recomputation();
  const isActive = (t: Tensor) => requested.has(t) || active.has(t.node);

  for (const node of order.reverse()) {
    const outputGradients = node.outputs.map((output) => adjoints.get(output));
    if (outputGradients.every((g) => g === undefined)) continue;
    if (!node.op.gradient) {
      throw new Error(
        `gradients: the op "${node.op.name}" on the way to a parameter has no gradient.`,
      );
    }
    if (isCheckpoint(node)) recomputation.begin(node, outputGradients[0]!);
    const needed = node.inputs.map(isActive);
    const twin = recomputation.twin(node);
    const inputGradients = node.op.gradient(twin, outputGradients, needed);
    node.inputs.forEach((tensor, i) => {
      const gradient = inputGradients[i];
      if (!needed[i] || gradient === undefined) return;
      const sum = adjoints.get(tensor);
      adjoints.set(tensor, sum ? add(gradient, sum) : gradient);
    });
  }
  return parameters.map((parameter) => adjoints.get(parameter));
}

/** Nodes on a path from a requested tensor to the loss, inputs before users. */
function nodesTowards(loss: Tensor, requested: ReadonlySet<Tensor>): Node[] {
  const order: Node[] = [];
  const leadsThere = new Map<Node, boolean>();
  const visit = (node: Node): boolean => {
    const known = leadsThere.get(node);
    if (known !== undefined) return known;
    leadsThere.set(node, false);
    let found = false;
    for (const tensor of node.inputs) {
      // A requested tensor may itself be computed from another one: both paths count.
      const below = visit(tensor.node);
      found ||= below || requested.has(tensor);
    }
    leadsThere.set(node, found);
    if (found) order.push(node);
    return found;
  };
  visit(loss.node);
  return order;
}
