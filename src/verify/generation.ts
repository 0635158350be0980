/**
 * What the reference generated from a fixture's batch, token for token.
 */

import { type Generation, GreedyDecoder } from "../generate/greedy.ts";
import type { Parameters } from "../graph/parameters.ts";
import { type Check, Comparison, notChecked, outcomes, TOLERANCES } from "./comparison.ts";
import { type Fixture, type Stored, tasksIn } from "./fixture.ts";
import type { Fields } from "./json.ts";

/** The evaluation step of the reference's trainer. */
export const PREDICTION_STEP = "trainer_prediction_step";

/** Fields of `generate.json` that describe the others. */
const DESCRIPTIONS = ["tasks", "max_length", "greedy_min_top2_margin"];

/** Generates greedily and compares; lists the other ways of generating as not checked. */
export async function checkGeneration(
  { config, generation }: Fixture,
  parameters: Parameters,
  { batch }: Stored,
): Promise<Check[]> {
  if (!generation) return [];
  const maxLength = generation.number("max_length");
  const tasks = tasksIn(generation, "tasks");
  const generate = async (minLength: number) => {
    const decoder = new GreedyDecoder(config, parameters, { maxLength, minLength });
    try {
      return await decoder.run({ ...batch, tasks });
    } finally {
      await decoder.destroy();
    }
  };

  const plain = new Comparison("greedy: token ids", TOLERANCES.exact);
  const longer = new Comparison("greedy, min_length 2: token ids", TOLERANCES.exact);
  const step = new Comparison("trainer's prediction step: token ids", TOLERANCES.exact);
  const scores = new Comparison("trainer's prediction step: gen_probs", TOLERANCES.score);
  if (generation.has("greedy")) {
    compareIds(plain, await generate(0), generation.rows("greedy"), config.padId);
  }
  if (generation.has("greedy_min_length_2") || generation.has(PREDICTION_STEP)) {
    const result = await generate(2);
    if (generation.has("greedy_min_length_2")) {
      compareIds(longer, result, generation.rows("greedy_min_length_2"), config.padId);
    }
    if (generation.has(PREDICTION_STEP)) {
      const expected = generation.fields(PREDICTION_STEP);
      compareIds(step, result, expected.rows("generated_tokens"), config.padId);
      const values = expected.numbers("gen_probs");
      scores.tensor("gen_probs", confidences(result, batch.batchSize, config), {
        shape: [values.length],
        values,
      });
    }
  }
  return [...outcomes([plain, longer, step, scores]), ...otherWays(generation)];
}

/** Expected rows may be narrower than `maxLength`: what is beyond them must be padding. */
function compareIds(
  comparison: Comparison,
  { tokens, maxLength }: Generation,
  rows: readonly (readonly number[])[],
  padId: number,
): void {
  const expected = rows.flatMap((row) => [
    ...row,
    ...new Array(Math.max(0, maxLength - row.length)).fill(padId),
  ]);
  comparison.tensor("token", tokens, { shape: [rows.length, maxLength], values: expected });
}

/**
 * The reference's `gen_probs`: for each row the mean negative log-probability of its tokens over all
 * positions that the batch generated, so that padding counts as 0.
 */
function confidences(
  { tokens, scores, maxLength }: Generation,
  batchSize: number,
  { padId, eosId }: Fixture["config"],
): number[] {
  const rows = Array.from({ length: batchSize }, (_, row) => {
    const start = row * maxLength + 1, end = (row + 1) * maxLength;
    const ids = [...tokens.subarray(start, end)];
    const last = ids.indexOf(eosId);
    const sum = scores.subarray(start, end)
      .reduce((total, score, i) => ids[i] === padId ? total : total + score, 0);
    return { generated: last < 0 ? ids.length : last + 1, sum };
  });
  const positions = Math.max(...rows.map(({ generated }) => generated));
  return rows.map(({ sum }) => sum / positions);
}

function otherWays(generation: Fields): Check[] {
  const known = [...DESCRIPTIONS, "greedy", "greedy_min_length_2", PREDICTION_STEP];
  return generation.names
    .filter((name) => !known.includes(name) && !name.endsWith("_error"))
    .map((name) =>
      notChecked(
        name,
        name.startsWith("beam") ? "this build has no beam search" : "unknown to this build",
      )
    );
}
