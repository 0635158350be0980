/** Adapters with weights of their own for every instance, and the hypernetwork's heads that make them. */

import type { ModelConfig } from "../../../models/config.ts";
import { adapter } from "../../graph/ops/adapter.ts";
import { linear } from "../../graph/ops/matmul.ts";
import { type Case, withGradients } from "../kernels.ts";

/** The sizes of an adapter's operands. */
export interface AdapterShape {
  readonly batch: number;
  readonly length: number;
  readonly width: number;
  readonly bottleneck: number;
}

/** The adapter of each row of the batch, with the residual. */
export function instanceAdapter({ batch, length, width, bottleneck }: AdapterShape): Case[] {
  return withGradients((bench) => {
    const x = bench.floats("x", [batch, length, width]);
    const residual = bench.floats("residual", [batch, length, width]);
    const parameters = {
      downWeight: bench.floats("down weight", [batch, width, bottleneck], width ** -0.5),
      downBias: bench.floats("down bias", [batch, bottleneck]),
      upWeight: bench.floats("up weight", [batch, bottleneck, width], bottleneck ** -0.5),
      upBias: bench.floats("up bias", [batch, width]),
    };
    const products = 2 * batch * length * width * bottleneck;
    const differentiable = [x, ...Object.values(parameters)];
    return {
      name: `instance adapters ${batch}×${length}×${width}×${bottleneck}`,
      operands: [...differentiable, residual],
      differentiable,
      result: adapter(x, parameters, residual),
      flops: 2 * products,
      backwardFlops: 4 * products,
    };
  });
}

/** One head of the hypernetwork: the down weights of all layers and instances. */
export function hypernetworkHead(config: ModelConfig, batch: number): Case[] {
  const { decoderLayers, modelDim, decoderAdapterDim, hypernetworkBottleneck } = config;
  return withGradients((bench) => {
    const rows = decoderLayers * batch, columns = modelDim * decoderAdapterDim;
    const t = bench.floats("t", [rows, hypernetworkBottleneck]);
    const weight = bench.floats("weight", [columns, hypernetworkBottleneck]);
    const flops = 2 * rows * columns * hypernetworkBottleneck;
    return {
      name: `hypernetwork head ${rows}×${columns}×${hypernetworkBottleneck}`,
      operands: [t, weight],
      differentiable: [t, weight],
      result: linear(t, weight),
      flops,
      backwardFlops: 2 * flops,
    };
  });
}
