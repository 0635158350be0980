/**
 * What the elementwise ops share: one shader with an entry point each, four elements an invocation.
 */

import source from "../../../shaders/elementwise.wgsl" with { type: "text" };
import { elementGrid } from "../dispatch.ts";
import { type Dispatch, sameShape, ShapeError, size, type Tensor } from "../tensor.ts";

const shader = { name: "elementwise", source };

/** The dispatch of one entry point over all elements of `result`. */
export function elementwise(
  entry: string,
  result: Tensor,
  operands: Readonly<Record<string, Tensor>>,
  factor = 0,
): Dispatch {
  const count = size(result.shape);
  return {
    shader,
    entry,
    uniforms: { count, factor },
    bindings: { ...operands, result },
    workgroups: elementGrid(result, 4),
    flops: count,
  };
}

/** Throws unless all operands are f32 of one shape. */
export function requireSameShape(op: string, inputs: readonly Tensor[]): void {
  const [first] = inputs;
  if (inputs.some((t) => t.dtype !== "f32" || !sameShape(t.shape, first.shape))) {
    throw new ShapeError(op, "all operands must be f32 and of one shape", inputs);
  }
}
