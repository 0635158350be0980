/**
 * How data sets of the Hugging Face hub lay out their tables: which file holds which split of which
 * configuration.
 *
 * The hub's own forms are `config/train-00000-of-00002.parquet` (`data/` for the only configuration; with
 * a hash after the number in older ones) and, on the branch where it keeps what it has made Parquet of,
 * `config/train/0000.parquet`.
 */

import { UserError } from "../errors.ts";
import { isTable } from "./own/table.ts";

/** The files of each split, in order. */
export type HubSplits = ReadonlyMap<string, readonly string[]>;

/** The configuration that a data set has that names none. */
const DEFAULT = "default";

/** The splits of each configuration, from the paths of all files. */
export function readLayout(paths: readonly string[]): ReadonlyMap<string, HubSplits> {
  const layout = new Map<string, Map<string, string[]>>();
  for (const path of [...paths].sort()) {
    const found = isTable(path) ? placeOf(path) : undefined;
    if (found === undefined) continue;
    const { config, split } = found;
    if (!layout.has(config)) layout.set(config, new Map());
    const splits = layout.get(config)!;
    splits.set(split, [...splits.get(split) ?? [], path]);
  }
  for (const splits of layout.values()) {
    for (const [split, paths] of splits) splits.set(split, oneSet(paths));
  }
  return layout;
}

/**
 * The splits of one configuration.
 *
 * @param config the only one, or `default`, unless told
 * @param name the data set, for errors
 * @throws {UserError} naming those that there are
 */
export function chooseConfig(
  layout: ReadonlyMap<string, HubSplits>,
  config: string | undefined,
  name: string,
): HubSplits {
  const only = layout.size === 1 ? [...layout.values()][0] : undefined;
  // What has one configuration seldom calls its folder by it.
  const found = config === undefined
    ? only ?? layout.get(DEFAULT)
    : layout.get(config) ?? (layout.has(DEFAULT) ? only : undefined);
  if (found) return found;
  const there = [...layout.keys()].join(", ");
  throw new UserError(
    layout.size === 0
      ? `${name} has no tables (Parquet, JSON lines, CSV) on the hub that could be read`
      : config === undefined
      ? `${name} has several configurations: name one, as hub:${name}/${[...layout.keys()][0]}, ` +
        `among ${there}`
      : `${name} has no configuration ${config}; it has ${there}`,
  );
}

const SPLIT_LIKE = /^(train|valid|val|dev|test|eval)/i;

function placeOf(path: string): { config: string; split: string } | undefined {
  const parts = path.split("/");
  const file = parts.pop()!;
  const numbered = /^\d{4}\.parquet$/.test(file);
  const split = numbered
    ? parts.pop()?.replace(/^partial-/, "")
    : /^(.+?)(?:-\d{5}-of-\d{5})?(?:-[0-9a-f]{16})?\.[a-z]+(?:\.gz)?$/i.exec(file)?.[1];
  if (split === undefined || parts.some((part) => part.startsWith("."))) return undefined;
  // Parquet is always rows; of other files many are about the data set (dataset_infos.json).
  if (!file.endsWith(".parquet") && !SPLIT_LIKE.test(split)) return undefined;
  if (parts[0] === "data") parts.shift();
  return { config: parts.join("/") || DEFAULT, split };
}

/** Of the same rows in several forms, one: Parquet first. */
function oneSet(paths: readonly string[]): string[] {
  const endingOf = (path: string) => /\.[a-z]+(?:\.gz)?$/i.exec(path)![0];
  const endings = [...new Set(paths.map(endingOf))];
  const ending = endings.find((ending) => ending === ".parquet") ?? endings[0];
  return paths.filter((path) => endingOf(path) === ending);
}
