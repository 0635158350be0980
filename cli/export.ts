/** `deno task export`: a trained model, or its adapters for given inputs, as files that other tools read. */

import { Command, Option } from "commander";
import { evaluationBatches } from "../src/data/batch.ts";
import { UserError } from "../src/errors.ts";
import { type Acquire, acquireGpu, announce } from "../src/platform/adapter.ts";
import { checkVacant, type Content, publish } from "../src/platform/staging.ts";
import { adapterHubFiles, checkAdapterHub } from "../src/train/adapterhub.ts";
import { EXPORT_DTYPES, type ExportDtype, exportFiles, staticModel } from "../src/train/export.ts";
import { AdapterMean, materialise, type StaticAdapters } from "../src/train/materialise.ts";
import { defaults } from "../src/train/settings.ts";
import { checkTrained, type TrainedModel } from "../src/train/trained-model.ts";
import { placeWeights } from "../src/train/weights.ts";
import { run } from "./frame/command.ts";
import { positiveInteger } from "./frame/config.ts";
import { type Instance, readInstances } from "./frame/instances.ts";
import { onInterrupt } from "./frame/interrupt.ts";
import { showLoading } from "./frame/loading.ts";
import { openModel } from "./frame/places.ts";
import { readSettings } from "./frame/settings.ts";
import { tokenizerChoice, withTokenizer } from "./frame/tokenizers.ts";
import { chosenRun, readRun, type RunChoice } from "./frame/trained.ts";

interface Flags extends RunChoice {
  readonly checkpoint?: string;
  readonly out: string;
  readonly dtype?: ExportDtype;
  readonly adaptersOf?: string[] | true;
  readonly task?: string;
  readonly mean?: true;
  readonly static?: true;
  readonly maxSourceLength?: number;
  readonly force?: true;
  readonly json?: true;
}

/** Inputs whose adapters are made at once. */
const BATCH_SIZE = 8;

/**
 * The command, ready to parse.
 *
 * @param acquire opens the device that it computes on
 */
export function exportCommand(acquire: Acquire = acquireGpu): Command {
  return withTokenizer(new Command("deno task export"))
    .description(
      "Write a trained model as config.json and model.safetensors, for transformers and the\n" +
        "reference implementation; or, with --adapters-of, the adapters that it has for some\n" +
        "inputs, for AdapterHub's library.",
    )
    .requiredOption("--out <directory>", "where the files go; it appears whole, or not at all")
    .option("--run <directory>", "a run that deno task train wrote (default: the newest)")
    .addOption(
      new Option("--which <checkpoint>", "of the run (default: best)").choices(["best", "latest"]),
    )
    .option("--checkpoint <directory>", "one checkpoint, or any model's directory")
    .option("--backbone <directory>", "where the frozen model is, if it has moved since training")
    .addOption(
      new Option("--dtype <type>", "of the model's weights (default: as they are)")
        .choices(Object.keys(EXPORT_DTYPES)),
    )
    .option(
      "--adapters-of [inputs...]",
      "write adapters instead of the model: one for each text given, each line of a file, or each " +
        '"source" of a .jsonl file; without inputs, those of each task, or those there are',
    )
    .option("--task <name>", "the task of the inputs, for adapters that depend on it")
    .option("--mean", "one adapter, the mean of those of all inputs, weight by weight")
    .option(
      "--static",
      "write a whole model that has these adapters as manual ones, in place of its hypernetworks",
    )
    .option(
      "--max-source-length <ids>",
      "longer inputs are cut (default: the run's)",
      positiveInteger,
    )
    .option("--force", "write into a directory that is not empty, over files of the same names")
    .option("--json", "print what was written as JSON")
    .action((flags: Flags) => exportModel(flags, acquire));
}

async function exportModel(flags: Flags, acquire: Acquire): Promise<void> {
  checkFlags(flags);
  const { out, checkpoint, adaptersOf, task, force = false, json } = flags;
  if (!force) await checkVacant(out);
  const path = checkpoint === undefined ? await chosenRun(flags) : undefined;
  const { maxSourceLength } = path ? await readSettings(path) : defaults.t5;
  const trained = checkTrained(
    path
      ? await readRun(path, flags)
      : await openModel(checkpoint!, await tokenizerChoice(flags), flags.backbone),
  );
  const instances = adaptersOf && await readInstances(adaptersOf, task, trained.config);
  if (instances) checkAdapters(trained, instances, flags);

  const start = performance.now();
  const signal = onInterrupt(() => console.error("Stopping; nothing is written."));
  const files: Record<string, number> = {};
  try {
    await publish(out, { replace: force, signal }, async (staging) => {
      const contents = instances
        ? adapterContents(trained, instances, { maxSourceLength, ...flags }, signal, acquire)
        : Object.entries(exportFiles(trained, flags.dtype));
      for await (const [file, content] of contents) {
        files[file] = await staging.write(file, content);
      }
    });
  } catch (error) {
    if (!signal.aborted) throw error;
    Deno.exitCode = 130;
    return;
  }
  if (json) return console.log(JSON.stringify({ out, files }));
  const seconds = ((performance.now() - start) / 1000).toFixed(1);
  console.log(`Wrote ${describe(files)} to ${out} in ${seconds} s.`);
}

/** Refuses flags that contradict each other, or would have no effect. */
function checkFlags({ checkpoint, run, which, adaptersOf, ...flags }: Flags): void {
  if (checkpoint !== undefined && (run !== undefined || which !== undefined)) {
    throw new UserError("--checkpoint names one checkpoint: leave out --run and --which");
  }
  const { task, mean, static: isStatic, maxSourceLength, dtype } = flags;
  const idle = [
    task !== undefined && "--task",
    mean && "--mean",
    isStatic && "--static",
    maxSourceLength !== undefined && "--max-source-length",
  ].find(Boolean);
  if (adaptersOf === undefined && idle) {
    throw new UserError(`${idle} is about adapters: say with --adapters-of which`);
  }
  if (adaptersOf !== undefined && !isStatic && dtype !== undefined) {
    throw new UserError("adapters are written as f32: leave --dtype out, or add --static");
  }
}

/** Checks that the adapters of these inputs can be written as the flags want them. */
function checkAdapters(
  { config }: TrainedModel,
  instances: readonly Instance[],
  { mean, static: isStatic }: Flags,
): void {
  if (!isStatic) checkAdapterHub(config);
  else if (!mean && instances.length > 1) {
    throw new UserError(
      `--static makes one model, but there are ${instances.length} inputs: give one, or add --mean`,
    );
  }
}

/** What is written of the adapters of some inputs: files by their paths. */
async function* adapterContents(
  trained: TrainedModel,
  instances: readonly Instance[],
  { mean, static: isStatic, dtype, maxSourceLength = Infinity }: Flags,
  signal: AbortSignal,
  acquire: Acquire,
): AsyncGenerator<[path: string, content: Content]> {
  const { config, weights, files: { tokenizer } } = trained;
  const batches = [...evaluationBatches(instances, tokenizer, {
    batchSize: BATCH_SIZE,
    maxSourceLength,
    maxTargetLength: 1, // of the targets, which are empty
  })];
  const truncated = batches.reduce((sum, batch) => sum + batch.truncated, 0);
  if (truncated > 0) {
    console.error(`${truncated} inputs are longer than ${maxSourceLength} ids and were cut.`);
  }
  const gpu = await acquire();
  announce(gpu);
  const parameters = await showLoading((onProgress) =>
    placeWeights(gpu, config, weights, { onProgress })
  );
  const files = (name: string, adapters: StaticAdapters, about: Record<string, unknown>) =>
    Object.entries(
      isStatic
        ? exportFiles(staticModel(trained, adapters), dtype)
        : inDirectory(name, adapterHubFiles(name, config, adapters, about)),
    );
  const average = new AdapterMean();
  for await (const { index, adapters } of materialise(config, parameters, batches)) {
    signal.throwIfAborted();
    const { name, task, source } = instances[index];
    if (mean) average.add(adapters);
    else yield* files(name, adapters, { instance: { task, source } });
  }
  if (mean) yield* files("mean", average.mean(), { instances: instances.length });
  gpu.destroy();
}

function inDirectory<T>(directory: string, files: Readonly<Record<string, T>>): Record<string, T> {
  return Object.fromEntries(
    Object.entries(files).map(([file, content]) => [`${directory}/${file}`, content]),
  );
}

/** The names of what was written, if they are few, and the size. */
function describe(files: Readonly<Record<string, number>>): string {
  const names = [...new Set(Object.keys(files).map((file) => file.split("/", 1)[0]))].sort();
  const bytes = Object.values(files).reduce((sum, size) => sum + size, 0);
  const size = bytes < 1e6 ? `${Math.ceil(bytes / 1e3)} kB` : `${(bytes / 1e6).toFixed(1)} MB`;
  return `${names.length > 8 ? `${names.length} adapters` : names.join(", ")} (${size})`;
}

if (import.meta.main) await run(exportCommand());
