/**
 * Computing parts of the forward pass a second time for the backward pass, instead of keeping them.
 *
 * A segment is what lies between checkpoints. When the backward pass reaches the checkpoint at a segment's
 * end, the segment's nodes get twins, which read the checkpoints at its beginning. The twins must not run
 * before they are needed, or nothing would be saved: so what they read of checkpoints depends on the
 * adjoint at the segment's end as well, which also keeps them from being merged with the nodes that they
 * repeat. Nodes are pure and dropout is counted, not drawn, so a twin has the very same values.
 */

import { isLeaf } from "./leaves.ts";
import { after, isCheckpoint } from "./ops/checkpoint.ts";
import { applyAll, type Node, type Tensor } from "./tensor.ts";

/** The twins that the backward pass reads instead of the nodes themselves. */
export class Recomputation {
  #segments = new Map<Node, Map<Node, Node>>();
  #adjoints = new Map<Map<Node, Node>, Tensor>();
  #dependent = new Map<Node, boolean>();

  /** Begins the segment that ends at a checkpoint, whose adjoint is complete. */
  begin({ inputs: [end] }: Node, adjoint: Tensor): void {
    const twins = new Map<Node, Node>();
    this.#adjoints.set(twins, adjoint);
    const claim = (node: Node) => {
      if (this.#segments.has(node) || isCheckpoint(node) || !this.#dependsOnCheckpoint(node)) {
        return;
      }
      this.#segments.set(node, twins);
      for (const { node: operand } of node.inputs) claim(operand);
    };
    claim(end.node);
  }

  /** The node that has a node's values in the backward pass: its twin, or itself outside of segments. */
  twin(node: Node): Node {
    const twins = this.#segments.get(node);
    return twins ? this.#twinIn(twins, node) : node;
  }

  #twinIn(twins: Map<Node, Node>, node: Node): Node {
    if (!isCheckpoint(node) && this.#segments.get(node) !== twins) return this.twin(node);
    const known = twins.get(node);
    if (known) return known;
    const twin = isCheckpoint(node)
      ? after(node.outputs[0], this.#adjoints.get(twins)!).node
      : applyAll(
        node.op,
        node.inputs.map((tensor) => this.#twinIn(twins, tensor.node).outputs[tensor.index]),
        node.attributes,
      )[0].node;
    twins.set(node, twin);
    return twin;
  }

  #dependsOnCheckpoint(node: Node): boolean {
    const known = this.#dependent.get(node);
    if (known !== undefined) return known;
    const depends = !isLeaf(node) &&
      (isCheckpoint(node) || node.inputs.some((tensor) => this.#dependsOnCheckpoint(tensor.node)));
    this.#dependent.set(node, depends);
    return depends;
  }
}
