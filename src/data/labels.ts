/**
 * The spellings in which data sets write a class: its index, its name in the data set's own features, or
 * what a release writes instead.
 *
 * Invariant: every spelling that is taken is listed here; any other is none, never guessed at.
 */

/** How a field's value becomes a target. */
export interface Reading {
  /** The target; undefined for a value that the field may not have. */
  readonly read: (value: unknown) => string | undefined;
  /** What it is not where it has none, for errors. */
  readonly expected: string;
}

/** A class: its name, and others of it. */
type Names = string | readonly string[];

/**
 * The index of a class, which may be said by index or by name. Names are the same in any case; blanks
 * around either do not count (`"2\n"`, in Social IQa).
 *
 * @param classes in order of index
 * @param from the first index
 */
export function classIndex(classes: readonly Names[], from = 0): Reading {
  return renumbered(classes, classes.map((_, i) => i + from), from);
}

/**
 * The same where a data set has its classes in another order.
 *
 * @param targets for each class of the data set, the index that is written
 */
export function renumbered(
  classes: readonly Names[],
  targets: readonly number[],
  from = 0,
): Reading {
  const indices = new Map<string, string>();
  classes.forEach((names, i) => {
    for (const name of [String(i + from), ...[names].flat()]) {
      indices.set(name.toLowerCase(), String(targets[i]));
    }
  });
  return {
    read: (value) =>
      typeof value === "string" || typeof value === "number" || typeof value === "boolean"
        ? indices.get(String(value).trim().toLowerCase())
        : undefined,
    expected: labels(
      classes.map((names, i) => [String(i + from), ...[names].flat().slice(0, 1)].join(" or ")),
    ),
  };
}

const labels = (names: readonly string[]): string => `a label of this task (${names.join(", ")})`;

/** Classes that have numbers only. */
export function numbers(count: number, from = 0): Reading {
  return classIndex(Array.from({ length: count }, () => []), from);
}

/** Classes that have letters. */
export function letters(...names: string[]): Reading {
  return {
    read: (value) => names.find((name) => name === value),
    expected: labels(names),
  };
}

/** A number from `low` to `high`, as `write` has it. */
export function numberBetween(
  low: number,
  high: number,
  write: (value: number) => string,
): Reading {
  return {
    read: (value) => {
      const text = typeof value === "number" ? String(value) : value;
      if (typeof text !== "string" || text.trim() === "") return undefined;
      const number = Number(text);
      return number >= low && number <= high ? write(number) : undefined;
    },
    expected: `a score from ${low} to ${high}`,
  };
}

/** Text as it stands. */
export const anyText: Reading = {
  read: (value) => typeof value === "string" ? value : undefined,
  expected: "text",
};
