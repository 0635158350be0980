/**
 * Tensors that lie side by side in another one, seen as what they are together.
 */

import { elementBytes, size, type Tensor } from "../tensor.ts";
import { window } from "./window.ts";

/** Parts of a larger tensor, and at which elements of it they go. */
export interface Placed {
  readonly parts: readonly Tensor[];
  readonly offsets: readonly number[];
}

/** Parts that follow one another both where they are and where they go, made one part. */
export function joinNeighbours({ parts, offsets }: Placed): Placed {
  const runs: Run[] = [];
  for (const [i, part] of parts.entries()) {
    const run = runOf(part, offsets[i]);
    const last = runs.at(-1);
    if (last && last.source === run.source && end(last) === run.start && goal(last) === run.to) {
      runs[runs.length - 1] = { ...last, length: last.length + run.length, whole: undefined };
    } else runs.push(run);
  }
  return { parts: runs.map(joined), offsets: runs.map(({ to }) => to) };
}

/** Elements of a tensor with memory of its own, and where they go. */
interface Run {
  readonly source: Tensor;
  readonly start: number;
  readonly length: number;
  readonly to: number;
  /** The tensor that these elements are, if there is one. */
  readonly whole: Tensor | undefined;
}

const end = ({ start, length }: Run): number => start + length;
const goal = ({ to, length }: Run): number => to + length;

function joined({ source, start, length, whole }: Run): Tensor {
  return whole ?? (length === size(source.shape) ? source : window(source, start, [length]));
}

function runOf(part: Tensor, to: number): Run {
  const { source, start } = origin(part);
  return { source, start, length: size(part.shape), to, whole: part };
}

/** Where a tensor lies, seen through what depends on its operand alone: reshapes, splits, windows. */
function origin(tensor: Tensor): { source: Tensor; start: number } {
  const { node, index, dtype } = tensor;
  const alias = node.op.alias?.(node)[index];
  if (!alias || node.inputs.length > 1) return { source: tensor, start: 0 };
  const { source, start } = origin(node.inputs[alias.input]);
  return { source, start: start + alias.byteOffset / elementBytes(dtype) };
}
