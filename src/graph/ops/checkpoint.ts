/**
 * Marks what is kept when memory is short: see `gradients`.
 */

import { copyDispatch } from "./copy.ts";
import { apply, type Node, type Op, size, type Tensor } from "../tensor.ts";

/** An operand under a second name, in the same memory. */
const sameMemory: Pick<Op<null>, "shape" | "alias" | "kernel"> = {
  shape: ([x]) => [{ shape: x.shape, dtype: x.dtype }],
  alias: () => [{ input: 0, byteOffset: 0 }],
  kernel: ({ inputs: [x], outputs: [same] }) => [copyDispatch(x, same, size(x.shape))],
};

const checkpointOp: Op<null> = {
  name: "checkpoint",
  ...sameMemory,
  gradient: (_, [dy]) => [dy],
};

const afterOp: Op<null> = { name: "after", ...sameMemory };

/**
 * x, which the backward pass finds in memory. What the forward pass computes between two checkpoints it
 * computes again instead (Chen et al. 2016, "Training deep nets with sublinear memory cost").
 */
export function checkpoint(x: Tensor): Tensor {
  return apply(checkpointOp, [x], null);
}

/** Whether a node is a checkpoint. */
export function isCheckpoint({ op }: Node): boolean {
  return op === checkpointOp;
}

/** x, but nothing that reads it runs before `event` is there. */
export function after(x: Tensor, event: Tensor): Tensor {
  return apply(afterOp, [x, event], null);
}
