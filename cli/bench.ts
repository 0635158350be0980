/** `deno task bench`: how fast this build is on this machine's adapter. */

import { Argument, Command } from "commander";
import { dirname } from "node:path";
import { type ModelConfig, parseConfig } from "../models/config.ts";
import embedded from "../models/miniature/config.json" with { type: "json" };
import { squareProducts, trainingKernels } from "../src/bench/cases.ts";
import { measureCeilings } from "../src/bench/ceilings.ts";
import { measureGeneration } from "../src/bench/generation.ts";
import { compareProducts, type Jax, usualTurns } from "../src/bench/jax.ts";
import { measureKernels } from "../src/bench/kernels.ts";
import { usualEffort } from "../src/bench/measure.ts";
import { measureTraining } from "../src/bench/training.ts";
import { UserError } from "../src/errors.ts";
import { describe, type Gpu } from "../src/gpu/device.ts";
import { acquireGpu, announce } from "../src/platform/adapter.ts";
import { exists, writeAtomic } from "../src/platform/files.ts";
import { packageDirectory } from "../src/platform/npm.ts";
import { benchMarkdown, type BenchReport, benchText } from "./frame/bench-report.ts";
import { run } from "./frame/command.ts";

const SECTIONS = ["kernels", "train", "generate"];

/** Not in deno.json: only a comparison downloads it. */
const JAX = "npm:@jax-js/jax@0.1.25";

/** A batch of the size that the embedded model is trained with. */
const BATCH = { batchSize: 32, sourceLength: 64, targetLength: 16 };

/** Sides of the square products: sizes that other frameworks publish. */
const SIDES = [512, 1024];

interface Flags {
  readonly peers?: true;
  readonly json?: true;
  readonly out?: string;
}

/** The command, ready to parse. */
export function benchCommand(): Command {
  return new Command("deno task bench")
    .description(
      "Measure kernels, a training step and decoding of the embedded model on this adapter.",
    )
    .addArgument(new Argument("[sections...]", "what to measure (default: all)").choices(SECTIONS))
    .option("--peers", "compare matrix products with jax-js, which is downloaded")
    .option("--json", "print one JSON object instead of tables")
    .option("--out <file>", "write the tables to a Markdown file as well")
    .action(bench);
}

async function bench(sections: readonly string[], { peers, json, out }: Flags): Promise<void> {
  // What can go wrong goes wrong before minutes are spent on measuring.
  if (out !== undefined && !await exists(dirname(out))) {
    throw new UserError(`cannot write ${out}: there is no directory ${dirname(out)}`);
  }
  const jax = peers && await loadJax();
  const gpu = await acquireGpu();
  announce(gpu);
  const config = parseConfig(embedded, "models/miniature/config.json");
  const chosen = sections.length > 0 ? sections : SECTIONS;
  const report: BenchReport = {
    adapter: describe(gpu),
    runtime: `Deno ${Deno.version.deno} on ${Deno.build.target}`,
    ...chosen.includes("kernels") && { kernels: await benchKernels(gpu, config) },
    ...chosen.includes("train") && { train: await benchTraining(gpu, config) },
    ...chosen.includes("generate") && { generate: await benchGeneration(gpu, config) },
    ...jax && { peers: await benchPeers(gpu, jax) },
  };
  gpu.destroy();
  if (out !== undefined) await writeAtomic(out, benchMarkdown(report));
  console.log(json ? JSON.stringify(report, null, 2) : benchText(report));
}

async function benchKernels(gpu: Gpu, config: ModelConfig) {
  progress("kernels");
  const ceilings = await measureCeilings(gpu, usualEffort);
  const cases = [...squareProducts(SIDES), ...trainingKernels(config, BATCH)];
  return { ceilings, cases: await measureKernels(gpu, ceilings, cases, usualEffort) };
}

async function benchTraining(gpu: Gpu, config: ModelConfig) {
  progress("a training step");
  return await measureTraining(gpu, config, BATCH, usualEffort);
}

async function benchGeneration(gpu: Gpu, config: ModelConfig) {
  progress("decoding");
  const one = await measureGeneration(gpu, config, { ...BATCH, batchSize: 1 }, usualEffort);
  return [one, await measureGeneration(gpu, config, BATCH, usualEffort)];
}

async function benchPeers(gpu: Gpu, jax: Jax) {
  progress("jax-js");
  return [await compareProducts(gpu, jax, usualTurns)];
}

function progress(what: string): void {
  console.error(`Measuring ${what} …`);
}

/** @throws {UserError} if the package is not here and cannot be fetched */
async function loadJax(): Promise<Jax> {
  let directory: string;
  try {
    directory = await packageDirectory(JAX);
  } catch (error) {
    throw new UserError(`--peers needs jax-js: ${(error as Error).message}`);
  }
  return await import(`file://${directory}/dist/index.js`);
}

if (import.meta.main) await run(benchCommand());
