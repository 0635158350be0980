/**
 * Label-smoothed cross-entropy straight from logits, summed over the labels that are not padding.
 *
 * Log-probabilities are never stored: forward keeps two numbers a row, from which backward makes the
 * softmax again while it writes the gradient.
 */

import gradientSource from "../../../shaders/label-smoothed-loss-gradient.wgsl" with {
  type: "text",
};
import source from "../../../shaders/label-smoothed-loss.wgsl" with { type: "text" };
import { withConstants } from "../constants.ts";
import { elementGrid, linearGrid } from "../dispatch.ts";
import { apply, applyAll, type Op, type Scratch, ShapeError, type Tensor } from "../tensor.ts";

/** How the loss is formed. */
export interface LabelSmoothedLossOptions {
  /** Share of the target spread evenly over the vocabulary: ε of Szegedy et al. 2016, section 7. */
  readonly smoothing: number;
  /** Rows with this label contribute nothing. */
  readonly padId?: number;
}

/** What the loss op returns. */
export interface LabelSmoothedLoss {
  /** [1]: the sum to minimise; the only output with a gradient. */
  readonly loss: Tensor;
  /** [3], for logs: the same sum, the plain negative log-likelihood's, and the number of labels counted. */
  readonly sums: Tensor;
}

interface Attributes {
  readonly smoothing: number;
  readonly padId: number;
}

/** Invocations that share a row on a GPU. */
const GPU_LANES = 256;

/** Logits of a row whose gradient one workgroup writes: its invocations · vec4s each · 4. */
const STRETCH = 64 * 16 * 4;

/**
 * Σ over rows of (1 − ε)·(−lp[label]) + (ε / V)·Σ_v(−lp[v]), lp = log_softmax(logits): a sum over labels
 * that are not padding, not a mean.
 *
 * @param logits f32 [rows, V]
 * @param labels i32 [rows], each in 0 … V − 1
 */
export function labelSmoothedLoss(
  logits: Tensor,
  labels: Tensor,
  { smoothing, padId = 0 }: LabelSmoothedLossOptions,
): LabelSmoothedLoss {
  const [loss, sums] = applyAll(lossOp, [logits, labels], { smoothing, padId });
  return { loss, sums };
}

const lossOp: Op<Attributes> = {
  name: "label-smoothed loss",

  shape(inputs) {
    const [logits, labels] = inputs;
    const [rows] = logits.shape;
    if (
      logits.shape.length !== 2 || logits.dtype !== "f32" || labels.dtype !== "i32" ||
      labels.shape.length !== 1 || labels.shape[0] !== rows
    ) {
      throw new ShapeError(
        "label-smoothed loss",
        "logits must be f32 [rows, vocabulary], labels i32 [rows]",
        inputs,
      );
    }
    return [
      { shape: [1], dtype: "f32" },
      { shape: [3], dtype: "f32" },
      { shape: [rows, 2], dtype: "f32" }, // per row: largest logit, ln Σ exp(logit − largest)
    ];
  },

  gradient({ inputs: [logits, labels], outputs: [, , normalizers], attributes }, [dLoss, dSums]) {
    if (dSums) throw new Error("label-smoothed loss: only `loss` has a gradient, `sums` has none.");
    return [apply(lossGradientOp, [logits, labels, normalizers, dLoss!], attributes), undefined];
  },

  kernel({ inputs: [logits, labels], outputs: [loss, sums, normalizers], attributes }, { isCpu }) {
    const [rows, columns] = logits.shape;
    const rowLosses: Scratch = { scratchBytes: 8 * rows };
    const uniforms = {
      rows,
      columns,
      padding: attributes.padId,
      smoothing: attributes.smoothing,
    };
    return [
      {
        shader: rowShader(isCpu ? 1 : GPU_LANES),
        entry: isCpu ? "row_per_invocation" : "row_per_workgroup",
        constants: { vectorized: Number(columns % 4 === 0) },
        uniforms,
        bindings: { logits, logits_vec4: logits, labels, normalizers, row_losses: rowLosses },
        workgroups: linearGrid(rows, isCpu ? undefined : 1),
        flops: 4 * rows * columns,
      },
      {
        shader: rowShader(1),
        entry: "total",
        uniforms,
        bindings: { summed_losses: rowLosses, labels, loss, sums },
        workgroups: [1, 1, 1],
      },
    ];
  },
};

const lossGradientOp: Op<Attributes> = {
  name: "label-smoothed loss gradient",
  shape: ([logits]) => [{ shape: logits.shape, dtype: "f32" }],
  kernel(
    { inputs: [logits, labels, normalizers, dLoss], outputs: [result], attributes },
  ) {
    const [rows, columns] = logits.shape;
    const wholeFours = columns % 4 === 0;
    return [{
      shader: { name: "label-smoothed-loss-gradient", source: gradientSource },
      entry: wholeFours ? "by_row" : "by_element",
      uniforms: { rows, columns, padding: attributes.padId, smoothing: attributes.smoothing },
      bindings: { logits, labels, normalizers, loss_gradient: dLoss, result },
      workgroups: wholeFours
        ? linearGrid(rows * Math.ceil(columns / STRETCH), 1)
        : elementGrid(result, 4),
      flops: 4 * rows * columns,
    }];
  },
};

/** The forward shader with `lanes` invocations to a row. */
function rowShader(lanes: number) {
  return withConstants({ name: "label-smoothed-loss", source }, { LANES: lanes });
}
