/**
 * Natural language inference beside GLUE's, from the files of its releases.
 *
 * - `anli`: Adversarial NLI (Nie et al. 2020), `anli/R1/train.jsonl` and so on. Its rounds are one task;
 *   rounds that are not there are left out.
 * - `art`: abductive NLI (Bhagavatula et al. 2020), `art/train.jsonl` with `art/train-labels.lst`. The
 *   test labels were never published, so the test split is the validation split.
 */

import { formatRow } from "./formats.ts";
import { type FileRecord, Ledger } from "./ledger.ts";
import { labelledRows } from "./labels-apart.ts";
import { jsonRows, plainOrGzipped } from "./lines.ts";
import { findFirst, locate } from "./locate.ts";
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

const readers: Readonly<
  Record<string, (source: TextSource, split: Split, ledger: Ledger) => Promise<Example[]>>
> = { anli: readAdversarial, art: readAbductive };

/** The names `loadInference` knows. */
export const inferenceTaskNames: readonly string[] = Object.keys(specifications);

/** What such a task is, without its examples. */
export function inferenceTask(name: string): TaskSpecification {
  return specifications[name];
}

/**
 * Reads one of these tasks from its folder in `source`.
 *
 * @param options `ledger` keeps what was read
 * @throws {UserError} when a file is missing, or a row malformed
 */
export async function loadInference(
  name: string,
  source: TextSource,
  splits: readonly Split[],
  { ledger = new Ledger(name) }: { readonly ledger?: Ledger } = {},
): Promise<Dataset> {
  const loaded: Partial<Record<Split, Example[]>> = {};
  for (const split of splits) loaded[split] = await readers[name](source, split, ledger);
  return { task: specifications[name], splits: loaded };
}

async function readAdversarial(
  source: TextSource,
  split: Split,
  ledger: Ledger,
): Promise<Example[]> {
  const file = split === "validation" ? "dev" : split;
  // The release's files, under what it unpacks as too, and what `to_json` makes of the Hugging Face set.
  const rounds = [1, 2, 3].map((round) =>
    ["anli/R", "anli_v1.0/R", "anli/anli_v1.0/R"].map((folder) => `${folder}${round}/${file}`)
      .concat(`anli/${file}_r${round}`)
      .flatMap((path) => plainOrGzipped(`${path}.jsonl`))
  );
  await locate("anli", source, rounds.map(([path]) => path).concat(rounds.flat()));
  const examples: Example[] = [];
  for (const paths of rounds) {
    const found = await findFirst(source, paths);
    if (found === undefined) continue;
    const round = await ledger.examples(found, split, async (record) => {
      const examples: Example[] = [];
      for await (const row of jsonRows(found.source, found.path)) {
        const example = record.attempt(`line ${row.line}`, () => ({
          task: "anli",
          ...formatRow("anli", row.fields(), row.place),
        }));
        if (example) record.rows = examples.push(example);
      }
      record.requireRows();
      return examples;
    });
    for (const example of round) examples.push(example);
  }
  return examples;
}

async function readAbductive(source: TextSource, split: Split, ledger: Ledger): Promise<Example[]> {
  const names = split === "train" ? ["train"] : ["dev", "validation"];
  const found = await locate("art", source, names.map((name) => `art/${name}.jsonl`));
  return await ledger.examples(found, split, (record) => readStories(found.source, record));
}

async function readStories(source: TextSource, record: FileRecord): Promise<Example[]> {
  const examples: Example[] = [];
  for await (const row of labelledRows(source, record.path)) {
    const example = record.attempt(`line ${row.line}`, () => ({
      task: "art",
      ...formatRow("art", row.fields(), row.place),
    }));
    if (example) record.rows = examples.push(example);
  }
  record.requireRows();
  return examples;
}
