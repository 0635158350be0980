/** What a command does, as far as anybody can tell: what it prints and writes, and how much it has a device do. */

import { type Command, CommanderError } from "commander";
import process from "node:process";
import { UserError } from "../../../src/errors.ts";
import type { Gpu } from "../../../src/gpu/device.ts";
import { testDevice } from "../../graph/device.ts";

/** What was seen of one run of a command. */
export interface Observation {
  /** What it printed, its exit code, and what it wrote, but for a run's settings. */
  readonly text: string;
  /** The settings that a run recorded. */
  readonly settings: string;
  /** What it asked of the device: buffers and their bytes, submits, dispatches, readings. */
  readonly work: string;
  /** The sentence with which it refused its arguments. */
  readonly refusal?: string;
}

const counts = { buffers: 0, bytes: 0, submits: 0, dispatches: 0, readings: 0 };
let counted: Promise<Gpu> | undefined;

/** The test device, whose work is counted, and which no command gives back. */
export function countedDevice(): Promise<Gpu> {
  return counted ??= testDevice().then((gpu) => {
    const { device } = gpu;
    const encoder = device.createCommandEncoder();
    const pass = encoder.beginComputePass();
    pass.end();
    const buffer = device.createBuffer({ size: 4, usage: 8 });
    count(device, "createBuffer", ({ size }) => {
      counts.buffers++;
      counts.bytes += size;
    });
    count(device.queue, "submit", () => counts.submits++);
    count(pass, "dispatchWorkgroups", () => counts.dispatches++);
    count(pass, "dispatchWorkgroupsIndirect", () => counts.dispatches++);
    count(buffer, "mapAsync", () => counts.readings++);
    gpu.destroy = () => {};
    return gpu;
  });
}

/** Calls `see` at each call of a method, on whichever object of that kind. */
function count<T extends object, K extends keyof T>(
  object: T,
  method: K,
  // deno-lint-ignore no-explicit-any -- what WebGPU's methods are given is WebGPU's to say.
  see: (argument: any) => void,
): void {
  const prototype = Object.getPrototypeOf(object);
  const original = prototype[method];
  prototype[method] = function (this: T, ...args: unknown[]) {
    see(args[0]);
    return original.apply(this, args);
  };
}

/**
 * Runs a command in this process.
 *
 * @param args separated by blanks, which "…" keeps together; @ stands for `directory`, @/out for a place that is
 * empty before
 */
export async function observe(
  command: Command,
  args: string,
  directory: string,
): Promise<Observation> {
  await Deno.remove(`${directory}/out`, { recursive: true }).catch(() => {});
  await Deno.mkdir(`${directory}/out`);
  const words = (args.match(/"[^"]*"|\S+/g) ?? [])
    .map((word) => word.replaceAll('"', "").replaceAll("@", directory));
  const printed: string[] = [];
  const { log, error } = console;
  const write = process.stdout.write;
  const before = { ...counts };
  let refusal: string | undefined;
  console.log = console.error = (line: unknown) => printed.push(String(line));
  process.stdout.write = (text: string | Uint8Array) => printed.push(String(text)) > 0;
  try {
    command.exitOverride().configureOutput({ outputError: () => {} });
    await command.parseAsync(words, { from: "user" });
  } catch (failure) {
    if (!(failure instanceof UserError || failure instanceof CommanderError)) throw failure;
    refusal = failure.message.replaceAll(directory, "@");
  } finally {
    Object.assign(console, { log, error });
    process.stdout.write = write;
  }
  printed.push(`exit code ${Deno.exitCode}`, refusal ?? "");
  Deno.exitCode = 0;
  const files = await contents(`${directory}/out`);
  const work = (Object.keys(counts) as (keyof typeof counts)[])
    .map((key) => `${counts[key] - before[key]} ${key}`);
  return {
    text: withoutTimes([...printed, ...files.filter((file) => !file.startsWith("/config.json"))])
      .replaceAll(directory, "@"),
    settings: files.find((file) => file.startsWith("/config.json")) ?? "",
    work: work.join(", "),
    ...refusal !== undefined && { refusal },
  };
}

function withoutTimes(lines: readonly string[]): string {
  return lines.join("\n")
    .replace(/"(tokensPerSecond|seconds)":[\d.]+/g, '"$1":0')
    .replace(/ (in|took) [\d.]+ ?(s|min)\b/g, " $1 0 s");
}

/** The files below a directory, each as its path and its text or, if it is none, its digest. */
async function contents(root: string, path = ""): Promise<string[]> {
  const found: string[] = [];
  const entries = await Array.fromAsync(Deno.readDir(root + path)).catch(() => []);
  for (const { name, isDirectory } of entries.sort((a, b) => a.name < b.name ? -1 : 1)) {
    const inside = `${path}/${name}`;
    if (isDirectory) found.push(...await contents(root, inside));
    else found.push(`${inside} ${await described(root + inside)}`);
  }
  return found;
}

async function described(file: string): Promise<string> {
  const bytes = await Deno.readFile(file);
  if (/\.(jsonl?|md|txt)$/.test(file)) return new TextDecoder().decode(bytes);
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)).toHex();
}
