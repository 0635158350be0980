/** Tables as plain aligned text, the same in a terminal, a log and a README. */

import Table from "cli-table3";

const noBorders = Object.fromEntries(
  ["top", "bottom", "left", "right", "mid"].flatMap((side) =>
    [side, `${side}-left`, `${side}-mid`, `${side}-right`].map((name) => [name, ""])
  ).concat([["middle", ""]]),
);

/**
 * The lines of a table. A column whose cells are all numbers, as "85.3", "1,024", "12 %" or a dash for
 * none, is aligned to the right.
 */
export function table(
  head: readonly string[],
  rows: readonly (readonly (string | number)[])[],
): string {
  const isNumeric = (column: number) =>
    rows.every((row) => /^([-+]?[\d.,]+(e[-+]?\d+)?( ?%)?|[-–—]|)$/i.test(String(row[column])));
  const layout = new Table({
    head: [...head],
    colAligns: head.map((_, column) => isNumeric(column) ? "right" : "left"),
    chars: noBorders,
    style: { head: [], border: [], "padding-left": 0, "padding-right": 2 },
  });
  layout.push(...rows.map((row) => [...row]));
  return layout.toString().split("\n").map((line) => line.trimEnd()).join("\n");
}
