/**
 * Splits made from others, and parts of splits.
 *
 * Many tasks publish no labels of their test split. Reporting on the very examples that chose the
 * checkpoint flatters, so the validation split can be made from other labelled examples: for small tasks
 * it is one half of the published validation split, for large ones a thousand training examples; the
 * published validation split, or its other half, is the test split. Which task is which is the
 * reference's choice. What is drawn depends on nothing but the task and the seed.
 */

import { UserError } from "../errors.ts";
import { Random } from "./random.ts";
import type { Dataset, Example, Split } from "./types.ts";
import { byQuestion } from "./units.ts";

const halved = [
  "cola",
  "wnli",
  "rte",
  "trec",
  "superglue-cb",
  "sick",
  "mrpc",
  "stsb",
  "imdb",
  "commonsense_qa",
  "superglue-boolq",
];

const heldOut = [
  "yelp_polarity",
  "qqp",
  "qnli",
  "social_i_qa",
  "cosmos_qa",
  "winogrande",
  "hellaswag",
  "sst2",
  "art",
];

/** From where a task's validation split is made: half of the published one, or training examples. */
export function divisionOf(name: string): "halved" | "held out" | undefined {
  return halved.includes(name) ? "halved" : heldOut.includes(name) ? "held out" : undefined;
}

/** Training examples that become the validation split of a large task. */
const HELD_OUT = 1000;

/**
 * Loads a task with a validation split of its own made, where it has none.
 *
 * @param load reads published splits
 * @param splits which are wanted
 * @throws {UserError} as `load` does, or when there are too few training examples to hold some out
 */
export async function loadDivided(
  name: string,
  load: (splits: readonly Split[]) => Promise<Dataset>,
  splits: readonly Split[],
  seed: number,
): Promise<Dataset> {
  const random = new Random(seed, "division", name);
  if (divisionOf(name) === "halved") {
    const needed = splits.map((split) => split === "test" ? "validation" : split);
    const { task, splits: { train, validation = [] } } = await load([...new Set(needed)]);
    const shuffled = shuffle(validation, random);
    const half = Math.floor(shuffled.length / 2);
    return pick(splits, {
      task,
      splits: {
        ...(train && { train }),
        validation: shuffled.slice(0, half),
        test: shuffled.slice(half),
      },
    });
  }
  if (divisionOf(name) === "held out") {
    const needed = splits.map((split) => split === "validation" ? "train" : split);
    const { task, splits: { train = [], test } } = await load([...new Set(needed)]);
    if (needed.includes("train") && train.length <= HELD_OUT) {
      throw new UserError(
        `the task ${name} has ${train.length} training examples, too few to make ${HELD_OUT} of ` +
          `them the validation split: leave out --split-validation`,
      );
    }
    const shuffled = shuffle(train, random);
    return pick(splits, {
      task,
      splits: {
        train: shuffled.slice(HELD_OUT),
        validation: shuffled.slice(0, HELD_OUT),
        ...(test && { test }),
      },
    });
  }
  return await load(splits);
}

/**
 * At most `limit` examples of `task`, drawn at random; all of them, as they are, where 0 or enough. The
 * examples of one question count as one.
 */
export function sample(
  examples: readonly Example[],
  limit: number,
  task: string,
  seed: number,
): readonly Example[] {
  if (limit === 0 || examples.length <= limit) return examples;
  return shuffle(byQuestion(examples), new Random(seed, "sample", task)).slice(0, limit).flat();
}

function shuffle<T>(items: readonly T[], random: Random): T[] {
  return Array.from(random.permutation(items.length), (i) => items[i]);
}

function pick(wanted: readonly Split[], { task, splits }: Dataset): Dataset {
  const entries = Object.entries(splits).filter(([split]) => wanted.includes(split as Split));
  return { task, splits: Object.fromEntries(entries) };
}
