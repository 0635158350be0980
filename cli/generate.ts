/** `deno task generate`: answers one text. */

import { Command, Option } from "commander";
import { UserError } from "../src/errors.ts";
import { acquireGpu, announce } from "../src/platform/adapter.ts";
import { answer } from "../src/train/evaluate.ts";
import { defaults } from "../src/train/settings.ts";
import { checkTrained, placeTrained } from "../src/train/trained-model.ts";
import { run } from "./frame/command.ts";
import { positiveInteger } from "./frame/config.ts";
import { showLoading } from "./frame/loading.ts";
import { openModel } from "./frame/places.ts";
import { readSettings } from "./frame/settings.ts";
import { chosenRun, readRun, type RunChoice } from "./frame/trained.ts";

interface Flags extends RunChoice {
  readonly model?: string;
  readonly maxLength?: number;
}

/** The command, ready to parse. */
export function generateCommand(): Command {
  return new Command("deno task generate")
    .description("Answer one text with the newest run, or with what --run or --model names.")
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
    .option("--max-length <ids>", "longest answer (default: the run's)", positiveInteger)
    .action(generate);
}

async function generate(
  text: string | undefined,
  { model, maxLength, ...choice }: Flags,
): Promise<void> {
  if (text === undefined || text.trim() === "") {
    throw new UserError('there is no text to answer: give one, as in deno task generate "…"');
  }
  if (model !== undefined && (choice.run !== undefined || choice.which !== undefined)) {
    throw new UserError("--model names one model: leave out --run and --which");
  }
  const path = model === undefined ? await chosenRun(choice) : undefined;
  const { maxSourceLength, maxTargetLength } = path ? await readSettings(path) : defaults.t5;
  const trained = checkTrained(path ? await readRun(path, choice) : await openModel(model!));

  const gpu = await acquireGpu();
  announce(gpu);
  const limits = {
    batchSize: 1,
    maxSourceLength,
    maxTargetLength: maxLength ?? maxTargetLength,
  };
  const answering = await showLoading((onProgress) =>
    placeTrained(gpu, trained, limits, onProgress)
  );
  const { texts, truncated } = (await answer(answering, [{ task: "", source: text, target: "" }]))!;
  if (truncated > 0) {
    console.error(`The text is longer than ${maxSourceLength} ids: what comes after was not read.`);
  }
  console.log(texts[0]);
}

if (import.meta.main) await run(generateCommand());
