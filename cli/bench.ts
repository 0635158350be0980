/** `deno task bench`: how fast this build is on this machine's adapter, alone and beside others. */

import { Argument, Command, Option } from "commander";
import { dirname } from "node:path";
import {
  attentionContests,
  attentionMemory,
  type AttentionResult,
} from "../src/bench/attention/attention.ts";
import { modelKernels, notedKernels } from "../src/bench/cases/all.ts";
import { squareProducts } from "../src/bench/cases/products.ts";
import { measureCeilings } from "../src/bench/ceilings.ts";
import { measureGeneration } from "../src/bench/generation.ts";
import { measureKernels } from "../src/bench/kernels.ts";
import { checkpointConfig, measureLoading, randomCheckpoint } from "../src/bench/loading.ts";
import { type Clock, usualEffort, wallClock } from "../src/bench/measure.ts";
import { compare, type Comparison, type Contest, rehearse } from "../src/bench/peers/comparison.ts";
import {
  DECODED,
  decodingContests,
  type Peers,
  productContests,
  trainingContests,
} from "../src/bench/peers/contests.ts";
import { type Torch, torchContests } from "../src/bench/peers/torch.ts";
import { base, block, miniature, small, type Subject } from "../src/bench/subjects.ts";
import { measureBlock, measureTraining } from "../src/bench/training.ts";
import { measureTuning, tunedModel } from "../src/bench/tuning.ts";
import { UserError } from "../src/errors.ts";
import { describe, type Gpu } from "../src/gpu/device.ts";
import { tuningOf } from "../src/graph/tuning.ts";
import { type Acquire, acquireGpu, announce } from "../src/platform/adapter.ts";
import { exists, openFile, writeAtomic } from "../src/platform/files.ts";
import { computedMilliseconds, residentBytes } from "../src/platform/process.ts";
import { benchMarkdown, type BenchReport, benchText } from "./frame/bench-report.ts";
import { run } from "./frame/command.ts";
import { loadPeers } from "./frame/peers.ts";
import { startTorch } from "./frame/torch.ts";
import { tune, type TuningFlag, withTuning } from "./frame/tuning.ts";

const SECTIONS = ["kernels", "attention", "train", "generate", "load", "tuning"] as const;
type Section = typeof SECTIONS[number];

const MODELS = { small, base };

/** Sides of the square products: sizes that other frameworks publish. */
const SIDES = { cpu: [512, 1024], gpu: [512, 1024, 2048, 4096] };

/** Size of the checkpoint that is loaded, unless told. */
const MEGABYTES = 100;

interface Flags extends TuningFlag {
  readonly model: keyof typeof MODELS;
  readonly checkpoint?: number;
  readonly peers?: true;
  readonly torch?: true;
  readonly json?: true;
  readonly out?: string;
}

/**
 * The command, ready to parse.
 *
 * @param acquire opens the device that is measured
 */
export function benchCommand(acquire: Acquire = acquireGpu): Command {
  return withTuning(new Command("deno task bench"))
    .description(
      "Measure kernels, training, decoding and loading on this adapter, alone and beside other frameworks.",
    )
    .addArgument(new Argument("[sections...]", "what to measure (default: all)").choices(SECTIONS))
    .addOption(
      new Option("--model <size>", "the larger of the models that are measured: base is for GPUs")
        .choices(Object.keys(MODELS)).default("small"),
    )
    .option(
      "--checkpoint <megabytes>",
      `size of the checkpoint that is loaded (default: ${MEGABYTES})`,
      megabytes,
    )
    .option("--peers", "compare with jax-js and TensorFlow.js, which are downloaded")
    .option("--torch", "compare with PyTorch, which python3 must have")
    .option("--json", "print one JSON object instead of tables")
    .option("--out <file>", "write the tables to a Markdown file, and the JSON beside it")
    .action((sections: Section[], flags: Flags) => bench(sections, flags, acquire));
}

async function bench(
  sections: readonly Section[],
  flags: Flags,
  acquire: Acquire,
): Promise<void> {
  const { json, out } = flags;
  const chosen = sections.length > 0 ? sections : SECTIONS;
  checkSections(chosen, flags);
  // What can go wrong goes wrong before minutes are spent on measuring.
  if (out !== undefined && !await exists(dirname(out))) {
    throw new UserError(`cannot write ${out}: there is no directory ${dirname(out)}`);
  }
  const gpu = await acquire();
  announce(gpu);
  await tune(gpu, flags);
  const subject = MODELS[flags.model];
  const peers = flags.peers && await loadPeers();
  await using torch = flags.torch ? await startTorch(subject) : undefined;
  const report: BenchReport = {
    adapter: describe(gpu),
    runtime: `Deno ${Deno.version.deno} on ${Deno.build.target}`,
    tuned: tuningOf(gpu) !== undefined,
    ...chosen.includes("kernels") && { kernels: await benchKernels(gpu, subject) },
    ...chosen.includes("attention") && { attention: await benchAttention(gpu, peers) },
    ...chosen.includes("train") && { train: await benchTraining(gpu, subject) },
    ...chosen.includes("generate") && { generate: await benchGeneration(gpu, subject) },
    ...chosen.includes("load") && { load: await benchLoading(gpu, flags.checkpoint ?? MEGABYTES) },
    ...chosen.includes("tuning") && { tuning: await benchTuning(gpu, subject) },
    ...peers && { peers: await benchPeers(gpu, peers, chosen, subject) },
    ...torch && { torch: await benchTorch(gpu, torch, subject) },
  };
  gpu.destroy();
  const asJson = JSON.stringify(report, null, 2);
  if (out !== undefined) {
    await writeAtomic(out, benchMarkdown(report));
    await writeAtomic(out.replace(/(\.md)?$/, ".json"), `${asJson}\n`);
  }
  console.log(json ? asJson : benchText(report));
}

/** Refuses flags about what is not measured. */
function checkSections(chosen: readonly Section[], { checkpoint, peers }: Flags): void {
  const measures = (...sections: Section[]) => sections.some((each) => chosen.includes(each));
  if (checkpoint !== undefined && !measures("load")) {
    throw new UserError("--checkpoint is about the section load: add it, or leave the flag out");
  }
  if (peers && !measures("kernels", "attention", "train", "generate")) {
    throw new UserError(
      "--peers compares kernels, attention, train and generate: add one, or leave the flag out",
    );
  }
}

async function benchKernels(gpu: Gpu, subject: Subject) {
  progress("what the adapter can do");
  const clock = clockOf(gpu);
  const ceilings = await measureCeilings(gpu, usualEffort, clock);
  const cases = [...squareProducts(sides(gpu)), ...modelKernels(subject), ...notedKernels(subject)];
  const results = await measureKernels(gpu, ceilings, cases, usualEffort, clock, progress);
  return { ceilings, cases: results };
}

async function benchAttention(gpu: Gpu, peers: Peers | undefined): Promise<AttentionResult> {
  // Before times: peers keep buffers for later.
  const memory = await attentionMemory(
    gpu,
    peers,
    (name) => progress(`the memory of attention: ${name}`),
  );
  return {
    memory,
    comparisons: await compareAll(gpu, attentionContests(gpu, peers), clockOf(gpu)),
  };
}

async function benchTraining(gpu: Gpu, subject: Subject) {
  progress(`a training step of ${block.name}`);
  const results = [await measureBlock(gpu, block, usualEffort, clockOf(gpu))];
  for (const each of [miniature, subject]) {
    progress(`a training step of ${each.name}`);
    results.push(await measureTraining(gpu, each, usualEffort, clockOf(gpu)));
  }
  return results;
}

async function benchGeneration(gpu: Gpu, { batch, ...subject }: Subject) {
  const results = [];
  for (const batchSize of [1, batch.batchSize]) {
    progress(`decoding of ${batchSize} × ${DECODED} ids`);
    const shape = { ...batch, batchSize, targetLength: DECODED };
    const answer = { ...subject, batch: shape };
    results.push(await measureGeneration(gpu, answer, usualEffort, clockOf(gpu)));
  }
  return results;
}

async function benchLoading(gpu: Gpu, megabytes: number) {
  progress(`loading a checkpoint of ${megabytes} MB`);
  const directory = await Deno.makeTempDir({ prefix: "hyperdecoder-bench-" });
  try {
    const file = `${directory}/model.safetensors`;
    const config = checkpointConfig(megabytes * 1e6);
    await Deno.writeFile(file, randomCheckpoint(config));
    const { samples } = usualEffort;
    return await measureLoading(gpu, config, () => openFile(file), residentBytes, samples);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

async function benchTuning(gpu: Gpu, subject: Subject) {
  const results = [];
  for (const each of [miniature, subject]) {
    results.push(await measureTuning(gpu, tunedModel(gpu, each), clockOf(gpu), progress));
  }
  return results;
}

async function benchPeers(
  gpu: Gpu,
  peers: Peers,
  chosen: readonly Section[],
  subject: Subject,
): Promise<Comparison[]> {
  const contests = [
    ...chosen.includes("kernels") ? productContests(gpu, peers, sides(gpu)) : [],
    ...chosen.includes("train") ? trainingContests(gpu, peers, subject) : [],
    ...chosen.includes("generate") ? decodingContests(gpu, peers, subject) : [],
  ];
  return await compareAll(gpu, contests, clockOf(gpu));
}

/** The other process's computing time is not known here. */
async function benchTorch(gpu: Gpu, torch: Torch, subject: Subject): Promise<Comparison[]> {
  return await compareAll(gpu, torchContests(gpu, torch, subject), wallClock);
}

async function compareAll(
  gpu: Gpu,
  contests: readonly Contest[],
  clock: Clock,
): Promise<Comparison[]> {
  const results: Comparison[] = [];
  for (const contest of contests) {
    progress(`${contest.work} beside ${contest.peer}`);
    try {
      if (tuningOf(gpu)) await rehearse(contest.ours);
      results.push(await compare(contest, clock));
    } catch (error) {
      // What else is measured is not to be lost.
      console.error(error);
      Deno.exitCode = 1;
    }
  }
  return results;
}

function clockOf({ isCpu }: Gpu): Clock {
  if (!isCpu) return wallClock;
  const cores = navigator.hardwareConcurrency;
  return { ...wallClock, cpu: () => computedMilliseconds() / cores };
}

const sides = ({ isCpu }: Gpu) => isCpu ? SIDES.cpu : SIDES.gpu;

function megabytes(text: string): number {
  const value = Number(text);
  if (value >= 20 && value <= 100_000) return value;
  throw new UserError(`--checkpoint is ${text}: give megabytes, from 20 on`);
}

function progress(what: string): void {
  console.error(`Measuring ${what} …`);
}

if (import.meta.main) await run(benchCommand());
