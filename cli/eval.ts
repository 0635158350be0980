/** `deno task eval`: scores a run or a checkpoint. */

import { Command, Option } from "commander";
import { dirname } from "node:path";
import { loadDatasets } from "../src/data/tasks.ts";
import type { BatchOptions } from "../src/data/batch.ts";
import type { Split } from "../src/data/types.ts";
import { bySubtask } from "../src/data/units.ts";
import { UserError } from "../src/errors.ts";
import { type Acquire, acquireGpu, announce } from "../src/platform/adapter.ts";
import { makeDirectory, writeAtomic } from "../src/platform/files.ts";
import { evaluate, type Evaluation } from "../src/train/evaluate.ts";
import { defaults, type Recipe, type Settings } from "../src/train/settings.ts";
import { checkTrained, placeTrained } from "../src/train/trained-model.ts";
import { run } from "./frame/command.ts";
import { list, positiveInteger } from "./frame/config.ts";
import { chosenWays, type SearchFlags, tellWays, withSearch } from "./frame/generation.ts";
import { showLoading } from "./frame/loading.ts";
import { builtInSource } from "./frame/data-places.ts";
import { dataFiles } from "./frame/hub-data.ts";
import { joined, type OwnFlags, withOwnTasks } from "./frame/own-flags.ts";
import { resolveTasks } from "./frame/own-tasks.ts";
import { openModel } from "./frame/places.ts";
import { scoreTable } from "./frame/scores.ts";
import { tellOwn, tellRead } from "./frame/data-report.ts";
import { readSettings, SKIP_BAD, storageOption } from "./frame/settings.ts";
import { chosenRun, readRun, type RunChoice } from "./frame/trained.ts";
import { tokenizerChoice, withTokenizer } from "./frame/tokenizers.ts";
import { tune, type TuningFlag, withTuning } from "./frame/tuning.ts";

type Chosen = "data" | "tasks" | "batchSize" | "weightStorage" | "skipBad";

interface Flags
  extends RunChoice, TuningFlag, OwnFlags, SearchFlags, Partial<Pick<Settings, Chosen>> {
  readonly checkpoint?: string;
  readonly split: Split;
  readonly out?: string;
  readonly json?: true;
}

/**
 * The command, ready to parse.
 *
 * @param acquire opens the device that it computes on
 */
export function evalCommand(acquire: Acquire = acquireGpu): Command {
  const command = withOwnTasks(withTokenizer(withTuning(new Command("deno task eval"))))
    .description("Score a trained model: the newest run, or what --run or --checkpoint names.")
    .option("--run <directory>", "a run that deno task train wrote")
    .option("--checkpoint <directory>", "one checkpoint, or any model's directory or hub id")
    .addOption(
      new Option("--which <checkpoint>", "of the run (default: best)").choices(["best", "latest"]),
    )
    .option("--backbone <directory>", "where the frozen model is, if it has moved since training")
    .option(
      "--data <places>",
      "where the tasks' folders are, or a table of your own, which is scored whole (default: the run's)",
      joined,
    )
    .option("--tasks <names>", "tasks, separated by commas (default: the run's)", list)
    .addOption(
      new Option("--split <name>", "examples to score").choices(["validation", "test"])
        .default("test"),
    )
    .option("--batch-size <count>", "examples per batch (default: the run's)", positiveInteger)
    .option(
      "--beams <count>",
      "beams that answers are searched with (default: the run's, the task's or the model's)",
      positiveInteger,
    );
  return withSearch(command)
    .option("--skip-bad", SKIP_BAD)
    .option("--no-skip-bad", "end at the first row that cannot be read")
    .addOption(storageOption("how weights are stored (default: the run's)"))
    .option("--out <file>", "write predictions there, a line of JSON for each example")
    .option("--json", "print the scores as JSON")
    .action((flags: Flags) => evaluateModel(flags, acquire));
}

async function evaluateModel(
  { checkpoint, split, out, json, ...flags }: Flags,
  acquire: Acquire,
): Promise<void> {
  if (checkpoint !== undefined && (flags.run !== undefined || flags.which !== undefined)) {
    throw new UserError("--checkpoint names one checkpoint: leave out --run and --which");
  }
  const path = checkpoint === undefined ? await chosenRun(flags) : undefined;
  const settings: Recipe & Partial<Settings> = path ? await readSettings(path) : defaults.t5;
  const begun = {
    ...(settings.evalTasks && { tasks: settings.evalTasks }),
    ...(settings.taskFile && { taskFile: settings.taskFile }),
  };
  const { tasks, data, taskFile = [] } = await resolveTasks(flags, { begun, scored: split });
  const source = await builtInSource(data) ?? await builtInSource(settings.data);
  const { weightStorage = settings.weightStorage } = flags;
  const { splitValidation, dataSeed = 0, maxSourceLength, maxTargetLength } = settings;
  const trained = checkTrained(
    path
      ? await readRun(path, flags)
      : await openModel(checkpoint!, await tokenizerChoice(flags), flags.backbone),
  );
  const datasets = await loadDatasets({
    ...(tasks && { tasks }),
    ...(source && { data: source }),
    own: { tasks: taskFile, files: dataFiles },
    onReadOwn: tellOwn,
    splits: () => [split],
    splitValidation,
    dataSeed,
    chunks: { tokenizer: trained.files.tokenizer, maxSourceLength },
    skipBad: flags.skipBad ?? settings.skipBad,
    onRead: tellRead,
  });
  if (out !== undefined) await makeDirectory(dirname(out));

  const ways = await chosenWays(flags, trained, settings);
  tellWays(ways, ways.options, trained.config);
  const gpu = await acquire();
  announce(gpu);
  await tune(gpu, flags);
  const limits: BatchOptions = {
    batchSize: flags.batchSize ?? settings.evalBatchSize ?? settings.batchSize,
    maxSourceLength,
    maxTargetLength,
  };
  const model = await showLoading((onProgress) =>
    placeTrained(gpu, trained, limits, { storage: weightStorage, ways, onProgress })
  );
  const scoring = datasets.flatMap((dataset) => bySubtask(dataset, split));
  const { maxAnswerLength = 0, beams } = settings;
  const options = { split, maxAnswerLength, beams, onProgress: reporter() };
  const result = (await evaluate(model, scoring, options))!;
  if (out !== undefined) await writeAtomic(out, predictionLines(result));
  if (result.truncated > 0) {
    console.error(
      `${result.truncated} sources and targets were longer than the limits and were cut.`,
    );
  }
  const scored = result.tasks.map(({ task, scores }) => ({ name: task.name, scores }));
  console.log(
    json
      ? JSON.stringify({
        split,
        scores: Object.fromEntries(scored.map(({ name, scores }) => [name, scores])),
        average: result.average,
        truncated: result.truncated,
      })
      : scoreTable(scored),
  );
}

/** A line of JSON for each example; `correct` where the task has a closed set of answers. */
function predictionLines({ tasks }: Evaluation): string {
  return tasks.flatMap(({ task, predictions }) =>
    predictions.map((prediction) => {
      const correct = prediction.prediction === prediction.target;
      return `${JSON.stringify(task.labels ? { ...prediction, correct } : prediction)}\n`;
    })
  ).join("");
}

/** Tells on stderr every ten seconds how far an evaluation has come. */
function reporter(): (done: number, total: number) => void {
  let told = performance.now();
  return (done, total) => {
    if (performance.now() - told < 10_000) return;
    console.error(`${done} of ${total} examples`);
    told = performance.now();
  };
}

if (import.meta.main) await run(evalCommand());
