/**
 * Extractive question answering, from SQuAD v1.1's JSON, in the reference's formats: the whole context,
 * and the first answer as target.
 *
 * - `squad`: SQuAD itself. Its test answers are secret, so the test split is the validation split. The
 *   English part of XQuAD, which is a part of it, validates where SQuAD's own file is not there.
 * - `mrqa_reg`: the sets of MRQA 2019 under the prefix `mrqa`; trained and validated on the six of its
 *   training set, tested on the six of other domains. Sets that are not there are left out.
 */

import { UserError } from "../errors.ts";
import { locate } from "./locate.ts";
import type { TextSource } from "./source.ts";
import type { Dataset, Example, Split, TaskSpecification } from "./types.ts";

interface ReadingTask {
  readonly description: string;
  /** What the source text begins with. */
  readonly prefix: string;
  /** For each split, groups of paths: of each group the first that exists is read. */
  readonly files: Readonly<Record<Split, readonly (readonly string[])[]>>;
}

const trained = [
  "HotpotQA",
  "NaturalQuestionsShort",
  "NewsQA",
  "SearchQA",
  "SQuAD",
  "TriviaQA-web",
];
const otherDomains = ["BioASQ", "DROP", "DuoRC", "RACE", "RelationExtraction", "TextbookQA"];
const squadValidation = [["squad/dev-v1.1.json", "xquad-en/xquad.en.json"]];

const tasks: Readonly<Record<string, ReadingTask>> = {
  squad: {
    description: "Which words of a paragraph answer a question?",
    prefix: "squad",
    files: {
      train: [["squad/train-v1.1.json"]],
      validation: squadValidation,
      test: squadValidation,
    },
  },
  mrqa_reg: {
    description: "Which words of a text, of many kinds, answer a question?",
    prefix: "mrqa",
    files: {
      train: trained.map((set) => [`mrqa/${set}/train.json`]),
      validation: trained.map((set) => [`mrqa/${set}/dev.json`, `mrqa/${set}/val.json`]),
      test: otherDomains.map((set) => [`mrqa-ood/${set}/dev.json`, `mrqa-ood/${set}/val.json`]),
    },
  },
};

/** The names `loadReading` knows. */
export const readingTaskNames: readonly string[] = Object.keys(tasks);

/**
 * Reads one of these tasks from its folder in `source`.
 *
 * @throws {UserError} when its files are missing, or one is no SQuAD JSON
 */
export async function loadReading(
  name: string,
  source: TextSource,
  splits: readonly Split[],
): Promise<Dataset> {
  const { description, prefix, files } = tasks[name];
  const task: TaskSpecification = { name, description, metrics: ["token_f1", "exact_match"] };
  const loaded: Partial<Record<Split, Example[]>> = {};
  for (const split of splits) {
    await locate(name, source, files[split].flat());
    const examples: Example[] = [];
    for (const group of files[split]) {
      const path = await firstOf(source, group);
      if (path === undefined) continue;
      const found = readSquad(await source.read(path), `${source.root}/${path}`);
      for (const { question, context, answer } of found) {
        const text = `${prefix} question: ${question} context: ${context}`;
        examples.push({ task: name, source: text, target: answer });
      }
    }
    loaded[split] = examples;
  }
  return { task, splits: loaded };
}

async function firstOf(source: TextSource, paths: readonly string[]): Promise<string | undefined> {
  for (const path of paths) if (await source.exists(path)) return path;
}

/** A question with its first answer. */
interface Question {
  readonly question: string;
  readonly context: string;
  readonly answer: string;
}

type Fields = Readonly<Record<string, unknown>>;

/** @throws {UserError} naming file and place where something is not as SQuAD v1.1 has it */
function readSquad(text: string, file: string): Question[] {
  const fail = (problem: string): never => {
    throw new UserError(`${file} is not SQuAD v1.1's JSON: ${problem}.`);
  };
  const list = (parent: Fields, key: string, place: string): [string, Fields][] => {
    const items = parent?.[key];
    if (!Array.isArray(items)) return fail(`${place} has no list "${key}"`);
    return items.map((
      item,
      i,
    ) => [`${key}[${i}]${place === "the file" ? "" : ` of ${place}`}`, item]);
  };
  const string = (parent: Fields, key: string, place: string): string => {
    const value = parent?.[key];
    return typeof value === "string" ? value : fail(`${place} has no text "${key}"`);
  };
  const questions: Question[] = [];
  for (const [article, articleFields] of list(parse(text, fail), "data", "the file")) {
    for (const [paragraph, fields] of list(articleFields, "paragraphs", article)) {
      const context = string(fields, "context", paragraph);
      for (const [place, question] of list(fields, "qas", paragraph)) {
        const [first] = list(question, "answers", place);
        if (first === undefined) return fail(`${place} has no answer`);
        const answer = string(first[1], "text", first[0]);
        questions.push({ question: string(question, "question", place), context, answer });
      }
    }
  }
  return questions.length > 0 ? questions : fail("it has no questions");
}

function parse(text: string, fail: (problem: string) => never): Fields {
  try {
    return JSON.parse(text);
  } catch (error) {
    return fail((error as Error).message.replace(/\s+/g, " "));
  }
}
