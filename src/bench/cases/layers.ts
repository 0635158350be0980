/** What stands between the products, and inside of them: norms, gates, dropout, embeddings, the loss. */

import { dropoutAdd } from "../../graph/ops/dropout.ts";
import { embedding } from "../../graph/ops/embedding.ts";
import { geluGate } from "../../graph/ops/gelu-gate.ts";
import { labelSmoothedLoss } from "../../graph/ops/label-smoothed-loss.ts";
import { linear } from "../../graph/ops/matmul.ts";
import { maskedMean } from "../../graph/ops/masked-mean.ts";
import { rmsNorm } from "../../graph/ops/rms-norm.ts";
import { LABEL_SMOOTHING } from "../inputs.ts";
import { type Case, withGradients } from "../kernels.ts";

/** The norm of rows, and its gradients in both operands. */
export function norm(rows: number, columns: number): Case[] {
  return withGradients((bench) => {
    const x = bench.floats("x", [rows, columns]), scale = bench.floats("scale", [columns]);
    return {
      name: `RMS norm ${rows}×${columns}`,
      operands: [x, scale],
      differentiable: [x, scale],
      result: rmsNorm(x, scale),
      flops: 4 * rows * columns,
      backwardFlops: 10 * rows * columns,
    };
  });
}

/** GELU of one half of every row times the other half. */
export function gate(rows: number, columns: number): Case[] {
  return withGradients((bench) => {
    const x = bench.floats("x", [rows, 2 * columns]);
    return {
      name: `GELU gate ${rows}×${columns}`,
      operands: [x],
      differentiable: [x],
      result: geluGate(x),
      flops: 10 * rows * columns,
      backwardFlops: 22 * rows * columns,
    };
  });
}

/** A norm and a frozen layer of `width` on it: one product forward, one backward. */
export function normedLayer(rows: number, columns: number, width: number): Case[] {
  return withGradients((bench) => {
    const x = bench.floats("x", [rows, columns]), scale = bench.floats("scale", [columns]);
    const weight = bench.floats("weight", [width, columns], columns ** -0.5);
    return {
      name: `RMS norm and product ${rows}×${width}×${columns}`,
      operands: [x, scale, weight],
      differentiable: [x],
      result: linear(rmsNorm(x, scale), weight),
      flops: (2 * width + 4) * rows * columns,
      backwardFlops: (2 * width + 8) * rows * columns,
    };
  });
}

/** A GELU gate of `columns` and a frozen layer of `width` on it; backward they are one product. */
export function gatedLayer(rows: number, columns: number, width: number): Case[] {
  return withGradients((bench) => {
    const x = bench.floats("x", [rows, 2 * columns]);
    const weight = bench.floats("weight", [width, columns], columns ** -0.5);
    return {
      name: `GELU gate and product ${rows}×${width}×${columns}`,
      operands: [x, weight],
      differentiable: [x],
      result: linear(geluGate(x), weight),
      flops: (2 * width + 10) * rows * columns,
      backwardFlops: (2 * width + 22) * rows * columns,
    };
  });
}

/** residual + dropout(x). */
export function dropoutResidual(rows: number, columns: number): Case[] {
  return withGradients((bench) => {
    const x = bench.floats("x", [rows, columns]);
    const residual = bench.floats("residual", [rows, columns]);
    const seed = bench.operand("seed", [2], Uint32Array.of(1, 2), "u32");
    return {
      name: `dropout + residual ${rows}×${columns}`,
      operands: [x, residual],
      differentiable: [x],
      result: dropoutAdd(x, residual, { rate: 0.1, seed, site: 0 }),
      flops: 2 * rows * columns,
      backwardFlops: rows * columns,
    };
  });
}

/** Rows of a table, of which only those that are looked up count as moved. */
export function lookUp(tokens: number, vocabulary: number, columns: number): Case[] {
  return withGradients((bench) => {
    const table = bench.floats("table", [vocabulary, columns]);
    const ids = bench.ids("ids", [tokens], vocabulary);
    const moved = 4 * tokens * (2 * columns + 1);
    return {
      name: `embedding ${tokens} of ${vocabulary}×${columns}`,
      operands: [table, ids],
      differentiable: [table],
      result: embedding(table, ids),
      flops: 0,
      backwardFlops: tokens * columns,
      bytes: moved,
      // The gradient of the whole table is written.
      backwardBytes: 4 * columns * (tokens + vocabulary),
    };
  });
}

/** Mean over the positions that are not masked. */
export function pooling(batch: number, length: number, columns: number): Case[] {
  return withGradients((bench) => {
    const x = bench.floats("x", [batch, length, columns]);
    const mask = bench.operand(
      "mask",
      [batch, length],
      new Int32Array(batch * length).fill(1),
      "i32",
    );
    return {
      name: `masked mean ${batch}×${length}×${columns}`,
      operands: [x, mask],
      differentiable: [x],
      result: maskedMean(x, mask),
      flops: batch * length * columns,
      backwardFlops: batch * length * columns,
    };
  });
}

/** Label-smoothed cross-entropy of logits. */
export function loss(rows: number, vocabulary: number): Case[] {
  return withGradients((bench) => {
    const logits = bench.floats("logits", [rows, vocabulary], 4);
    const labels = bench.ids("labels", [rows], vocabulary);
    return {
      name: `label-smoothed loss ${rows}×${vocabulary}`,
      operands: [logits, labels],
      differentiable: [logits],
      result: labelSmoothedLoss(logits, labels, { smoothing: LABEL_SMOOTHING, padId: 0 }).loss,
      flops: 4 * rows * vocabulary,
      backwardFlops: 4 * rows * vocabulary,
    };
  });
}
