/** `deno task generate`: answers a text, or every line of the standard input. */

import { Command, Option } from "commander";
import process from "node:process";
import { type ModelConfig, needsTasks, taskIndices } from "../models/config.ts";
import { evaluationBatches } from "../src/data/batch.ts";
import { UserError } from "../src/errors.ts";
import { resolveOptions } from "../src/generate/options.ts";
import type { GeneratedSequence } from "../src/generate/search.ts";
import { type Acquire, acquireGpu, announce } from "../src/platform/adapter.ts";
import { IncrementalText } from "../src/text/incremental.ts";
import type { Answering } from "../src/train/evaluate.ts";
import { defaults, type Recipe, type Settings } from "../src/train/settings.ts";
import type { WeightStorage } from "../src/train/storage.ts";
import { checkTrained, placeTrained } from "../src/train/trained-model.ts";
import { run } from "./frame/command.ts";
import { positiveInteger } from "./frame/config.ts";
import { chosenWays, type GenerationFlags, tellWays, withGeneration } from "./frame/generation.ts";
import { groupsOf, linesOf } from "./frame/lines.ts";
import { showLoading } from "./frame/loading.ts";
import { openModel } from "./frame/places.ts";
import { readSettings, storageOption } from "./frame/settings.ts";
import { chosenRun, readRun, type RunChoice } from "./frame/trained.ts";
import { tokenizerChoice, withTokenizer } from "./frame/tokenizers.ts";
import { tune, type TuningFlag, withTuning } from "./frame/tuning.ts";

/** Lines that are answered at once, unless told. */
const BATCH_SIZE = 16;

interface Flags extends RunChoice, TuningFlag, GenerationFlags {
  readonly model?: string;
  readonly task?: string;
  readonly batchSize?: number;
  readonly scores?: true;
  readonly json?: true;
  readonly weightStorage?: WeightStorage;
}

/**
 * The command, ready to parse.
 *
 * @param acquire opens the device that it computes on
 */
export function generateCommand(acquire: Acquire = acquireGpu): Command {
  const command = withTokenizer(withTuning(new Command("deno task generate")))
    .description(
      "Answer a text, or each line of the standard input, with the newest run, or with what --run " +
        "or --model names.",
    )
    .argument("[text]", 'as the task has it: "sentiment sentence: A splendid film."')
    .option("--run <directory>", "a run that deno task train wrote")
    .addOption(
      new Option("--which <checkpoint>", "of the run (default: best)").choices(["best", "latest"]),
    )
    .option("--backbone <directory>", "where the frozen model is, if it has moved since training")
    .option(
      "--model <name>",
      'a directory, a hub id such as google/t5-v1_1-base, or "miniature"',
    )
    .option("--task <name>", "the texts' task, for a model with adapters by task");
  return withGeneration(command)
    .addOption(storageOption("how weights are stored (default: the run's)"))
    .option(
      "--batch-size <lines>",
      `lines answered at once (default: ${BATCH_SIZE})`,
      positiveInteger,
    )
    .option("--scores", "print each answer's score and log-likelihood before it")
    .option("--json", "print a line of JSON for each text")
    .action((text: string | undefined, flags: Flags) => generate(text, flags, acquire));
}

async function generate(
  text: string | undefined,
  { model, task, batchSize = BATCH_SIZE, scores, json, ...flags }: Flags,
  acquire: Acquire,
): Promise<void> {
  if (model !== undefined && (flags.run !== undefined || flags.which !== undefined)) {
    throw new UserError("--model names one model: leave out --run and --which");
  }
  const groups = groupsOf(text === undefined ? pipedLines() : only(text), batchSize);
  const first = await groups.next(); // what is missing is missed before a model is loaded
  if (first.done) {
    throw new UserError('there is no text to answer: give one, as in deno task generate "…"');
  }
  const path = model === undefined ? await chosenRun(flags) : undefined;
  const settings: Recipe & Partial<Settings> = path ? await readSettings(path) : defaults.t5;
  const { maxSourceLength, maxTargetLength } = settings;
  const { weightStorage = settings.weightStorage } = flags;
  const trained = checkTrained(
    path
      ? await readRun(path, flags)
      : await openModel(model!, await tokenizerChoice(flags), flags.backbone),
  );
  checkTask(trained.config, task);
  const ways = await chosenWays(flags, trained, settings);
  const { strategy, outputs } = resolveOptions(ways.options);
  tellWays(ways, ways.options, trained.config);
  if (scores && strategy.kind === "beams") {
    const rule = strategy.rule === "reference" ? "the reference" : "transformers today";
    console.error(`Scores: by the rules of ${rule} (--beam-rule)`);
  }

  const gpu = await acquire();
  announce(gpu);
  await tune(gpu, flags);
  const limits = { batchSize, maxSourceLength, maxTargetLength };
  const placed = await showLoading((onProgress) =>
    placeTrained(gpu, trained, limits, { storage: weightStorage, ways, onProgress })
  );
  if (text !== undefined && !scores && !json && outputs === 1 && strategy.kind !== "beams") {
    return await printStream(placed, text, task);
  }
  let line = 0;
  for (let group: IteratorResult<string[]> = first; !group.done; group = await groups.next()) {
    const rows = await answers(placed, group.value, line, task);
    rows.forEach((sequences, i) => {
      const outputs = sequences.map((sequence) => described(placed, sequence));
      if (json) console.log(JSON.stringify({ source: group.value[i], outputs }));
      else for (const output of outputs) console.log(lineOf(output, scores));
    });
    line += group.value.length;
  }
}

/** The lines of the standard input; none if it is a terminal, where nobody may be typing. */
async function* pipedLines(): AsyncGenerator<string> {
  if (!Deno.stdin.isTerminal()) yield* linesOf(Deno.stdin.readable);
}

async function* only(text: string): AsyncGenerator<string> {
  if (text.trim() !== "") yield text;
}

/** @throws {UserError} if the model's adapters depend on a task that was not named, or is unknown */
function checkTask(config: ModelConfig, task: string | undefined): void {
  if (!needsTasks(config)) {
    if (task === undefined) return;
    throw new UserError("the model's adapters do not depend on a task: leave --task out");
  }
  if (task === undefined) {
    const known = config.tasks.join(", ");
    throw new UserError(
      `the model's adapters depend on the task: say with --task which of ${known}`,
    );
  }
  taskIndices(config, [task]);
}

/** Answers to some lines, in order; `first` is the number of the first of them. */
async function answers(
  { generator, tokenizer, limits, options }: Answering,
  sources: readonly string[],
  first: number,
  task = "",
): Promise<GeneratedSequence[][]> {
  const examples = sources.map((source) => ({ task, source, target: "" }));
  const rows: GeneratedSequence[][] = new Array(sources.length);
  for (const batch of evaluationBatches(examples, tokenizer, limits)) {
    warnOfCut(batch.truncated, limits.maxSourceLength);
    // What is drawn for a line depends on its number, not on its neighbours.
    const indices = batch.indices.map((index) => first + index);
    const found = await generator.generate({ ...batch, indices }, options);
    batch.indices.forEach((index, row) => rows[index] = found[row]);
  }
  return rows;
}

/** Prints the answer to one text as it comes. */
async function printStream(
  { generator, tokenizer, limits, options }: Answering,
  source: string,
  task = "",
): Promise<void> {
  const [batch] = evaluationBatches([{ task, source, target: "" }], tokenizer, limits);
  warnOfCut(batch.truncated, limits.maxSourceLength);
  const text = new IncrementalText(tokenizer);
  for await (const { tokens: [ids] } of generator.stream(batch, options)) {
    process.stdout.write(text.push(ids));
  }
  process.stdout.write(`${text.end()}\n`);
}

interface Described {
  readonly text: string;
  readonly score: number;
  readonly logLikelihood: number;
  readonly ended: boolean;
}

function described({ tokenizer }: Answering, sequence: GeneratedSequence): Described {
  const { tokens, score, logLikelihood, ended } = sequence;
  return { text: tokenizer.decode(tokens), score, logLikelihood, ended };
}

function lineOf({ text, score, logLikelihood }: Described, scores = false): string {
  return scores ? `${score.toFixed(4)}\t${logLikelihood.toFixed(4)}\t${text}` : text;
}

function warnOfCut(count: number, maxSourceLength: number): void {
  if (count === 0) return;
  const texts = count === 1 ? "A text is" : `${count} texts are`;
  console.error(`${texts} longer than ${maxSourceLength} ids: what comes after was not read.`);
}

if (import.meta.main) await run(generateCommand());
