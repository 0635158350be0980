/**
 * Extractive question answering.
 *
 * - `squad`: SQuAD itself, v1.1 before 2.0. Its test answers are secret, so the test split is the
 *   validation split. The English part of XQuAD, which is a part of it, validates where SQuAD's own file is
 *   not there. The empty text answers a question of 2.0 that has no answer.
 * - `mrqa`: the sets of MRQA 2019, contexts cut into chunks: trained and validated on the six of its
 *   training set, tested on the six of other domains.
 * - `mrqa_reg`: the same with whole contexts, which are cut off at the longest source.
 *
 * The sets of MRQA are sub-tasks: an example's task is its set. Sets that are not there are left out.
 */

import { UserError } from "../errors.ts";
import { chunkExamples, type ChunkOptions } from "./chunks.ts";
import { formatRow } from "./formats.ts";
import { Ledger } from "./ledger.ts";
import { plainOrGzipped } from "./lines.ts";
import { findFirst, type Found, locate } from "./locate.ts";
import { type Passage, readPassages } from "./passages.ts";
import type { TextSource } from "./source.ts";
import type { Dataset, Example, Split, TaskSpecification } from "./types.ts";

/** The sets that MRQA is trained on, as the reference names them. */
export const mrqaSets: readonly string[] = [
  "HotpotQA",
  "NaturalQuestionsShort",
  "NewsQA",
  "SearchQA",
  "SQuAD",
  "TriviaQA-web",
];

const otherDomains = [
  "BioASQ",
  "DROP",
  "DuoRC.ParaphraseRC",
  "RACE",
  "RelationExtraction",
  "TextbookQA",
];

const metrics = ["token_f1", "exact_match"] as const;

const specifications: Readonly<Record<string, TaskSpecification>> = {
  squad: {
    name: "squad",
    description: "Which words of a paragraph answer a question?",
    metrics,
    answerLength: 16,
  },
  mrqa: {
    name: "mrqa",
    description: "Which words of a text, of many kinds and any length, answer a question?",
    metrics,
    answerLength: 64,
  },
  mrqa_reg: {
    name: "mrqa_reg",
    description: "Which words of a text, of many kinds, answer a question?",
    metrics,
    answerLength: 64,
  },
};

/** The names `loadReading` knows. */
export const readingTaskNames: readonly string[] = Object.keys(specifications);

/** What such a task is, without its examples. */
export function readingTask(name: string): TaskSpecification {
  return specifications[name];
}

/** How contexts are read. */
export interface ReadingOptions {
  /** What chunks are made for, which `mrqa` needs. */
  readonly chunks?: ChunkOptions;
  /** Whether chunks without an answer are left out of the training split. */
  readonly filterNulls?: boolean;
  /** Keeps what was read. */
  readonly ledger?: Ledger;
}

/** A file, and the task of its examples. */
interface ReadingFile extends Found {
  readonly task: string;
}

/**
 * Reads one of these tasks from its folder in `source`.
 *
 * @throws {UserError} when its files are missing or malformed
 */
export async function loadReading(
  name: string,
  source: TextSource,
  splits: readonly Split[],
  { chunks, filterNulls = false, ledger = new Ledger(name) }: ReadingOptions = {},
): Promise<Dataset> {
  if (name === "mrqa" && chunks === undefined) {
    throw new TypeError("task mrqa is read with a tokenizer, to cut its contexts");
  }
  const loaded: Partial<Record<Split, Example[]>> = {};
  for (const split of splits) {
    const files = name === "squad"
      ? await squadFiles(source, split)
      : await mrqaFiles(name, source, split);
    loaded[split] = [];
    for (const file of files) {
      // Not one by one as arguments: there may be more than a call can have.
      for (const example of await readFile(file, split)) loaded[split].push(example);
    }
  }
  const hasUnanswerable = ledger.files.some(({ unanswerable }) => unanswerable > 0);
  const task = { ...specifications[name], ...(hasUnanswerable && { mayBeEmpty: true }) };
  return { task, splits: loaded };

  function readFile({ task, ...found }: ReadingFile, split: Split): Promise<Example[]> {
    return ledger.examples(found, split, async (record) => {
      const examples: Example[] = [];
      for await (const passage of readPassages(found.source, record)) {
        const made = name === "mrqa"
          ? chunkExamples(task, passage, chunks!)
          : wholeExamples(name, task, passage, `${found.source.root}/${found.path}`);
        for (const example of made) {
          if (!filterNulls || split !== "train" || example.target !== "") examples.push(example);
        }
      }
      return examples;
    });
  }
}

/** Questions with their whole context and their first answer. */
function wholeExamples(
  name: string,
  task: string,
  { context, questions }: Passage,
  file: string,
): Example[] {
  return questions.map(({ id, answers, text }) => {
    const row = {
      question: text,
      context,
      answers: name === "squad" ? { text: answers } : answers,
    };
    return { task, ...formatRow(name, row, `${file}, question ${id}`), question: { id, answers } };
  });
}

async function squadFiles(source: TextSource, split: Split): Promise<ReadingFile[]> {
  const [file, name] = split === "train" ? ["train", "train"] : ["dev", "validation"];
  const folders = ["squad", "squad_v2", "squad2"];
  const own = [
    ...["v1.1", "v2.0"].flatMap((version) =>
      folders.flatMap((folder) => plainOrGzipped(`${folder}/${file}-${version}.json`))
    ),
    ...folders.flatMap((folder) => plainOrGzipped(`${folder}/${name}.jsonl`)),
  ];
  const found = await findFirst(source, own);
  if (found) return [{ ...found, task: "squad" }];
  // A part of SQuAD, which is read only where there is no more of it.
  const paths = [
    ...["v1.1", "v2.0"].map((version) => `squad/${file}-${version}.json`),
    ...split === "train" ? [] : ["xquad-en/xquad.en.json"],
  ];
  return [{ ...await locate("squad", source, paths), task: "squad" }];
}

/** The files of MRQA that are there, as they are published or in a folder for each set. */
async function mrqaFiles(name: string, source: TextSource, split: Split): Promise<ReadingFile[]> {
  const sets = split === "test" ? otherDomains : mrqaSets;
  const files: ReadingFile[] = [];
  for (const task of sets) {
    const found = await findFirst(source, mrqaPaths(task, split));
    if (found !== undefined) files.push({ ...found, task });
  }
  if (files.length > 0) return files;
  const [wanted] = mrqaPaths(sets[0], split);
  throw new UserError(
    `Task ${name} needs ${source.root}/${wanted}, or another of ${
      sets.join(", ")
    } there (.jsonl.gz as ` +
      `published by MRQA 2019, .jsonl, or SQuAD's JSON as mrqa/${
        sets[0]
      }/${split}.json), and there is ` +
      `none; --data takes the folder that holds mrqa.`,
  );
}

function mrqaPaths(set: string, split: Split): string[] {
  const [short] = set.split(".");
  const folders = {
    train: ["mrqa/train"],
    validation: ["mrqa/dev", "mrqa/in-domain"],
    test: ["mrqa/dev", "mrqa/out-domain"],
  }[split];
  const published = folders.flatMap((folder) => [`${folder}/${set}`, `${folder}/${short}`]);
  const roots = [`mrqa/${short}`, ...(split === "test" ? [`mrqa-ood/${short}`] : [])];
  const names = split === "train" ? ["train"] : ["dev", "val", split];
  const own = roots.flatMap((root) => names.map((name) => `${root}/${name}`));
  return [
    ...[...published, ...own].flatMap((path) => plainOrGzipped(`${path}.jsonl`).reverse()),
    ...own.flatMap((path) => plainOrGzipped(`${path}.json`)),
  ];
}
