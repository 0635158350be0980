/** Scores as tables for people. */

import { table } from "./table.ts";

/** Scores by metric, in percent. */
type Scores = Readonly<Record<string, number>>;

/** A task's scores, with those of a baseline where there is one. */
export interface ScoredTask {
  readonly name: string;
  readonly scores: Scores;
  readonly baseline?: Scores;
}

const points = (value: number): string => value.toFixed(1);

/** Task, metric and score: a row for each metric, and the average over tasks. */
export function scoreTable(tasks: readonly ScoredTask[]): string {
  const rows = tasks.flatMap(({ name, scores }) =>
    Object.entries(scores).map(([metric, score]) => [name, metric, points(score)])
  );
  return table(["task", "metric", "score"], [
    ...rows,
    ["average", "", points(mean(tasks.map(({ scores }) => mean(Object.values(scores)))))],
  ]);
}

/** As `scoreTable`, beside the score of always giving the most frequent answer. */
export function gainTable(tasks: readonly Required<ScoredTask>[]): string {
  const rows = tasks.flatMap(({ name, scores, baseline }) =>
    Object.entries(scores).map(([metric, score]) => [
      name,
      metric,
      points(baseline[metric]),
      points(score),
      signed(score - baseline[metric]),
    ])
  );
  const average = (of: (task: Required<ScoredTask>) => Scores) =>
    mean(tasks.map((task) => mean(Object.values(of(task)))));
  const before = average(({ baseline }) => baseline), after = average(({ scores }) => scores);
  return table(["task", "metric", "majority baseline", "score", "gain"], [
    ...rows,
    ["average", "", points(before), points(after), signed(after - before)],
  ]);
}

/** One line: the average, and each task's scores. */
export function scoreLine(average: number, scores: Readonly<Record<string, Scores>>): string {
  const parts = Object.entries(scores).map(([name, metrics]) =>
    `${name} ${Object.values(metrics).map(points).join("/")}`
  );
  return `${points(average)} on average (${parts.join(", ")})`;
}

const signed = (value: number): string => `${value < 0 ? "" : "+"}${points(value)}`;

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
