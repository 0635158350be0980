/**
 * Examples that belong together, and data sets that fall apart.
 *
 * Invariant: nothing is lost or reordered within a part.
 */

import type { Dataset, Example, Split } from "./types.ts";

/** The examples of each question together, which stand one after another; any other by itself. */
export function byQuestion(examples: readonly Example[]): Example[][] {
  const units: Example[][] = [];
  let last: Example | undefined;
  for (const example of examples) {
    const isNext = example.question !== undefined && example.question === last?.question;
    if (isNext) units.at(-1)!.push(example);
    else units.push([example]);
    last = example;
  }
  return units;
}

/**
 * A data set as one for each task that its examples of a split have, named by it: the sets of MRQA, say.
 * One whose examples are all of its own task is itself.
 */
export function bySubtask(dataset: Dataset, split: Split): Dataset[] {
  const { task, splits } = dataset;
  const names = new Set(splits[split]?.map((example) => example.task));
  if (names.size === 0 || (names.size === 1 && names.has(task.name))) return [dataset];
  return [...names].map((name) => {
    const parts = Object.entries(splits).map(([split, examples]) =>
      [split, examples.filter((example) => example.task === name)] as const
    ).filter(([, examples]) => examples.length > 0);
    return { task: { ...task, name }, splits: Object.fromEntries(parts) };
  });
}
