/**
 * `deno task pretrain`: makes the embedded backbone (models/miniature) again, from text alone.
 *
 * Salient span masking and prefix language modelling on passages of the mixture's kind and, mixed in,
 * public-domain books.
 */

import { Command } from "commander";
import { formatConfig, type ModelConfig, parseConfig } from "../models/config.ts";
import { parameterInventory } from "../models/inventory.ts";
import { miniaturePassages } from "../src/data/miniature/mixture.ts";
import { mixPassages, paragraphs, PretrainingBatches } from "../src/data/pretraining.ts";
import { UserError } from "../src/errors.ts";
import { gunzip } from "../src/io/gzip.ts";
import { Parameters } from "../src/graph/parameters.ts";
import {
  fromFloat32,
  openSafetensors,
  readFloat32,
  writeSafetensors,
} from "../src/io/safetensors.ts";
import { AdamW } from "../src/optim/adamw.ts";
import { linearSchedule } from "../src/optim/schedule.ts";
import { type Acquire, acquireGpu, announce } from "../src/platform/adapter.ts";
import {
  appendLine,
  directoryStore,
  exists,
  listDirectory,
  makeDirectory,
  readBytes,
  readText,
  writeAtomic,
} from "../src/platform/files.ts";
import { createTokenizer } from "../src/text/tokenizer.ts";
import { hasCheckpoint, loadCheckpoint, saveCheckpoint } from "../src/train/checkpoint.ts";
import { drawParameter } from "../src/train/initialise.ts";
import { LOG_SLOTS, TrainingStep } from "../src/train/training-step.ts";
import { run } from "./frame/command.ts";
import {
  fraction,
  positiveInteger,
  positiveNumber,
  wholeNumber,
  withConfig,
} from "./frame/config.ts";
import { onInterrupt } from "./frame/interrupt.ts";
import { createProgress } from "./frame/progress.ts";

interface Options {
  model: string;
  text?: string;
  textShare: number;
  steps: number;
  batchSize: number;
  learningRate: number;
  warmupSteps: number;
  weightDecay: number;
  embeddingDeviation: number;
  seed: number;
  out: string;
  saveEvery: number;
}

const LOG_EVERY = 10;

/**
 * The command, ready to parse.
 *
 * @param acquire opens the device that it computes on
 */
export function pretrainCommand(acquire: Acquire = acquireGpu): Command {
  return withConfig(
    new Command("deno task pretrain")
      .description(
        "Makes the embedded backbone again: salient spans masked in the miniature mixture's kind of text.\n" +
          "Continues where it was broken off if --out holds a checkpoint.",
      )
      .option("--model <dir>", "directory of config.json and tokenizer.json", "models/miniature")
      .option("--text <dir>", "directory of books (*.txt or *.txt.gz) to mix in")
      .option(
        "--text-share <fraction>",
        "chance of a book's paragraph before a passage",
        fraction,
        0.06,
      )
      .option("--steps <count>", "updates", positiveInteger, 3000)
      .option("--batch-size <count>", "passages per update", positiveInteger, 64)
      .option("--learning-rate <rate>", "peak learning rate", positiveNumber, 1.5e-3)
      .option("--warmup-steps <count>", "updates of linear warm-up", wholeNumber, 100)
      .option("--weight-decay <rate>", "decoupled weight decay", fraction, 0.01)
      .option("--embedding-deviation <value>", "deviation of new embeddings", positiveNumber, 0.5)
      .option("--seed <number>", "seed of weights, text and spans", wholeNumber, 1)
      .option("--out <dir>", "directory for checkpoints and the result", "runs/pretrain")
      .option("--save-every <count>", "updates between checkpoints", positiveInteger, 100)
      .action((options: Options) => pretrain(options, acquire)),
  );
}

async function pretrain(options: Options, acquire: Acquire): Promise<void> {
  const configFile = `${options.model}/config.json`;
  const described = parseConfig(JSON.parse(await readText(configFile)), configFile);
  // The file describes the model that is fine-tuned; its backbone is pretrained without adapters.
  const config: ModelConfig = { ...described, encoderAdapter: "none", decoderAdapter: "none" };
  const tokenizer = createTokenizer(JSON.parse(await readText(`${options.model}/tokenizer.json`)));
  const books = options.text === undefined ? [] : await readBooks(options.text);
  const passages = mixPassages(
    miniaturePassages(options.seed),
    paragraphs(books),
    options.textShare,
    options.seed,
  );
  const batches = new PretrainingBatches(passages, tokenizer, {
    batchSize: options.batchSize,
    seed: options.seed,
  });

  const gpu = await acquire();
  announce(gpu);
  const inventory = parameterInventory(config);
  const parameters = new Parameters(gpu, inventory.map((p) => ({ ...p, trainable: true })));
  const optimizer = new AdamW(parameters, {
    beta2: 0.98,
    weightDecay: options.weightDecay,
    decays: (name) => !/norm|bias/.test(name),
    maxNorm: 1,
  });
  const store = directoryStore(`${options.out}/checkpoints`);
  await makeDirectory(options.out);
  let start = 0;
  if (await hasCheckpoint(store)) {
    const { step, files, state } = await loadCheckpoint(store);
    checkContinued(options, (state as { readonly options: Options }).options);
    const part = async (name: string) => {
      const values = new Map<string, Float32Array>();
      for (const [key, tensor] of await openSafetensors(files[name])) {
        values.set(key, await readFloat32(tensor, key));
      }
      return values;
    };
    for (const [name, values] of await part("model.safetensors")) parameters.write(name, values);
    optimizer.writeState(await part("optimizer.safetensors"));
    start = step;
    console.error(`Continuing from update ${start} of ${options.out}.`);
  } else {
    for (const specification of inventory) {
      const values = drawParameter(specification, options.seed);
      const scale = specification.name === "shared.weight" ? options.embeddingDeviation : 1;
      parameters.write(specification.name, values.map((value) => scale * value));
    }
  }

  const step = new TrainingStep(config, parameters, optimizer, {
    labelSmoothing: 0,
    dropoutRate: 0,
    accumulate: 1,
    seed: options.seed,
  });
  const schedule = linearSchedule(options.warmupSteps, options.steps);
  const progress = createProgress({ total: options.steps, start });
  const interrupted = onInterrupt((line) => progress.log(line));
  const shapes = new Map([
    ...inventory.map(({ name, shape }) => [name, shape] as const),
    ...optimizer.stateShapes,
  ]);
  const pack = (tensors: ReadonlyMap<string, Float32Array>, dtype: "F32" | "F16" = "F32") =>
    writeSafetensors(
      new Map(Array.from(tensors, ([name, values]) => [
        name,
        fromFloat32(values, shapes.get(name)!, dtype),
      ])),
    );
  const save = async (done: number) => {
    await saveCheckpoint(store, {
      step: done,
      files: {
        "model.safetensors": pack(await parameters.read()),
        "optimizer.safetensors": pack(await optimizer.readState()),
      },
      state: { options },
    });
  };

  try {
    let tokens = 0, since = performance.now(), logged = start;
    for (let done = start; done < options.steps;) {
      const batch = batches.batch(done);
      tokens += batch.sourceTokens + batch.targetTokens;
      const learningRate = options.learningRate * schedule(done);
      await step.run([batch], done, {
        learningRate,
        gradientScale: 1 / batch.targetTokens,
      });
      done++;
      if (done % LOG_EVERY === 0 || done === options.steps) {
        const records = await step.readLog(Math.max(logged, done - LOG_SLOTS), done);
        const sum = (key: "nll" | "targetTokens" | "gradNorm") =>
          records.reduce((total, record) => total + record[key], 0);
        const loss = sum("nll") / sum("targetTokens");
        if (!Number.isFinite(loss)) {
          throw new UserError(`The loss is ${loss} at update ${done}; lower --learning-rate.`);
        }
        const tokensPerSecond = 1000 * tokens / (performance.now() - since);
        const line = {
          step: done,
          loss,
          learningRate,
          tokensPerSecond: Math.round(tokensPerSecond),
        };
        await appendLine(`${options.out}/metrics.jsonl`, JSON.stringify(line));
        progress.update(done, { loss, tokensPerSecond });
        [tokens, since, logged] = [0, performance.now(), done];
      }
      if (done % options.saveEvery === 0 || done === options.steps || interrupted.aborted) {
        await save(done);
      }
      if (interrupted.aborted) return;
    }
  } finally {
    progress.stop();
  }
  const weights = pack(await parameters.read(), "F16");
  await writeAtomic(`${options.out}/model.safetensors`, weights);
  await writeAtomic(
    `${options.out}/config.json`,
    JSON.stringify(formatConfig(config), null, 2) + "\n",
  );
  console.error(`Wrote ${options.out}/model.safetensors, ${weights.length} bytes.`);
}

/** Refuses to go on with other options than it was begun with, but for where and how often it is saved. */
function checkContinued(options: Options, begun: Options): void {
  for (const [key, now] of Object.entries(options)) {
    const before = begun[key as keyof Options];
    if (["out", "saveEvery", "config"].includes(key) || now === before) continue;
    throw new UserError(
      `${key} is ${now} here, but ${options.out} was begun with ${before ?? "none"}: ` +
        `say that again, or give another --out`,
    );
  }
}

/** All books of a directory, in order of their names. */
async function readBooks(directory: string): Promise<string[]> {
  if (!await exists(directory)) throw new UserError(`--text: there is no directory ${directory}.`);
  const names = (await listDirectory(directory)).filter((name) => /\.txt(\.gz)?$/.test(name))
    .sort();
  if (names.length === 0) {
    throw new UserError(`--text: ${directory} has no *.txt or *.txt.gz files.`);
  }
  return await Promise.all(names.map(async (name) => {
    const bytes = await readBytes(`${directory}/${name}`);
    const stream = new Blob([bytes]).stream();
    const plain = name.endsWith(".gz") ? stream.pipeThrough(gunzip()) : stream;
    return await new Response(plain).text();
  }));
}

if (import.meta.main) await run(pretrainCommand());
