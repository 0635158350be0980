/**
 * What each split of a user's own task is made of, where the data does not have all of them.
 *
 * Invariants: a source that is trained on is in no split that was cut off; which rows are cut off depends on
 * nothing but the rows, the task's name and the seed, whichever splits are wanted.
 */

import { UserError } from "../../errors.ts";
import { Random } from "../random.ts";
import type { Example, Split } from "../types.ts";
import type { SplitPaths } from "./definition.ts";

/** Rows of the data's split `from`: all of them, or those that are cut off as `cut`. */
export interface Origin {
  readonly from: Split;
  readonly cut?: "validation" | "test";
}

/** What a task is divided by. */
export interface Division {
  readonly name: string;
  /** The splits that the data has. */
  readonly data: SplitPaths;
  /** Whether a task without a test split validates on rows that are not those it is tested on. */
  readonly splitValidation: boolean;
  readonly seed: number;
}

/** A cut-off split is one in this many rows, */
const SHARE = 10;
/** and at most so many. */
const MOST = 1000;

/** What a split is made of; undefined where the data has nothing that it could be. */
export function originOf(
  split: Split,
  { data: { train, validation, test }, splitValidation }: Division,
): Origin | undefined {
  const there = { train, validation, test };
  const divides = splitValidation && test === undefined && train !== undefined;
  if (there[split] !== undefined && !(split === "validation" && divides)) return { from: split };
  // That which validates stands for a test split, unless other rows validate.
  if (split === "test" && validation !== undefined) return { from: "validation" };
  if (split === "train" || train === undefined) return undefined;
  return { from: "train", cut: split === "test" && divides ? "test" : "validation" };
}

/**
 * Divides the training split into what is left of it and what is cut off. Rows of one source stay together.
 *
 * @param examples those of the training split
 * @param isScored whether the splits that are cut off are wanted
 * @throws {UserError} where there are too few
 */
export function divide(
  examples: readonly Example[],
  division: Division,
  isScored: boolean,
): Record<Split, readonly Example[]> {
  const { name, data, seed } = division;
  const cuts = (["validation", "test"] as const)
    .filter((split) => originOf(split, division)?.cut === split);
  const whole = { train: examples, validation: [], test: [] };
  const groups = [...Map.groupBy(examples, ({ source }) => source).values()];
  if (groups.length <= cuts.length) {
    if (!isScored || cuts.length === 0) return whole;
    throw new UserError(
      `${[data.train!].flat()[0]} has ${
        groups.length === 1 ? "a single source" : `${groups.length} different sources`
      }, too few to cut off what the task ${name} is scored on: give it a validation split, or train with ` +
        `--eval-every 0 --final-splits none`,
    );
  }
  const order = new Random(seed, "division", name).permutation(groups.length);
  const size = Math.max(1, Math.min(MOST, Math.round(examples.length / SHARE)));
  const splitOf = new Map<string, Split>();
  let next = 0;
  for (const [i, split] of cuts.entries()) {
    // A source is left for each split that comes after, and one to train on.
    const last = groups.length - cuts.length + i;
    for (let count = 0; count < size && next < last;) {
      const group = groups[order[next++]];
      splitOf.set(group[0].source, split);
      count += group.length;
    }
  }
  const parts = Object.groupBy(examples, ({ source }) => splitOf.get(source) ?? "train");
  return { ...whole, ...parts };
}
