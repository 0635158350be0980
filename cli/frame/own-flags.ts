/** The flags that say what a task of the user's own is. */

import { type Command, InvalidArgumentError, Option } from "commander";
import { type OwnTask, parseOwnTask } from "../../src/data/own/definition.ts";
import { METRIC_NAMES, type MetricName } from "../../src/data/types.ts";
import { suggestion } from "../../src/errors.ts";
import { list, type Parser } from "./config.ts";

/** What they may say. */
export interface OwnFlags {
  /** Task files by their paths, or what they hold. */
  readonly taskFile?: readonly (string | OwnTask)[] | undefined;
  readonly sourceColumn?: string | undefined;
  readonly targetColumn?: string | undefined;
  readonly template?: string | undefined;
  readonly labels?: OwnTask["labels"] | undefined;
  readonly metric?: readonly MetricName[] | undefined;
}

/** Each flag by its name in settings. */
export const ownFlags: Readonly<Record<keyof OwnFlags, string>> = {
  taskFile: "--task-file",
  sourceColumn: "--source-column",
  targetColumn: "--target-column",
  template: "--template",
  labels: "--labels",
  metric: "--metric",
};

/** Task files; a run's settings hold the tasks themselves. */
const taskFiles: Parser<(string | OwnTask)[]> = Object.assign(
  (text: string, previous: (string | OwnTask)[] = []) => [...previous, ...list(text)],
  {
    json: "list" as const,
    fromJson: (value: unknown) =>
      [value].flat().map((task) =>
        typeof task === "string" ? task : parseOwnTask(task, 'the option "taskFile"')
      ),
  },
);

/** `no,yes`, or `0=no,1=yes`; in JSON as in a task file. */
const labels: Parser<NonNullable<OwnTask["labels"]>> = Object.assign(
  (text: string) => {
    const names = list(text);
    const pairs = names.map((name) => /^([^=]*)=(.+)$/.exec(name)?.slice(1) ?? []);
    const mapped = pairs.filter((pair) => pair.length > 0).length;
    if (mapped === 0 && new Set(names).size === names.length) return names;
    if (mapped === names.length) return Object.fromEntries(pairs) as Record<string, string>;
    throw new InvalidArgumentError(
      "it must be labels, as no,yes, or words for values, as 0=no,1=yes",
    );
  },
  {
    json: "list" as const,
    fromJson: (labels: unknown) => parseOwnTask({ name: "_", labels }, "the options").labels!,
  },
);

const metrics: Parser<MetricName[]> = Object.assign(
  (text: string, previous: MetricName[] = []) => [
    ...previous,
    ...list(text).map((name) => {
      const metric = METRIC_NAMES.find((metric) => metric === name);
      if (metric) return metric;
      throw new InvalidArgumentError(
        `"${name}" is none of ${METRIC_NAMES.join(", ")}${suggestion(name, METRIC_NAMES)}`,
      );
    }),
  ],
  { json: "list" as const },
);

/** Paths, separated by commas or each with a flag of its own. */
export function joined(text: string, previous?: string): string {
  return previous === undefined ? text : `${previous},${text}`;
}

/** Gives `command` the flags, under a heading of their own in its help. */
export function withOwnTasks(command: Command): Command {
  const options = [
    new Option(
      `${ownFlags.taskFile} <files>`,
      "what your tasks are: data, columns, template, labels, metrics (docs/own-data.md)",
    ).argParser(taskFiles),
    new Option(
      `${ownFlags.sourceColumn} <name>`,
      "the column that is read (default: source, input, text, question, …)",
    ),
    new Option(
      `${ownFlags.targetColumn} <name>`,
      "the column of answers (default: target, output, label, answer, …)",
    ),
    new Option(
      `${ownFlags.template} <text>`,
      'the source out of several columns, as "question: {question} context: {context}"',
    ),
    new Option(
      `${ownFlags.labels} <labels>`,
      "the only answers there are, as no,yes, or words for them, as 0=no,1=yes",
    ).argParser(labels),
    new Option(
      `${ownFlags.metric} <names>`,
      `${METRIC_NAMES.join(", ")}; several by commas ` +
        `(default: accuracy where labels are said, else exact_match and token_f1)`,
    ).argParser(metrics),
  ];
  for (const option of options) command.addOption(option.helpGroup("Tasks of your own:"));
  return command;
}

/** What is said besides. */
export function withoutOwnFlags<T extends OwnFlags>(said: T): Omit<T, keyof OwnFlags> {
  const others = Object.entries(said).filter(([key]) => !(key in ownFlags));
  return Object.fromEntries(others) as Omit<T, keyof OwnFlags>;
}
