/** `deno task params`: the table of a model's parameters, from its configuration alone. */

import { Command } from "commander";
import { type ModelConfig, parseConfig, stackOf } from "../models/config.ts";
import { isTrainable } from "../models/inventory.ts";
import { type PartSize, partSizes } from "../models/parts.ts";
import { publicConfig } from "../models/sizes.ts";
import { miniatureTaskNames } from "../src/data/miniature/mixture.ts";
import { suggestion, UserError } from "../src/errors.ts";
import { parseJsonObject } from "../src/io/json.ts";
import { readBytes } from "../src/platform/files.ts";
import { modelFile, readModelConfig } from "../src/train/model-files.ts";
import { type Options, resolveSettings } from "../src/train/settings.ts";
import { run } from "./frame/command.ts";
import { withOpposites } from "./frame/config.ts";
import { idleFlags } from "./frame/idle.ts";
import { modelSource } from "./frame/places.ts";
import { table } from "./frame/table.ts";
import { trainCommand } from "./train.ts";

interface Flags extends Options {
  readonly config?: string;
  readonly json?: boolean;
}

/** What decides the parameters of a model before anything is said of its adapters. */
interface Shape {
  /** `config.json` as parsed. */
  readonly json: Readonly<Record<string, unknown>>;
  /** Where it is from, for messages. */
  readonly file: string;
}

/** The settings of a run that decide how many parameters there are, and how many are trained. */
const DECISIVE = [
  "tasks",
  "train",
  "encoderAdapter",
  "decoderAdapter",
  "encoderAdapterDim",
  "decoderAdapterDim",
  "hypernetworkBottleneck",
  "processEncoderOutput",
];

/** The command, ready to parse. */
export function paramsCommand(): Command {
  const command = new Command("deno task params")
    .description(
      "Count a model's parameters, and those that training changes. Reads no weights.\n" +
        "With no flags at all: the embedded model with its adapters.",
    )
    .option(
      "--model <name>",
      'a directory with config.json, a public T5 as "google/t5-v1_1-base", or "miniature" (default)',
    )
    .option(
      "--config <file>",
      "a model's config.json, a run's, or one of the reference implementation; flags win",
    );
  // The same flags, checked in the same way, as those of training.
  for (const option of trainCommand().options) {
    if (!option.negate && DECISIVE.includes(option.attributeName())) command.addOption(option);
  }
  return withOpposites(command.option("--json", "print the counts as JSON"))
    .action(printParameters);
}

async function printParameters(
  { config: file, json, ...said }: Flags,
  command: Command,
): Promise<void> {
  const read = file === undefined ? {} : await readConfig(file);
  if (read.shape && said.model !== undefined) {
    throw new UserError(`--model ${said.model} and --config ${file} are two models: leave one out`);
  }
  const options: Options = { ...read.options, ...said };
  const model = options.model ?? "miniature";
  const shape = read.shape ?? await readShape(model);
  const tasks = options.tasks ?? (model === "miniature" ? miniatureTaskNames : []);
  const { settings, config } = resolveSettings(options, shape.json, shape.file, tasks);
  for (const sentence of idleFlags(command, settings)) console.error(sentence);
  const parts = partSizes(config, (name) => isTrainable(settings.train, name));
  console.log(json ? formatJson(model, parts) : formatTable(model, config, parts));
}

/** What a file says of a run or of a model, whichever kind of configuration it is. */
async function readConfig(file: string): Promise<{ options?: Options; shape?: Shape }> {
  const json = parseJsonObject(await readBytes(file), file);
  if ("d_model" in json) return { options: { model: file }, shape: { json, file } };
  const command = trainCommand().action(() => {});
  await command.parseAsync(["--config", file], { from: "user" });
  const { config: _, ...options } = command.opts<Flags>();
  return { options };
}

/** The configuration of a model by its name. */
async function readShape(model: string): Promise<Shape> {
  const source = modelSource(model);
  if (await source.exists(modelFile.config)) {
    const file = `${model}/${modelFile.config}`;
    return { json: await readModelConfig(source), file };
  }
  const json = publicConfig(model);
  if (json) return { json, file: model };
  throw new UserError(
    `there is no ${modelFile.config} at ${model}${suggestion(model, ["miniature"])}: give a ` +
      `directory that has one, or a public T5 as google/t5-v1_1-base or google/flan-t5-large`,
  );
}

function sums(parts: readonly PartSize[]) {
  const total = parts.reduce((sum, part) => sum + part.total, 0);
  const trainable = parts.reduce((sum, part) => sum + part.trainable, 0);
  return { total, trainable };
}

function formatJson(model: string, parts: readonly PartSize[]): string {
  const { total, trainable } = sums(parts);
  return JSON.stringify({ model, parts, total, trainable, percent: 100 * trainable / total });
}

function formatTable(model: string, config: ModelConfig, parts: readonly PartSize[]): string {
  const all = sums(parts);
  const share = (count: number) => `${(100 * count / all.total).toFixed(2)} %`;
  const row = (name: string, { total, trainable }: { total: number; trainable: number }) => [
    name,
    grouped(total),
    share(total),
    grouped(trainable),
    share(trainable),
  ];
  const rows = [
    ...parts.map((part) => row(part.unused ? `${part.part}, unused` : part.part, part)),
    row("sum", all),
  ];
  return [
    `${model}: ${describe(config)}\n`,
    table(["part", "parameters", "of the sum", "trained", "of the sum"], rows),
    "",
    ...remarks(config, parts),
  ].join("\n");
}

/** What is adapted, and how. */
function describe(config: ModelConfig): string {
  const sides = (["encoder", "decoder"] as const).map((side) => {
    const { mode, adapterDim } = stackOf(config, side);
    if (mode === "none") return `no adapters in the ${side}`;
    return `${mode} adapters of ${adapterDim} in the ${side}`;
  });
  const modes = [config.encoderAdapter, config.decoderAdapter];
  const generates = modes.some((mode) => mode === "generated" || mode === "task");
  const bottleneck = generates ? [`hypernetworks of ${config.hypernetworkBottleneck}`] : [];
  return [...sides, ...bottleneck].join(", ");
}

/** How the figures are to be read. */
function remarks(config: ModelConfig, parts: readonly PartSize[]): string[] {
  const { total, trainable } = sums(parts);
  const unused = sums(parts.filter((part) => part.unused));
  const backbone = sums(
    parts.filter(({ part }) => ["embeddings", "encoder", "decoder", "LM head"].includes(part)),
  );
  const percent = (of: number) => `${(100 * trainable / of).toFixed(2)} %`;
  const [ofAll, ofBackbone, idle] = [
    percent(total),
    percent(backbone.total),
    grouped(unused.total),
  ];
  const lines: string[] = [];
  if (backbone.total < total) {
    lines.push(
      `Training changes ${ofAll} of the whole model, all that was added to the T5 included; beside ` +
        `the\nT5 alone it would be ${ofBackbone}.` +
        (isLarge(config) ? ' The paper counts its "roughly 3 %" in the first way.' : ""),
    );
  }
  if (unused.total > 0) {
    lines.push(
      `The ${idle} unused ones are learnt adapters that the reference keeps beside generated ones.\n` +
        `They count as trained where adapters are, though no gradient reaches them.`,
    );
  }
  const owners = config.tiedEmbeddings ? "encoder, decoder and LM head" : "encoder and decoder";
  lines.push(`The embeddings are those of ${owners}, and counted once.`);
  return lines;
}

/** Whether a model is of the size that the paper's figure is of: T5-large as of version 1.1. */
function isLarge(config: ModelConfig): boolean {
  const large = parseConfig(publicConfig("google/t5-v1_1-large")!, "t5-v1_1-large");
  return ([
    "modelDim",
    "headDim",
    "heads",
    "feedForwardDim",
    "encoderLayers",
    "decoderLayers",
  ] as const)
    .every((field) => config[field] === large[field]);
}

const grouped = (count: number): string => count.toLocaleString("en-US");

if (import.meta.main) await run(paramsCommand());
