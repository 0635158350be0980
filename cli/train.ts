/** `deno task train`: trains a Hyperdecoder, or goes on with a run. */

import { Command } from "commander";
import { miniatureTaskNames } from "../src/data/miniature/mixture.ts";
import { loadDatasets } from "../src/data/tasks.ts";
import type { Dataset } from "../src/data/types.ts";
import { UserError } from "../src/errors.ts";
import { withDefaults } from "../src/generate/generation-config.ts";
import { resolveOptions } from "../src/generate/options.ts";
import type { Gpu } from "../src/gpu/device.ts";
import type { Parameters } from "../src/graph/parameters.ts";
import { size } from "../src/graph/tensor.ts";
import { tuningOf } from "../src/graph/tuning.ts";
import { type Acquire, acquireGpu, announce } from "../src/platform/adapter.ts";
import { exists } from "../src/platform/files.ts";
import { runTuningFile, tuneLikeRun } from "../src/platform/tuning-file.ts";
import { recordData } from "../src/train/data-record.ts";
import { type Evaluation, majorityBaseline } from "../src/train/evaluate.ts";
import type { Tokenizer } from "../src/text/tokenizer.ts";
import { Run } from "../src/train/run.ts";
import type { MetricsLine } from "../src/train/run-directory.ts";
import { type Fit, gigabytes } from "../src/train/memory-budget.ts";
import { defaults, type Options, resolveSettings, type Settings } from "../src/train/settings.ts";
import { matchModel } from "../src/train/model-files.ts";
import { waysOf } from "../src/train/model-generation.ts";
import { run } from "./frame/command.ts";
import { builtInSource } from "./frame/data-places.ts";
import { dataFiles } from "./frame/hub-data.ts";
import { tellWays } from "./frame/generation.ts";
import { idleFlags } from "./frame/idle.ts";
import { onInterrupt } from "./frame/interrupt.ts";
import { showLoading } from "./frame/loading.ts";
import { type OwnFlags, withoutOwnFlags, withOwnTasks } from "./frame/own-flags.ts";
import { repeatTasks, resolveTasks } from "./frame/own-tasks.ts";
import { modelName, newRunPath, openModel, runDirectory } from "./frame/places.ts";
import { printProfile } from "./frame/profile.ts";
import { createProgress, duration, type Progress } from "./frame/progress.ts";
import { checkTuning, resumedOptions, runToResume, takeUp } from "./frame/resuming.ts";
import { gainTable, scoreLine } from "./frame/scores.ts";
import { tellOwn, tellRead } from "./frame/data-report.ts";
import { readSettings, withSettings, withSettingsFile } from "./frame/settings.ts";
import { tokenizerChoice } from "./frame/tokenizers.ts";
import { tune, type TuningFlag, withTuning } from "./frame/tuning.ts";

/** Settings as they are said: of the user's own tasks a part, or a file with it. */
type Said = Omit<Options, "taskFile"> & OwnFlags;

/** Flags that are no settings of a run. */
interface Flags extends Said, TuningFlag {
  readonly out?: string;
  readonly resume?: string | boolean;
  readonly continue?: boolean;
  readonly profile?: boolean;
  readonly json?: boolean;
  readonly config?: string;
}

/**
 * The command, ready to parse.
 *
 * @param acquire opens the device that it computes on
 */
export function trainCommand(acquire: Acquire = acquireGpu): Command {
  const command = withTuning(withOwnTasks(withSettings(new Command("deno task train"))))
    .description(
      "Train a Hyperdecoder. With no flags at all: the embedded model on the embedded tasks.\n" +
        "Ctrl-C saves and exits with code 130; --resume goes on from there.",
    )
    .option("--out <directory>", "where the run goes (default: runs/ and the time)")
    .option(
      "--resume [directory]",
      "go on with a run: that of the directory, of --out, or the newest",
    )
    .option("--continue", "go on with the run in --out if there is one, or else begin it")
    .option("--profile", "measure the kernels of one update instead of training")
    .option("--json", "print metrics as lines of JSON on stdout instead of the bar");
  return withSettingsFile(command).action((flags: Flags, command: Command) =>
    train(flags, command, acquire)
  );
}

async function train(flags: Flags, command: Command, acquire: Acquire): Promise<void> {
  checkFlags(flags);
  const { out, resume, continue: goOn, profile, json, config: _, tune: __, ...said } = flags;
  const isThere = goOn === true && out !== undefined && await exists(`${out}/config.json`);
  const resumed = resume === undefined || resume === false
    ? isThere ? out : undefined
    : await runToResume(resume, out);
  const begun = resumed === undefined ? undefined : await readSettings(resumed);
  const wanted = await withPaths(said, begun, resumed);
  const options = begun ? resumedOptions(resumed!, begun, wanted) : wanted;
  const path = resumed ?? out ?? newRunPath();
  // What kernels are chosen changes the last bits: a run goes on with those it was begun with.
  if (resumed !== undefined) await checkTuning(resumed, flags);
  const open = async () => {
    const gpu = await acquire();
    announce(gpu);
    await (resumed ? tuneLikeRun(gpu, resumed) : tune(gpu, flags));
    return gpu;
  };
  const run = await prepare(options, path, open);
  for (const sentence of idleFlags(command, run.parts.settings)) console.error(sentence);
  if (profile) {
    if (out !== undefined && !resumed) {
      console.error("Nothing is written to --out: --profile only measures.");
    }
    return await printProfile(run, json);
  }
  if (run.trainer.fit) console.error(describeFit(run.trainer.fit));

  if (begun) await takeUp(run, begun);
  else {
    await run.parts.directory.create(run.parts.settings);
    await recordData(run.parts.directory.store, run.parts.datasets);
    await tuningOf(run.parts.gpu)?.keepIn(runTuningFile(run.parts.gpu, path));
  }
  await (json ? trainInJson(run) : trainWithBar(run));
}

/** Refuses flags that contradict each other. */
function checkFlags({ out, continue: goOn, profile, steps }: Flags): void {
  if (goOn && out === undefined) {
    throw new UserError("--continue goes on with the run in --out: say where that is");
  }
  if (profile && steps === 0) {
    throw new UserError("--profile measures an update, and with --steps 0 there is none");
  }
}

/** What training within `--max-memory` takes. */
function describeFit({ bytes, parts, recompute }: Fit): string {
  const measures = [
    ...parts > 1 ? [`batches in ${parts} parts`] : [],
    ...recompute ? ["blocks computed again in the backward pass"] : [],
  ];
  const how = measures.length > 0 ? `, with ${measures.join(" and ")}` : "";
  return `Training takes ${gigabytes(bytes)} on the device${how}.`;
}

/** Paths that mean the same from another working directory, and tasks with all that is to be known of them. */
async function withPaths(
  said: Said,
  begun: Settings | undefined,
  resumed: string | undefined,
): Promise<Options> {
  const options = withoutOwnFlags(said);
  const resolved = begun ? await repeatTasks(said, begun, resumed!) : await resolveTasks(said);
  const { model, tokenizer } = said;
  return {
    ...options,
    ...resolved,
    ...(model !== undefined && { model: await modelName(model) }),
    ...(tokenizer !== undefined && { tokenizer: await modelName(tokenizer) }),
  };
}

/** Checks everything that can be checked before the model is on the device, then puts it there. */
async function prepare(
  options: Options,
  out: string,
  open: () => Promise<Gpu>,
): Promise<Run> {
  const base = await openModel(options.model ?? "miniature", await tokenizerChoice(options));
  const { tasks = miniatureTaskNames } = options;
  const datasets = await loadData({ ...options, tasks }, base.tokenizer);
  const examples = datasets.filter(({ task }) => tasks.includes(task.name))
    .reduce((sum, { splits: { train = [] } }) => sum + train.length, 0);
  const file = `${base.location}/config.json`;
  const resolved = resolveSettings(options, base.config, file, tasks, examples);
  const weights = matchModel(base, resolved.config);
  const { maxTargetLength, beamRule } = resolved.settings;
  const ways = waysOf(base, {}, beamRule);
  const answering = withDefaults(ways.given, ways.defaults, maxTargetLength + 1);
  resolveOptions(answering); // what cannot be is better known now than at the first evaluation
  tellWays(ways, answering, resolved.config);
  const directory = runDirectory(out);
  const gpu = await open();
  const settings = { ...resolved.settings, ...shortened(options, resolved.settings, gpu) };
  const parts = { gpu, ...resolved, settings, base, weights, datasets, directory };
  return await showLoading((onProgress) => Run.create(parts, onProgress));
}

/** Loads the examples that are trained on or scored, and no others. */
async function loadData(
  options: Options & { tasks: readonly string[] },
  tokenizer: Tokenizer,
): Promise<Dataset[]> {
  const { tasks, evalTasks = tasks, steps, evalEvery, finalSplits = ["test"], data } = options;
  const { taskFile = [] } = options;
  const source = await builtInSource(data);
  const { splitValidation = false, filterNulls = false, trainLimit = 0, skipBad } = options;
  const { seed = 0, dataSeed = seed, model = "miniature" } = options;
  const { maxSourceLength = defaults[model === "miniature" ? model : "t5"].maxSourceLength } =
    options;
  const scored = (["validation", "test"] as const).filter((split) =>
    finalSplits.includes(split) || (split === "validation" && evalEvery !== 0)
  );
  return await loadDatasets({
    tasks: [...tasks, ...evalTasks.filter((task) => !tasks.includes(task))],
    ...(source && { data: source }),
    own: { tasks: taskFile, files: dataFiles },
    onReadOwn: tellOwn,
    splits: (task) => [
      ...(tasks.includes(task) && steps !== 0 ? ["train"] as const : []),
      ...(evalTasks.includes(task) ? scored : []),
    ],
    splitValidation,
    trainLimit,
    dataSeed,
    chunks: { tokenizer, maxSourceLength },
    filterNulls,
    skipBad,
    onRead: tellRead,
  });
}

/**
 * The embedded recipe on an adapter that is several times slower than llvmpipe: some minutes. Half as many
 * examples, in smaller batches and more of the tasks with much to learn, so that every task still learns.
 */
const briefRecipe = { steps: 320, batchSize: 16, temperature: 0.5, evalEvery: 320 } as const;

/** What `briefRecipe` changes: nothing where the user chose any of it, another model or no training. */
function shortened(said: Options, { model, steps }: Settings, gpu: Gpu): Partial<Settings> {
  const isSaid = said.epochs !== undefined ||
    Object.keys(briefRecipe).some((key) => said[key as keyof Options] !== undefined);
  if (model !== "miniature" || isSaid || !/swiftshader/i.test(gpu.adapterName)) return {};
  console.error(
    `${briefRecipe.steps} updates of ${briefRecipe.batchSize} examples instead of ${steps} of ` +
      `${defaults.miniature.batchSize} on this slow adapter; --steps ${steps} is the usual run.`,
  );
  return briefRecipe;
}

/** Trains with a bar for people, and ends with a table of scores. */
async function trainWithBar(run: Run): Promise<void> {
  const { trainer, parts: { settings, directory } } = run;
  const { steps, maxSourceLength, maxTargetLength } = settings;
  const progress = createProgress({ total: steps, start: trainer.step });
  const signal = onInterrupt(progress.log);
  const start = performance.now();
  let told = false;
  try {
    if (steps > 0) {
      progress.log(`Training ${settings.tasks.join(", ")} in ${directory.store.location}`);
    }
    progress.log(describeSize(trainer.parameters));
    await run.train({
      signal,
      onMetrics: (lines) => {
        show(lines, progress);
        if (trainer.truncated === 0 || told) return;
        told = true;
        progress.log(
          `Some texts are longer than ${maxSourceLength} (source) or ${maxTargetLength} (target) ` +
            `ids and are cut.`,
        );
      },
    });
  } finally {
    progress.stop();
  }
  if (trainer.truncated > 0) {
    console.error(
      `${trainer.truncated} sources and targets were longer than the limits and were cut.`,
    );
  }
  const seconds = (performance.now() - start) / 1000;
  for await (const { split, tasks } of finalScores(run, signal)) {
    const name = split === "test" ? "Test" : "Validation";
    console.log(`\n${name} split, ${describeWeights(run)}:\n`);
    console.log(gainTable(tasks.map(({ task, scores }, i) => ({
      name: task.name,
      scores,
      baseline: majorityBaseline(run.scored(split)[i], split),
    }))));
  }
  if (signal.aborted) return;
  console.log(`\nThe run is in ${directory.store.location}; training took ${duration(seconds)}`);
}

/** Trains with metrics as lines on stdout, then a line for each split that is scored at the end. */
async function trainInJson(run: Run): Promise<void> {
  const signal = onInterrupt();
  const start = performance.now();
  const print = (line: object) => console.log(JSON.stringify(line));
  await run.train({ signal, onMetrics: (lines) => lines.forEach(print) });
  const seconds = (performance.now() - start) / 1000;
  for await (const { split, tasks, average } of finalScores(run, signal)) {
    print({
      run: run.parts.directory.store.location,
      seconds,
      truncated: run.trainer.truncated,
      [split]: Object.fromEntries(tasks.map(({ task, scores }) => [task.name, scores])),
      majority: Object.fromEntries(
        run.scored(split).map((dataset) => [dataset.task.name, majorityBaseline(dataset, split)]),
      ),
      average,
    });
  }
}

/** The scores at the end, split by split; fewer of them if it was interrupted, before or now. */
async function* finalScores(
  run: Run,
  signal: AbortSignal,
): AsyncGenerator<Evaluation & { split: "validation" | "test" }> {
  const { settings: { finalSplits, loadBest }, directory } = run.parts;
  if (!signal.aborted && loadBest && run.best && finalSplits.length > 0) await run.restore("best");
  for (const split of finalSplits) {
    const result = signal.aborted ? undefined : await run.evaluate({ split, signal });
    if (result) yield { split, ...result };
  }
  if (!signal.aborted) return;
  console.error(`Saved; go on with: deno task train --resume ${directory.store.location}`);
  Deno.exitCode = 130;
}

function describeSize({ descriptions }: Parameters): string {
  const count = (of: Parameters["descriptions"]) =>
    of.reduce((sum, { shape }) => sum + size(shape), 0);
  const [all, trained] = [
    count(descriptions),
    count(descriptions.filter(({ trainable }) => trainable)),
  ];
  const grouped = (value: number) => value.toLocaleString("en");
  return `${grouped(trained)} of ${grouped(all)} parameters are trained ` +
    `(${(100 * trained / all).toFixed(1)} %)`;
}

function describeWeights({ best, parts: { settings: { steps, loadBest } } }: Run): string {
  if (steps === 0) return "the model as it is";
  return best && loadBest
    ? `weights of step ${best.step}, the best on validation`
    : `step ${steps}`;
}

/** Shows what was logged: updates in the bar, evaluations on a line of their own. */
function show(lines: readonly MetricsLine[], progress: Progress): void {
  const updates = lines.filter((line) => "loss" in line);
  const last = updates.at(-1);
  if (last) {
    const tokens = updates.reduce((sum, { targetTokens }) => sum + targetTokens, 0);
    const loss = updates.reduce((sum, line) => sum + line.loss * line.targetTokens, 0) / tokens;
    progress.update(last.step, { loss, tokensPerSecond: last.tokensPerSecond });
  }
  for (const line of lines) {
    if (!("evaluation" in line)) continue;
    progress.log(`step ${line.step}: validation ${scoreLine(line.average, line.evaluation)}`);
  }
}

if (import.meta.main) await run(trainCommand());
