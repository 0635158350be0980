/**
 * The dispatches of RMS norms and of their gradients with respect to the input, for all ops that have one.
 */

import source from "../../../shaders/rms-norm.wgsl" with { type: "text" };
import type { Gpu } from "../../gpu/device.ts";
import { linearGrid, WORKGROUP_SIZE } from "../dispatch.ts";
import { widen, widthOf } from "../element.ts";
import { type Dispatch, matrixShape, type Scratch, size, type Tensor } from "../tensor.ts";
import { type DropoutMask, dropoutUniforms } from "./dropout.ts";

const shader = { name: "rms-norm", source };

/** Where a norm's results go; with a dropout, the normalized rows are stored only as `dropped`. */
export interface NormResults {
  readonly normalized?: Tensor | Scratch;
  readonly dropped?: Tensor | Scratch;
  readonly rstd: Tensor | Scratch;
}

/** The dispatch that computes the norm of x. */
export function normDispatch(
  x: Tensor,
  scale: Tensor,
  results: NormResults,
  epsilon: number,
  gpu: Gpu,
  drop?: { readonly seed: Tensor; readonly mask: DropoutMask | undefined },
): Dispatch {
  const { rstd, normalized, dropped } = results;
  const bindings = {
    x,
    scale,
    rstd,
    ...(normalized && { normalized }),
    ...(drop && dropped && { seed: drop.seed, dropped }),
  };
  return rowsDispatch("forward", x, bindings, { epsilon, mask: drop?.mask }, gpu);
}

/** Operands and results of a norm's gradient. */
export interface NormGradientTensors {
  readonly x: Tensor;
  readonly scale: Tensor;
  /** Of the forward pass. */
  readonly rstd: Tensor;
  readonly gradient: Tensor | Scratch;
  readonly residual?: Tensor;
  readonly result: Tensor;
  /** With a dropout: the result after it, and its seed. */
  readonly dropped?: Tensor;
  readonly seed?: Tensor;
}

/** The dispatch that computes the gradient with respect to x. */
export function normGradientDispatch(
  { result, rstd, ...operands }: NormGradientTensors,
  mask: DropoutMask | undefined,
  gpu: Gpu,
): Dispatch {
  const bindings = { ...operands, forward_rstd: rstd, input_gradient: result };
  return rowsDispatch("backward_input", operands.x, bindings, { epsilon: 0, mask }, gpu);
}

/** Invocations that share a row of `elements` elements: a power of two, at most a workgroup. */
export function lanesFor(elements: number, isCpu: boolean): number {
  return isCpu ? 1 : Math.min(WORKGROUP_SIZE, 2 ** Math.ceil(Math.log2(elements)));
}

function rowsDispatch(
  entry: string,
  x: Tensor,
  bindings: Readonly<Record<string, Tensor | Scratch>>,
  { epsilon, mask }: { readonly epsilon: number; readonly mask: DropoutMask | undefined },
  gpu: Gpu,
): Dispatch {
  const { rows, columns } = matrixShape(x);
  const width = widthOf(columns);
  const lanes = lanesFor(columns / width, gpu.isCpu);
  return {
    shader: widen(shader, width),
    entry,
    constants: {
      lanes,
      ...(bindings.residual && { has_residual: 1 }),
      ...(bindings.dropped && { has_dropout: 1 }),
    },
    uniforms: { rows, columns: columns / width, epsilon, ...dropoutUniforms(mask) },
    bindings,
    workgroups: linearGrid(rows * lanes),
    flops: (entry === "forward" ? 4 : 8) * size(x.shape),
  };
}
