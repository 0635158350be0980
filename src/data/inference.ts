/**
 * Natural language inference beside GLUE's, from the files of its releases.
 *
 * - `anli`: Adversarial NLI (Nie et al. 2020), `anli/R1/train.jsonl` and so on. Its rounds are one task;
 *   rounds that are not there are left out.
 * - `art`: abductive NLI (Bhagavatula et al. 2020), `art/train.jsonl` with `art/train-labels.lst`. The
 *   test labels were never published, so the test split is the validation split.
 */

import { UserError } from "../errors.ts";
import { formatRow } from "./formats.ts";
import { locate } from "./locate.ts";
import { readJsonLines, readLines } from "./rows.ts";
import type { TextSource } from "./source.ts";
import type { Dataset, Example, Split, TaskSpecification } from "./types.ts";

const specifications: Readonly<Record<string, TaskSpecification>> = {
  anli: {
    name: "anli",
    description: "Does a hypothesis follow from a premise, made to be hard to tell?",
    labels: ["0", "1", "2"],
    answerLength: ["0", "1", "2"],
    metrics: ["accuracy"],
  },
  art: {
    name: "art",
    description: "Which of two hypotheses explains what happened between two observations?",
    labels: ["1", "2"],
    answerLength: ["0", "1", "2"],
    metrics: ["accuracy"],
  },
};

const readers: Readonly<Record<string, (source: TextSource, split: Split) => Promise<Example[]>>> =
  { anli: readAdversarial, art: readAbductive };

/** The names `loadInference` knows. */
export const inferenceTaskNames: readonly string[] = Object.keys(specifications);

/** What such a task is, without its examples. */
export function inferenceTask(name: string): TaskSpecification {
  return specifications[name];
}

/**
 * Reads one of these tasks from its folder in `source`.
 *
 * @throws {UserError} when a file is missing, or a row malformed
 */
export async function loadInference(
  name: string,
  source: TextSource,
  splits: readonly Split[],
): Promise<Dataset> {
  const loaded: Partial<Record<Split, Example[]>> = {};
  for (const split of splits) loaded[split] = await readers[name](source, split);
  return { task: specifications[name], splits: loaded };
}

/** Labels as the files have them, in order of class index. */
const verdicts = ["e", "n", "c"];

async function readAdversarial(source: TextSource, split: Split): Promise<Example[]> {
  const file = `${split === "validation" ? "dev" : split}.jsonl`;
  const rounds = ["R1", "R2", "R3"].map((round) => `anli/${round}/${file}`);
  await locate("anli", source, rounds);
  const examples: Example[] = [];
  for (const path of rounds) {
    if (!await source.exists(path)) continue;
    const location = `${source.root}/${path}`;
    const rows = readJsonLines(await source.read(path), location, [
      "context",
      "hypothesis",
      "label",
    ]);
    for (const { cells, line } of rows) {
      const label = verdicts.indexOf(cells.label);
      if (label < 0) throw unknownLabel(location, line, cells.label, verdicts);
      const row = { premise: cells.context, hypothesis: cells.hypothesis, label };
      examples.push({ task: "anli", ...formatRow("anli", row, `${location}:${line}`) });
    }
  }
  return examples;
}

async function readAbductive(source: TextSource, split: Split): Promise<Example[]> {
  const name = split === "train" ? "train" : "dev";
  const path = await locate("art", source, [`art/${name}.jsonl`]);
  const labelPath = await locate("art", source, [`art/${name}-labels.lst`]);
  const location = `${source.root}/${path}`, labelLocation = `${source.root}/${labelPath}`;
  const columns = ["obs1", "obs2", "hyp1", "hyp2"];
  const rows = readJsonLines(await source.read(path), location, columns);
  const labels = readLines(await source.read(labelPath));
  if (labels.length !== rows.length) {
    throw new UserError(
      `${labelLocation} has ${labels.length} labels for the ${rows.length} rows of ${location}.`,
    );
  }
  const known = specifications.art.labels!;
  return rows.map(({ cells, line }, i) => {
    const label = labels[i].trim();
    if (!known.includes(label)) throw unknownLabel(labelLocation, i + 1, label, known);
    const row = {
      observation_1: cells.obs1,
      observation_2: cells.obs2,
      hypothesis_1: cells.hyp1,
      hypothesis_2: cells.hyp2,
      label,
    };
    return { task: "art", ...formatRow("art", row, `${location}:${line}`) };
  });
}

function unknownLabel(file: string, line: number, label: string, known: readonly string[]) {
  return new UserError(
    `${file}:${line}: "${label}" is not a label of this task (${known.join(", ")}).`,
  );
}
