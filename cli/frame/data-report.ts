/** What was read of a task's files, as one line for people. */

import { relative } from "node:path";
import type { FileRecord, LeftOut } from "../../src/data/ledger.ts";
import type { OwnRead } from "../../src/data/own/load.ts";
import type { TaskFiles } from "../../src/data/tasks.ts";

/** Says on stderr what was read of a task's files. */
export function tellRead(read: TaskFiles): void {
  console.error(describeRead(read));
}

/**
 * One line: for each file its split, how many examples or questions it gave, what of it was left out, and
 * which files were there as well and are not read.
 */
export function describeRead({ task, files }: TaskFiles): string {
  const roots = new Set(files.map(({ root }) => root));
  const [root] = roots;
  const isOne = roots.size === 1 && root !== undefined;
  const parts = files.map((file) => {
    const { path, location, splits, rows, others } = file;
    const rest = [
      ...leftOut(file),
      ...others.length > 0 ? [`not from ${others.join(", ")}`] : [],
    ];
    const notes = rest.length > 0 ? ` (${rest.join("; ")})` : "";
    return `${count(rows)} ${splits.join(" and ")} from ${isOne ? path : location}${notes}`;
  });
  return `Read ${task}${isOne ? ` in ${root}` : ""}: ${parts.join(", ")}`;
}

/** Says on stderr what was read of a task of the user's own. */
export function tellOwn(read: OwnRead): void {
  if (read.splits.length > 0) console.error(describeOwn(read));
}

/** One line: the files and their columns, what became of their rows, and how answers are scored. */
export function describeOwn({ task, files, splits, seed }: OwnRead): string {
  const parts = files.map((file) => {
    const notes = [file.columns, ...leftOut(file)].join("; ");
    return `${count(file.rows)} rows of ${shortPath(file.path)} (${notes})`;
  });
  const sizes = splits.map(({ split, size, from, cut = from }) => {
    if (split === "test" && cut === "validation") {
      return `the ${count(size)} that validate also test, for there is no test split`;
    }
    const purpose = `${count(size)} to ${split === "validation" ? "validate" : split}`;
    return cut === from ? purpose : `${purpose}, cut off at random with data seed ${seed}`;
  });
  return `Read ${task.name}: ${parts.join(", ")}; ${sizes.join("; ")}; scored by ${
    task.metrics.join(", ")
  }`;
}

/** A path as seen from where the user is, where it is below. */
function shortPath(path: string): string {
  if (path.startsWith("hub:")) return path.replace(/@[0-9a-f]{40}/, "");
  const here = relative(".", path);
  return here.startsWith("..") ? path : here;
}

function leftOut({ note, bad, unlabelled, unanswerable }: FileRecord): string[] {
  return [
    ...note === undefined ? [] : [note],
    ...bad.length > 0 ? [`${count(bad.length)} bad left out: ${listed(bad)}`] : [],
    ...unlabelled > 0 ? [`${count(unlabelled)} without a label left out`] : [],
    ...unanswerable > 0 ? [`${count(unanswerable)} have no answer`] : [],
  ];
}

/** Bad rows that are named; the others are counted. */
const NAMED = 5;

function listed(bad: readonly LeftOut[]): string {
  const named = bad.slice(0, NAMED).map(({ where, fault }) => `${where} (${fault})`);
  const more = bad.length - named.length;
  return `${named.join(", ")}${more > 0 ? ` and ${count(more)} more` : ""}`;
}

const count = (value: number): string => value.toLocaleString("en");
