/**
 * Generation compiled for one shape of batch and one way of choosing.
 *
 * Two programs. `start` runs the encoder and the hypernetwork once and leaves keys, values and generated
 * adapters in variables. `step` appends one token to every sequence and has no inputs, so many steps go
 * into one submit. Where the adapters came from, the step does not know.
 */

import { type ModelConfig, needsTasks, taskIndices } from "../../models/config.ts";
import { crossKeyValues, decodeStep } from "../../models/decoding.ts";
import { adaptWith, encodeInstance } from "../../models/hyperdecoder.ts";
import type { Model } from "../../models/t5.ts";
import type { Gpu } from "../gpu/device.ts";
import { compile } from "../graph/compile.ts";
import { input, read, type Variable } from "../graph/leaves.ts";
import { advance } from "../graph/ops/advance.ts";
import { assign } from "../graph/ops/assign.ts";
import type { KeyValues } from "../graph/ops/self-attention-step.ts";
import { tokenAt } from "../graph/ops/token-at.ts";
import type { Program } from "../graph/program.ts";
import type { Tensor } from "../graph/tensor.ts";
import { readVariables, writeVariable } from "../graph/variables.ts";
import { BeamSearch } from "./beams.ts";
import { IndependentSearch } from "./independent.ts";
import type { Settings } from "./options.ts";
import type { Progress, Search, SearchShape, SourceBatch } from "./search.ts";
import { VariableSet } from "./variable-set.ts";

/** See the module's header. */
export class Session {
  /** Tokens that all sequences have, the start token included. */
  length = 0;

  private constructor(
    private readonly config: ModelConfig,
    private readonly search: Search,
    private readonly start: Program,
    private readonly step: Program,
    private readonly position: Variable,
    private readonly variables: VariableSet,
  ) {}

  /** Compiles the programs for batches of `batch` rows of `source` ids. */
  static async compile(
    gpu: Gpu,
    model: Model,
    settings: Settings,
    { batchSize: batch, sourceLength: source }: SourceBatch,
  ): Promise<Session> {
    const { config } = model;
    const variables = new VariableSet(gpu);
    const effects: Tensor[] = [];
    /** Keeps a tensor of the start program for the steps, and returns how these read it. */
    const keep = (name: string, value: Tensor): Tensor => {
      const leaf = read(variables.create(name, value.shape, value.dtype));
      effects.push(assign(leaf, value));
      return leaf;
    };
    const keepKeyValues = ({ key, value }: KeyValues, i: number): KeyValues => ({
      key: keep(`cross keys ${i}`, key),
      value: keep(`cross values ${i}`, value),
    });

    const attentionMask = input("attentionMask", [batch, source], "i32");
    const inputIds = input("inputIds", [batch, source], "i32");
    const taskIds = needsTasks(config) && { taskIds: input("taskIds", [batch], "i32") };
    const encoded = encodeInstance(model, { inputIds, attentionMask, ...taskIds });
    const cross = crossKeyValues(model, encoded.encoder.lastHiddenState).map(keepKeyValues);
    const encoderMask = keep("encoder mask", attentionMask);
    // Shared weights are parameters, which stay where they are; those of each row are kept for the steps.
    const adapters = encoded.decoderAdaptation?.adapters.map((adapter, i) =>
      adapter.downWeight.shape.length === 2 ? adapter : {
        downWeight: keep(`down weight ${i}`, adapter.downWeight),
        downBias: keep(`down bias ${i}`, adapter.downBias),
        upWeight: keep(`up weight ${i}`, adapter.upWeight),
        upBias: keep(`up bias ${i}`, adapter.upBias),
      }
    );

    const shape = { batchSize: batch, sourceLength: source };
    const search = createSearch(config, settings, shape, variables);
    const [, maxLength, slots] = search.tokens.shape;
    const cacheShape = [batch, maxLength, slots * config.heads * config.headDim];
    const self = Array.from({ length: config.decoderLayers }, (_, i): KeyValues => ({
      key: read(variables.create(`self keys ${i}`, cacheShape)),
      value: read(variables.create(`self values ${i}`, cacheShape)),
    }));
    const position = variables.create("position", [1], "u32");
    const logits = decodeStep(
      model,
      tokenAt(search.tokens, read(position)),
      read(position),
      { self, cross, encoderMask, ancestors: search.ancestors },
      adaptWith(adapters),
    );
    const stepEffects = [...search.step(logits, read(position)), advance(read(position))];
    const start = await compile(gpu, { outputs: {}, effects });
    const step = await compile(gpu, { outputs: {}, effects: stepEffects });
    return new Session(config, search, start, step, position, variables);
  }

  /** Encodes a batch and puts its search back to the start. */
  begin({ inputIds, attentionMask, tasks, batchSize, indices }: SourceBatch, seed: number): void {
    const rows = indices ?? Array.from({ length: batchSize }, (_, row) => row);
    this.search.reset({ seed, rows, inputIds, attentionMask });
    writeVariable(this.variables.gpu, this.position, new Uint32Array(1));
    this.length = 1;
    this.start.submit({
      inputIds,
      attentionMask,
      ...needsTasks(this.config) && { taskIds: taskIndices(this.config, tasks) },
    });
  }

  /** Appends `steps` tokens to every sequence that has not ended, then looks: one submit, one wait. */
  async advance(steps: number): Promise<Progress> {
    this.step.submit({}, { repeat: steps });
    this.length += steps;
    const values = await readVariables(this.variables.gpu, this.search.state);
    return this.search.progress(values, this.length);
  }

  /** Gives all memory back. */
  destroy(): void {
    this.start.destroy();
    this.step.destroy();
    this.variables.destroy();
  }
}

function createSearch(
  config: ModelConfig,
  settings: Settings,
  shape: SearchShape,
  variables: VariableSet,
): Search {
  const { strategy } = settings;
  return strategy.kind === "beams"
    ? new BeamSearch(config, { ...settings, strategy }, shape, variables)
    : new IndependentSearch(config, settings, shape, variables);
}
