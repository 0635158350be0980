/**
 * Softmax as an op of its own, which models here have no use for: attention as others write it needs it.
 */

import type { Gpu } from "../../gpu/device.ts";
import { linearGrid } from "../../graph/dispatch.ts";
import { widen, widthOf } from "../../graph/element.ts";
import { lanesFor } from "../../graph/ops/rms-norm-kernel.ts";
import { apply, type Dispatch, matrixShape, type Op, type Tensor } from "../../graph/tensor.ts";
import source from "./softmax.wgsl" with { type: "text" };

const shader = { name: "softmax", source };

const softmaxOp: Op<null> = {
  name: "softmax",
  shape: ([scores]) => [scores],
  gradient: ({ outputs: [weights] }, [gradient]) => [
    apply(softmaxGradientOp, [weights, gradient!], null),
    undefined,
  ],
  kernel: ({ inputs: [scores, penalties], outputs: [weights] }, gpu) => {
    const masks = matrixShape(penalties).rows;
    return [rowsDispatch("forward", scores, masks, { scores, penalties, weights }, gpu)];
  },
};

const softmaxGradientOp: Op<null> = {
  name: "softmax gradient",
  shape: ([weights]) => [weights],
  kernel: ({ inputs: [forward_weights, gradient], outputs: [score_gradient] }, gpu) => {
    const bindings = { forward_weights, gradient, score_gradient };
    return [rowsDispatch("backward", forward_weights, 1, bindings, gpu)];
  },
};

/**
 * softmax(scores + penalties) over the last axis.
 *
 * @param scores [batch, ..., columns]
 * @param penalties [batch, columns], without a gradient
 */
export function softmax(scores: Tensor, penalties: Tensor): Tensor {
  return apply(softmaxOp, [scores, penalties], null);
}

function rowsDispatch(
  entry: string,
  like: Tensor,
  masks: number,
  bindings: Readonly<Record<string, Tensor>>,
  { isCpu }: Gpu,
): Dispatch {
  const { rows, columns } = matrixShape(like);
  const width = widthOf(columns);
  const lanes = lanesFor(columns / width, isCpu);
  return {
    shader: widen(shader, width),
    entry,
    constants: { lanes },
    uniforms: { rows, columns: columns / width, rows_per_mask: rows / masks },
    bindings,
    workgroups: linearGrid(rows * lanes),
    flops: 5 * rows * columns,
  };
}
