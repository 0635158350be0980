/** The inputs that adapters are to be made of, as the command line gives them. */

import { type ModelConfig, needsTasks, taskIndices } from "../../models/config.ts";
import type { Example } from "../../src/data/types.ts";
import { UserError } from "../../src/errors.ts";
import { isJsonObject } from "../../src/io/json.ts";
import { exists, readText } from "../../src/platform/files.ts";

/** An input with the name of its adapters. */
export interface Instance extends Example {
  readonly name: string;
}

/**
 * The inputs, each once and in order.
 *
 * @param inputs texts, and files of them: `.jsonl` with a "source" and maybe a "task" in each line, or any
 * other with a text in each line. `true` stands for none, which does where the text decides nothing: then
 * there is one instance for each task, or a single one
 * @param task of those that name none
 * @throws {UserError} if a file cannot be read, or a task is missing or unknown
 */
export async function readInstances(
  inputs: readonly string[] | true,
  task: string | undefined,
  config: ModelConfig,
): Promise<Instance[]> {
  const examples = inputs === true ? withoutText(task, config) : await read(inputs, task ?? "");
  if (examples.length === 0) throw new UserError("there is no text in what --adapters-of names");
  if (!needsTasks(config)) return examples;
  if (examples.some(({ task }) => task === "")) {
    throw new UserError(
      `the model's adapters depend on the task: say with --task which of ${
        config.tasks.join(", ")
      } it is`,
    );
  }
  taskIndices(config, examples.map(({ task }) => task)); // throws for an unknown one
  return examples;
}

function withoutText(task: string | undefined, config: ModelConfig): Instance[] {
  if (config.encoderAdapter === "generated" || config.decoderAdapter === "generated") {
    throw new UserError(
      'the model makes its adapters from the text: give some, as in --adapters-of "…", or files',
    );
  }
  const tasks = needsTasks(config) ? task === undefined ? config.tasks : [task] : [];
  const instance = (name: string, task: string) => ({ name, task, source: "", target: "" });
  return tasks.length > 0
    ? tasks.map((task) => instance(task.replaceAll(".", "_"), task))
    : [instance("manual", "")];
}

async function read(inputs: readonly string[], task: string): Promise<Instance[]> {
  const read: { source: string; task: string }[] = [];
  for (const input of inputs) {
    if (!await exists(input)) read.push({ source: input, task });
    else read.push(...await readLines(input, task));
  }
  const digits = Math.max(3, String(read.length).length);
  return read.map((example, i) => ({
    ...example,
    target: "",
    name: `instance-${String(i + 1).padStart(digits, "0")}`,
  }));
}

async function readLines(file: string, task: string): Promise<{ source: string; task: string }[]> {
  const lines = (await readText(file)).split(/\r?\n/);
  const read = lines.map((line, i) =>
    file.endsWith(".jsonl") && line.trim() !== ""
      ? readJson(line, task, `${file}:${i + 1}`)
      : { source: line, task }
  );
  return read.filter(({ source }) => source.trim() !== "");
}

function readJson(line: string, task: string, where: string): { source: string; task: string } {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    // Reported below.
  }
  if (!isJsonObject(value) || typeof value.source !== "string") {
    throw new UserError(`${where}: expected an object with a text as "source"`);
  }
  return { source: value.source, task: typeof value.task === "string" ? value.task : task };
}
