/**
 * Greedy decoding from the text's ids to the answer's, for one text and for many at once.
 */

import { SequenceGenerator } from "../generate/generator.ts";
import type { Gpu } from "../gpu/device.ts";
import { takeCensus } from "./census.ts";
import { type BatchShape, randomBatch, randomParameters } from "./inputs.ts";
import { type Clock, type Effort, measure, type Timing } from "./measure.ts";
import type { Subject } from "./subjects.ts";

/** What a generation takes. */
export interface GenerationResult {
  readonly name: string;
  /** `targetLength` is the number of ids that every row is given. */
  readonly batch: BatchShape;
  /** Per batch, encoder and hypernetwork included. */
  readonly timing: Timing;
  /** From the text's ids to the first id of every row, on the host. */
  readonly firstToken: Timing;
  /** Generated ids, of all rows. */
  readonly tokensPerSecond: number;
  /** Dispatches for one more id of every row. */
  readonly dispatchesPerToken: number;
  /** Times that the host looked at results, per batch. */
  readonly readbacks: number;
}

/** Measures generation on random weights and ids; no row ends before `targetLength` ids. */
export async function measureGeneration(
  gpu: Gpu,
  { name, config, batch: shape }: Subject,
  effort: Effort,
  clock: Clock,
): Promise<GenerationResult> {
  const parameters = randomParameters(gpu, config, () => false);
  const generator = new SequenceGenerator(config, parameters);
  const batch = randomBatch(config, shape);
  const length = shape.targetLength + 1; // with the start token
  const options = { maxLength: length, minLength: length };

  /** Generates the first `chunks` pieces of an answer; the first piece is one id. */
  const begin = async (chunks: number) => {
    for await (const _ of generator.stream(batch, options)) {
      if (--chunks === 0) break;
    }
  };
  const repeated = (work: () => Promise<unknown>) =>
    measure(
      async (repeat) => {
        for (let i = 0; i < repeat; i++) await work();
      },
      effort,
      clock,
    );

  const timing = await repeated(() => generator.generate(batch, options));
  const firstToken = await repeated(() => begin(1));
  const [, whole] = await takeCensus(() => generator.generate(batch, options));
  const [, first] = await takeCensus(() => begin(1));
  generator.destroy();
  parameters.destroy();
  return {
    name,
    batch: shape,
    timing,
    firstToken,
    tokensPerSecond: batch.targetTokens / timing.wall.median * 1000,
    dispatchesPerToken: (whole.dispatches - first.dispatches) / (shape.targetLength - 1),
    readbacks: whole.readbacks,
  };
}
