/**
 * What the reference generated from a fixture's batch, token for token.
 *
 * How it was generated, an entry says by its name: `greedy`, `greedy_min_length_2`, `beam4`, `beam4_all4`
 * (all four hypotheses), `beam4_lp0.6_early_minlen5` (length penalty, early stopping, minimum length).
 */

import { SequenceGenerator } from "../generate/generator.ts";
import type { GenerationOptions } from "../generate/options.ts";
import type { GeneratedSequence } from "../generate/search.ts";
import type { Parameters } from "../graph/parameters.ts";
import { type Check, Comparison, notChecked, outcomes, TOLERANCES } from "./comparison.ts";
import { type Fixture, type Stored, tasksIn } from "./fixture.ts";
import type { Fields } from "./json.ts";

/** The evaluation step of the reference's trainer. */
export const PREDICTION_STEP = "trainer_prediction_step";

/** Beam searches of a model whose tasks the reference's own search does not repeat for each beam. */
const REPEATED_TASKS = "beam_with_tasks_repeated_per_beam_not_original";

/** Fields of `generate.json` that describe the others. */
const DESCRIPTIONS = ["tasks", "max_length", "greedy_min_top2_margin"];

type Generate = (options: Partial<GenerationOptions>) => Promise<GeneratedSequence[][]>;

/** Generates in every way that the fixture has results of, and compares. */
export async function checkGeneration(
  { config, generation }: Fixture,
  parameters: Parameters,
  { batch }: Stored,
): Promise<Check[]> {
  if (!generation) return [];
  const maxLength = generation.number("max_length");
  const generator = new SequenceGenerator(config, parameters);
  const source = { ...batch, tasks: tasksIn(generation, "tasks") };
  const generate: Generate = (options) =>
    generator.generate(source, { maxLength, beamRule: "reference", ...options });
  const checks: Check[] = [];
  try {
    for (const name of generation.names.filter((name) => !DESCRIPTIONS.includes(name))) {
      checks.push(...await checkEntry(generation, name, name, generate, config));
    }
  } finally {
    generator.destroy();
  }
  return checks;
}

/** @param title what to call it, which is more than its name where it is part of another entry */
async function checkEntry(
  fields: Fields,
  name: string,
  title: string,
  generate: Generate,
  config: Fixture["config"],
): Promise<Check[]> {
  if (!fields.has(name)) return [];
  if (name === PREDICTION_STEP) {
    return comparePrediction(fields.fields(name), await generate({ minLength: 2 }), config);
  }
  if (name === REPEATED_TASKS) {
    const entries = fields.fields(name);
    const checks: Check[] = [];
    for (const entry of entries.names) {
      checks.push(...await checkEntry(entries, entry, `${entry} (${name})`, generate, config));
    }
    return checks;
  }
  if (name.endsWith("_error")) {
    return [notChecked(title, `the reference itself fails: ${fields.text(name)}`)];
  }
  const greedy = greedyOptions(name), beams = beamOptions(name);
  if (greedy) {
    const ids = new Comparison(`${title}: token ids`, TOLERANCES.exact);
    compareIds(ids, (await generate(greedy)).flat(), fields.rows(name), config);
    return outcomes([ids]);
  }
  if (beams) {
    const expected = fields.fields(name);
    const ids = new Comparison(`${title}: token ids`, TOLERANCES.exact);
    const scores = new Comparison(`${title}: scores`, TOLERANCES.score);
    const sequences = (await generate(beams)).flat();
    compareIds(ids, sequences, expected.rows("sequences"), config);
    const values = expected.numbers("sequences_scores");
    scores.tensor("sequences_scores", sequences.map(({ score }) => score), {
      shape: [values.length],
      values,
    });
    return outcomes([ids, scores]);
  }
  return [notChecked(title, "unknown to this build")];
}

function greedyOptions(name: string): Partial<GenerationOptions> | undefined {
  const [found, , minLength] = /^greedy(_min_length_(\d+))?$/.exec(name) ?? [];
  return found === undefined ? undefined : { minLength: Number(minLength ?? 0) };
}

function beamOptions(name: string): Partial<GenerationOptions> | undefined {
  const pattern =
    /^beam(?<beams>\d+)(_all(?<all>\d+))?(_lp(?<lp>-?[\d.]+))?(?<early>_early)?(_minlen(?<min>\d+))?$/;
  const groups = pattern.exec(name)?.groups;
  return groups && {
    beams: Number(groups.beams),
    outputs: Number(groups.all ?? 1),
    lengthPenalty: Number(groups.lp ?? 1),
    earlyStopping: groups.early !== undefined,
    minLength: Number(groups.min ?? 0),
  };
}

function comparePrediction(
  expected: Fields,
  rows: readonly (readonly GeneratedSequence[])[],
  config: Fixture["config"],
): Check[] {
  const ids = new Comparison("trainer's prediction step: token ids", TOLERANCES.exact);
  const scores = new Comparison("trainer's prediction step: gen_probs", TOLERANCES.score);
  compareIds(ids, rows.flat(), expected.rows("generated_tokens"), config);
  const values = expected.numbers("gen_probs");
  scores.tensor("gen_probs", confidences(rows.flat(), config), { shape: [values.length], values });
  return outcomes([ids, scores]);
}

/** Sequences as the reference stores them: with start and end token, padded to the width expected. */
function compareIds(
  comparison: Comparison,
  sequences: readonly GeneratedSequence[],
  rows: readonly (readonly number[])[],
  config: Fixture["config"],
): void {
  const width = Math.max(0, ...rows.map(({ length }) => length));
  const ids = sequences.flatMap((sequence) => {
    const whole = wholeIds(sequence, config);
    return [...whole, ...new Array(Math.max(0, width - whole.length)).fill(config.padId)];
  });
  comparison.tensor("token", ids, { shape: [rows.length, width], values: rows.flat() });
}

function wholeIds({ tokens, ended }: GeneratedSequence, config: Fixture["config"]): number[] {
  return [config.decoderStartId, ...tokens, ...(ended ? [config.eosId] : [])];
}

/**
 * The reference's `gen_probs`: for each row the mean negative log-probability of its tokens over all
 * positions that the batch generated, where padding counts as 0.
 */
function confidences(
  sequences: readonly GeneratedSequence[],
  config: Fixture["config"],
): number[] {
  const positions = Math.max(...sequences.map(({ choices }) => choices.length));
  return sequences.map((sequence) => {
    const ids = wholeIds(sequence, config).slice(1);
    const sum = sequence.choices.reduce(
      (total, choice, i) => ids[i] === config.padId ? total : total - choice,
      0,
    );
    return sum / positions;
  });
}
