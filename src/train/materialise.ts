/**
 * What a model's adapters are for given inputs, as weights that need no hypernetwork.
 *
 * Wherever the adapters of a stack come from, for one instance they are a pair of Linear layers per block:
 * in that form they can be looked at, kept, averaged, and used by what knows nothing of hypernetworks.
 */

import { type ModelConfig, needsTasks, type Side, taskIndices } from "../../models/config.ts";
import { encodeInstance } from "../../models/hyperdecoder.ts";
import type { EvaluationBatch } from "../data/batch.ts";
import { compile } from "../graph/compile.ts";
import { input } from "../graph/leaves.ts";
import type { AdapterParameters } from "../graph/ops/adapter.ts";
import type { Parameters } from "../graph/parameters.ts";
import type { HostArray, Program } from "../graph/program.ts";
import type { Tensor } from "../graph/tensor.ts";

/** The adapter of one block, D the model's width, A the bottleneck's. Weights are [out, in]. */
export interface LinearAdapter {
  /** [A, D] */
  readonly downWeight: Float32Array;
  /** [A] */
  readonly downBias: Float32Array;
  /** [D, A] */
  readonly upWeight: Float32Array;
  /** [D] */
  readonly upBias: Float32Array;
}

/** The adapters of both stacks, by block; a stack without adapters is absent. */
export type StaticAdapters = Readonly<Partial<Record<Side, readonly LinearAdapter[]>>>;

/** The adapters of one example. */
export interface Materialised {
  /** The example's index. */
  readonly index: number;
  readonly adapters: StaticAdapters;
}

const SIDES: readonly Side[] = ["encoder", "decoder"];
const FIELDS = ["downWeight", "downBias", "upWeight", "upBias"] as const;

/**
 * Yields the adapters of every example, in the order of the batches.
 *
 * @param parameters the model's
 * @throws {UserError} for a task that the model was not made for, where its adapters depend on it
 */
export async function* materialise(
  config: ModelConfig,
  parameters: Parameters,
  batches: Iterable<EvaluationBatch>,
): AsyncGenerator<Materialised> {
  const programs = new Map<string, AdapterProgram>();
  try {
    for (const batch of batches) {
      const shape = `${batch.batchSize}x${batch.sourceLength}`;
      const program = programs.get(shape) ?? await adapterProgram(config, parameters, batch);
      programs.set(shape, program);
      const values = await run(program, config, batch);
      for (const [row, index] of batch.indices.entries()) {
        yield { index, adapters: rowOf(program, values, row) };
      }
    }
  } finally {
    for (const { program } of programs.values()) program.destroy();
  }
}

/** The mean of the adapters of several examples, weight by weight. */
export class AdapterMean {
  #count = 0;
  #sums: Partial<Record<Side, Record<keyof LinearAdapter, Float64Array>[]>> = {};

  /** Counts in the adapters of one more example. */
  add(adapters: StaticAdapters): void {
    this.#count++;
    for (const side of SIDES) {
      const layers = adapters[side];
      if (!layers) continue;
      const sums = this.#sums[side] ??= layers.map((layer) =>
        mapFields((field) => new Float64Array(layer[field].length))
      );
      for (const [i, layer] of layers.entries()) {
        for (const field of FIELDS) {
          const sum = sums[i][field];
          layer[field].forEach((value, j) => sum[j] += value);
        }
      }
    }
  }

  /** The mean of what was added. */
  mean(): StaticAdapters {
    const means = Object.entries(this.#sums).map(([side, layers]) => [
      side,
      layers.map((layer) =>
        mapFields((field) => Float32Array.from(layer[field], (sum) => sum / this.#count))
      ),
    ]);
    return Object.fromEntries(means);
  }
}

/** A program whose outputs are adapters, with the tensors by the names of the outputs. */
interface AdapterProgram {
  readonly program: Program;
  readonly outputs: Readonly<Record<string, Tensor>>;
  readonly layers: Readonly<Partial<Record<Side, readonly AdapterParameters[]>>>;
}

async function adapterProgram(
  config: ModelConfig,
  parameters: Parameters,
  { batchSize, sourceLength }: EvaluationBatch,
): Promise<AdapterProgram> {
  const model = { config, weight: (name: string) => parameters.tensor(name) };
  const encoded = encodeInstance(model, {
    inputIds: input("inputIds", [batchSize, sourceLength], "i32"),
    attentionMask: input("attentionMask", [batchSize, sourceLength], "i32"),
    ...(needsTasks(config) && { taskIds: input("taskIds", [batchSize], "i32") }),
  });
  const layers: Partial<Record<Side, readonly AdapterParameters[]>> = {};
  const outputs: Record<string, Tensor> = {};
  for (const side of SIDES) {
    const adapters = encoded[`${side}Adaptation`]?.adapters;
    if (!adapters) continue;
    layers[side] = adapters;
    adapters.forEach((layer, i) => {
      for (const field of FIELDS) outputs[outputName(side, i, field)] = layer[field];
    });
  }
  return { program: await compile(parameters.gpu, { outputs }), outputs, layers };
}

async function run(
  { program, outputs }: AdapterProgram,
  config: ModelConfig,
  { inputIds, attentionMask, tasks }: EvaluationBatch,
): Promise<Record<string, HostArray>> {
  const given = {
    inputIds,
    attentionMask,
    ...(needsTasks(config) && { taskIds: taskIndices(config, tasks) }),
  };
  // Adapters that nothing generates depend on no input.
  const needed = Object.entries(given).filter(([name]) => program.inputNames.has(name));
  return await program.run(Object.fromEntries(needed), Object.keys(outputs));
}

/** The adapters of one row of a batch, as Linear layers. */
function rowOf(
  { layers }: AdapterProgram,
  values: Readonly<Record<string, HostArray>>,
  row: number,
): StaticAdapters {
  const linear = (side: Side, i: number, tensors: AdapterParameters) =>
    mapFields((field) => {
      const all = values[outputName(side, i, field)] as Float32Array;
      const isShared = tensors.downWeight.shape.length === 2;
      if (isShared) return all;
      // Adapters of each row's own have the batch in front, and weights as [in, out].
      const [batch, rows, columns] = tensors[field].shape;
      const length = all.length / batch;
      const own = all.subarray(row * length, (row + 1) * length);
      return columns === undefined ? own.slice() : transposed(own, rows, columns);
    });
  return Object.fromEntries(
    Object.entries(layers).map(([side, adapters]) => [
      side,
      adapters.map((tensors, i) => linear(side as Side, i, tensors)),
    ]),
  );
}

function transposed(values: Float32Array, rows: number, columns: number): Float32Array {
  const result = new Float32Array(values.length);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      result[column * rows + row] = values[row * columns + column];
    }
  }
  return result;
}

function mapFields<T>(make: (field: keyof LinearAdapter) => T): Record<keyof LinearAdapter, T> {
  return {
    downWeight: make("downWeight"),
    downBias: make("downBias"),
    upWeight: make("upWeight"),
    upBias: make("upBias"),
  };
}

const outputName = (side: Side, layer: number, field: string) => `${side} ${layer} ${field}`;
