/**
 * Greedy decoding on the device.
 *
 * Two programs per shape of batch. `start` runs the encoder and the hypernetwork once and leaves keys,
 * values and generated adapters in variables. `step` appends one token per row and has no inputs, so many
 * steps go into one submit; the host only looks once per submit whether all rows have ended.
 */

import { type ModelConfig, needsTasks, taskIndices } from "../../models/config.ts";
import { crossKeyValues, decodeStep, type KeyValues } from "../../models/decoding.ts";
import { adaptWith, encodeInstance } from "../../models/hyperdecoder.ts";
import type { Model } from "../../models/t5.ts";
import type { Batch } from "../data/batch.ts";
import { compile } from "../graph/compile.ts";
import { input, read, type Variable } from "../graph/leaves.ts";
import { assign } from "../graph/ops/assign.ts";
import { advance, greedyStep } from "../graph/ops/greedy-step.ts";
import { tokenAt } from "../graph/ops/token-at.ts";
import type { Parameters } from "../graph/parameters.ts";
import type { Program } from "../graph/program.ts";
import type { DType, Shape, Tensor } from "../graph/tensor.ts";
import { createVariable, readVariables, writeVariable } from "../graph/variables.ts";

/**
 * Tokens that are appended before the host looks whether all rows have ended: few at first, for answers
 * of a word, then twice as many each time up to the most.
 */
const STEPS_PER_SUBMIT = { first: 4, most: 16 };

/** Limits of a generation. */
export interface GreedyLimits {
  /** Most tokens in a row, the start token included. */
  readonly maxLength: number;
  /** The end token is forbidden while a row has fewer tokens, the start token included. */
  readonly minLength?: number;
}

/** The part of a batch that generation needs. */
export type SourceBatch = Pick<
  Batch,
  "inputIds" | "attentionMask" | "batchSize" | "sourceLength" | "tasks"
>;

/** What was generated, a row for each of the batch. */
export interface Generation {
  /** [batchSize, maxLength]: start token, tokens, end token, padding. */
  readonly tokens: Int32Array;
  /** [batchSize, maxLength]: −ln of the probability of each chosen token; 0 at padding. */
  readonly scores: Float32Array;
  readonly maxLength: number;
}

interface Session {
  readonly start: Program;
  readonly step: Program;
  readonly tokens: Variable;
  readonly scores: Variable;
  readonly finished: Variable;
  readonly position: Variable;
  readonly variables: readonly Variable[];
}

/** Decodes batches of any shape; what is compiled for a shape is kept. */
export class GreedyDecoder {
  #sessions = new Map<string, Promise<Session>>();
  #model: Model;

  constructor(
    readonly config: ModelConfig,
    readonly parameters: Parameters,
    readonly limits: GreedyLimits,
  ) {
    this.#model = { config, weight: (name) => parameters.tensor(name) };
  }

  /** Generates and returns the tokens between start and end, a list per row. */
  async generate(batch: SourceBatch): Promise<number[][]> {
    const { tokens, maxLength } = await this.run(batch);
    const { padId, eosId } = this.config;
    return Array.from({ length: batch.batchSize }, (_, row) => {
      const ids = [...tokens.subarray(row * maxLength + 1, (row + 1) * maxLength)];
      const end = ids.findIndex((id) => id === eosId || id === padId);
      return end < 0 ? ids : ids.slice(0, end);
    });
  }

  /** Generates and returns everything as it lies on the device. */
  async run(batch: SourceBatch): Promise<Generation> {
    const session = await this.#session(batch.batchSize, batch.sourceLength);
    const { gpu } = this.parameters;
    const { maxLength } = this.limits;
    const blank = new Int32Array(batch.batchSize * maxLength).fill(this.config.padId);
    for (let row = 0; row < batch.batchSize; row++) {
      blank[row * maxLength] = this.config.decoderStartId;
    }
    writeVariable(gpu, session.tokens, blank);
    writeVariable(gpu, session.scores, new Float32Array(blank.length));
    writeVariable(gpu, session.finished, new Int32Array(batch.batchSize));
    writeVariable(gpu, session.position, new Uint32Array(1));

    session.start.submit({
      inputIds: batch.inputIds,
      attentionMask: batch.attentionMask,
      ...needsTasks(this.config) && { taskIds: taskIndices(this.config, batch.tasks) },
    });
    let steps = STEPS_PER_SUBMIT.first;
    for (let done = 1; done < maxLength; steps = Math.min(2 * steps, STEPS_PER_SUBMIT.most)) {
      const repeat = Math.min(steps, maxLength - done);
      session.step.submit({}, { repeat });
      done += repeat;
      const [finished] = await readVariables(gpu, [session.finished]);
      if (finished.every((flag) => flag === 1)) break;
    }
    const [tokens, scores] = await readVariables(gpu, [session.tokens, session.scores]);
    return { tokens: tokens as Int32Array, scores: scores as Float32Array, maxLength };
  }

  /** Gives all memory back that decoding needed. */
  async destroy(): Promise<void> {
    for (const session of this.#sessions.values()) {
      const { start, step, variables } = await session;
      for (const program of [start, step]) program.destroy();
      for (const { buffer } of variables) buffer.destroy();
    }
    this.#sessions.clear();
  }

  #session(batch: number, source: number): Promise<Session> {
    const key = `${batch}x${source}`;
    let session = this.#sessions.get(key);
    if (!session) this.#sessions.set(key, session = this.#compile(batch, source));
    return session;
  }

  async #compile(batch: number, source: number): Promise<Session> {
    const { config, parameters: { gpu }, limits: { maxLength, minLength = 0 } } = this;
    const model = this.#model;
    const variables: Variable[] = [];
    const variable = (name: string, shape: Shape, dtype: DType = "f32"): Variable => {
      const made = createVariable(gpu, name, shape, dtype);
      variables.push(made);
      return made;
    };
    const effects: Tensor[] = [];
    /** Keeps a tensor of the start program for the steps, and returns how these read it. */
    const keep = (name: string, value: Tensor): Tensor => {
      const leaf = read(variable(name, value.shape, value.dtype));
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
    const start = await compile(gpu, { outputs: {}, effects });

    const inner = config.heads * config.headDim;
    const cache = (name: string, i: number) =>
      read(variable(`self ${name} ${i}`, [batch, maxLength, inner]));
    const self = Array.from({ length: config.decoderLayers }, (_, i): KeyValues => ({
      key: cache("keys", i),
      value: cache("values", i),
    }));
    const tokens = variable("tokens", [batch, maxLength], "i32");
    const scores = variable("scores", [batch, maxLength]);
    const finished = variable("finished", [batch], "i32");
    const position = variable("position", [1], "u32");
    const logits = decodeStep(
      model,
      tokenAt(read(tokens), read(position)),
      read(position),
      { self, cross, encoderMask },
      adaptWith(adapters),
    );
    const next = greedyStep(
      logits,
      { tokens: read(tokens), scores: read(scores), finished: read(finished) },
      read(position),
      { eosId: config.eosId, padId: config.padId, minLength },
    );
    const step = await compile(gpu, {
      outputs: {},
      effects: [next.tokens, next.scores, next.finished, advance(read(position))],
    });
    return { start, step, tokens, scores, finished, position, variables };
  }
}
