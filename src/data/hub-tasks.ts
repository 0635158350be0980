/**
 * The tasks that are read from files, as the Hugging Face hub has them: which data set, which configuration
 * of it, and which of its columns.
 *
 * Readers see the hub as a folder of JSON lines, `sst2/train.jsonl`, made of the rows as they are there. So
 * what becomes of a row does not depend on where it is from (`format-table.ts`).
 */

import { UserError } from "../errors.ts";
import type { HubSplits } from "./hub-layout.ts";
import type { DataFiles } from "./own/files.ts";
import { openTable } from "./own/table.ts";
import { mrqaSets } from "./reading.ts";
import type { TextSource } from "./source.ts";

/** Where a task is on the hub. */
export interface HubTask {
  /** Organisation and name. */
  readonly repository: string;
  readonly configuration: string;
  /** The columns that are read. */
  readonly columns: readonly string[];
}

const hub = (repository: string, configuration: string, ...columns: string[]): HubTask => ({
  repository,
  configuration,
  columns,
});

const glue = (configuration: string, ...texts: string[]) =>
  hub("nyu-mll/glue", configuration, ...texts, "label");

const superglue = (configuration: string, ...texts: string[]) =>
  hub("aps/super_glue", configuration, ...texts, "label");

const translation = (repository: string, configuration: string) =>
  hub(repository, configuration, "translation");

const mrqa = hub(
  "mrqa-workshop/mrqa",
  "plain_text",
  "subset",
  "context",
  "qid",
  "question",
  "detected_answers",
  "answers",
);

/** Each task by its name. */
export const hubTasks: Readonly<Record<string, HubTask>> = {
  cola: glue("cola", "sentence"),
  sst2: glue("sst2", "sentence"),
  stsb: glue("stsb", "sentence1", "sentence2"),
  mrpc: glue("mrpc", "sentence1", "sentence2"),
  rte: glue("rte", "sentence1", "sentence2"),
  qnli: glue("qnli", "question", "sentence"),
  qqp: glue("qqp", "question1", "question2"),
  mnli: glue("mnli", "premise", "hypothesis"),
  wnli: glue("wnli", "sentence1", "sentence2"),
  anli: hub("facebook/anli", "plain_text", "premise", "hypothesis", "label"),
  art: hub(
    "allenai/art",
    "anli",
    "observation_1",
    "observation_2",
    "hypothesis_1",
    "hypothesis_2",
    "label",
  ),
  squad: hub("rajpurkar/squad", "plain_text", "id", "context", "question", "answers"),
  mrqa,
  mrqa_reg: mrqa,
  "superglue-boolq": superglue("boolq", "question", "passage"),
  "superglue-cb": superglue("cb", "premise", "hypothesis"),
  "superglue-rte": superglue("rte", "premise", "hypothesis"),
  paws: hub("google-research-datasets/paws", "labeled_final", "sentence1", "sentence2", "label"),
  imdb: hub("stanfordnlp/imdb", "plain_text", "text", "label"),
  snli: hub("stanfordnlp/snli", "plain_text", "premise", "hypothesis", "label"),
  scitail: hub("allenai/scitail", "snli_format", "sentence1", "sentence2", "gold_label"),
  trec: hub("CogComp/trec", "default", "text", "coarse_label"),
  yelp_polarity: hub("fancyzhx/yelp_polarity", "plain_text", "text", "label"),
  sick: hub("RobZamp/sick", "default", "sentence_A", "sentence_B", "label"),
  social_i_qa: hub(
    "allenai/social_i_qa",
    "default",
    "question",
    "context",
    "answerA",
    "answerB",
    "answerC",
    "label",
  ),
  cosmos_qa: hub(
    "allenai/cosmos_qa",
    "default",
    "question",
    "context",
    "answer0",
    "answer1",
    "answer2",
    "answer3",
    "label",
  ),
  winogrande: hub(
    "allenai/winogrande",
    "winogrande_l",
    "sentence",
    "option1",
    "option2",
    "answer",
  ),
  hellaswag: hub("Rowan/hellaswag", "default", "ctx", "endings", "label"),
  commonsense_qa: hub("tau/commonsense_qa", "default", "question", "choices", "answerKey"),
  "wmt16-ro-en": translation("wmt/wmt16", "ro-en"),
  "wmt14-hi-en": translation("wmt/wmt14", "hi-en"),
  "wmt16-en-ro": translation("wmt/wmt16", "ro-en"),
  "wmt16-en-cs": translation("wmt/wmt16", "cs-en"),
  "wmt16-en-fi": translation("wmt/wmt16", "fi-en"),
  "iwslt2017-ro-nl": translation("IWSLT/iwslt2017", "iwslt2017-ro-nl"),
  "iwslt2017-en-nl": translation("IWSLT/iwslt2017", "iwslt2017-en-nl"),
  xsum: hub("EdinburghNLP/xsum", "default", "document", "summary"),
  cnn_dailymail: hub("abisee/cnn_dailymail", "3.0.0", "article", "highlights"),
  wiki_lingua_english_en: hub("GEM/gem", "wiki_lingua_english_en", "source", "target"),
  scitldr: hub("allenai/scitldr", "Abstract", "source", "target"),
};

/** A data set's configuration that was found on the hub. */
export interface FoundOnHub {
  readonly files: DataFiles;
  /** The paths of each split's tables, for `files`. */
  readonly splits: HubSplits;
}

/**
 * The hub as a folder of the tasks' files.
 *
 * @param root what the user calls it
 * @param find finds a task's data set; undefined where it is not what the user means by `root`
 */
export function hubSource(
  root: string,
  find: (task: HubTask) => Promise<FoundOnHub | undefined>,
): TextSource {
  const found = new Map<string, Promise<FoundOnHub | undefined>>();
  const subsets = new Map<string, Promise<ReadonlySet<string>>>();
  async function locate(path: string) {
    const file = fileOf(path);
    if (file === undefined) return undefined;
    const { task, split, subset } = file;
    const key = `${task.repository}/${task.configuration}`;
    if (!found.has(key)) found.set(key, find(task));
    const there = await found.get(key);
    const paths = there?.splits.get(split);
    if (paths === undefined) return undefined;
    const { files } = there!;
    if (subset !== undefined) {
      const key = paths.join("\n");
      if (!subsets.has(key)) subsets.set(key, readSubsets(files, paths));
      if (!(await subsets.get(key))!.has(plainName(subset))) return undefined;
    }
    return { files, paths, task, subset };
  }

  async function* lines(path: string): AsyncGenerator<string> {
    const place = await locate(path);
    if (place === undefined) throw new UserError(`there is no ${path} in ${root}`);
    const { files, paths, task: { columns }, subset } = place;
    for (const path of paths) {
      const table = await openTable(files, path);
      const there = columns.filter((column) => table.columns.includes(column));
      const isWanted = (set: unknown) =>
        subset === undefined || plainName(String(set)) === plainName(subset);
      const where = subset === undefined ? undefined : { column: "subset", accepts: isWanted };
      for await (const { read } of table.rows(there, where)) {
        const row = read();
        if (isWanted(row.subset)) yield `${JSON.stringify(row)}\n`;
      }
    }
  }

  return {
    root,
    exists: async (path) => await locate(path) !== undefined,
    stream: (path) =>
      Promise.resolve(ReadableStream.from(lines(path)).pipeThrough(new TextEncoderStream())),
  };
}

/** What a reader's path means: `sst2/train.jsonl`, or of MRQA's sets, which are one table, `mrqa/dev/SQuAD.jsonl`. */
function fileOf(path: string) {
  const [, folder, subset] = /^mrqa\/(train|dev)\/([\w.-]+)\.jsonl$/.exec(path) ?? [];
  if (subset !== undefined) {
    const isOwn = mrqaSets.some((set) => plainName(set) === plainName(subset));
    const split = folder === "train" ? "train" : isOwn ? "validation" : "test";
    return { task: mrqa, split, subset };
  }
  const [, name, split] = /^([\w-]+)\/(\w+)\.jsonl$/.exec(path) ?? [];
  if (name === undefined || !Object.hasOwn(hubTasks, name) || hubTasks[name] === mrqa) {
    return undefined;
  }
  return { task: hubTasks[name], split, subset: undefined };
}

/** The sets of MRQA that some tables have, by their plain names. */
async function readSubsets(
  files: DataFiles,
  paths: readonly string[],
): Promise<ReadonlySet<string>> {
  const names = new Set<string>();
  for (const path of paths) {
    const table = await openTable(files, path);
    for await (const row of table.rows(["subset"])) names.add(plainName(String(row.read().subset)));
  }
  return names;
}

/** A set of MRQA by the name that its files and the hub's column have in common. */
const plainName = (set: string): string => set.toLowerCase().replace(/short$|-web$|\..*$/, "");
