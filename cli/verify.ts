/**
 * `deno task verify`: checks this build on this machine's adapter against the reference implementation.
 *
 * Exits with 0 if every quantity is within its tolerance, with 1 if one is not or a directory cannot be
 * checked, with 2 if a directory is not a sound fixture.
 */

import { Command } from "commander";
import { UserError } from "../src/errors.ts";
import { type Acquire, acquireGpu, announce } from "../src/platform/adapter.ts";
import { exists, listDirectory, readBytes } from "../src/platform/files.ts";
import type { Check } from "../src/verify/comparison.ts";
import { vectorFiles, verifyVectors } from "../src/verify/vectors.ts";
import { type Report, verifyDirectory } from "../src/verify/verify.ts";
import { run } from "./frame/command.ts";
import { projectPath } from "./frame/project.ts";
import { table } from "./frame/table.ts";

/** The fixtures that come with the project. */
const SHIPPED = projectPath("test/fixtures/golden");

interface Flags {
  readonly json?: boolean;
}

/** Sentences printed of one quantity that missed. */
const NOTES_SHOWN = 5;

/**
 * The command, ready to parse.
 *
 * @param acquire opens the device that it computes on
 */
export function verifyCommand(acquire: Acquire = acquireGpu): Command {
  return new Command("deno task verify")
    .description(
      "Checks that this machine's GPU computes what the reference implementation does: hidden states,\n" +
        "generated parameters, losses, gradients, training and generation; optimisers, schedules, metrics.",
    )
    .argument(
      "[directories...]",
      "fixture directories, or directories of them (default: those shipped)",
    )
    .option("--json", "print one JSON object instead of tables")
    .action((directories: string[], flags: Flags) => verifyAll(directories, flags, acquire));
}

async function verifyAll(
  directories: readonly string[],
  { json = false }: Flags,
  acquire: Acquire,
): Promise<void> {
  const roots = directories.length > 0 ? directories : [SHIPPED];
  const subjects = (await Promise.all(roots.map(subjectsIn))).flat();
  const gpu = await acquire();
  announce(gpu);
  const reports: Report[] = [];
  for (const { location, verify } of subjects) {
    const report = await verify(gpu, {
      location,
      read: (path) => readBytes(`${location}/${path}`),
      exists: (path) => exists(`${location}/${path}`),
    });
    reports.push(report);
    if (!json) console.log(`${format(report)}\n`);
  }
  const passed = reports.every((report) => report.passed);
  const result = { adapter: gpu.adapterName, passed, reports };
  console.log(json ? JSON.stringify(result, spellNonFinite, 2) : summary(reports));
  gpu.destroy();
  Deno.exitCode = passed ? 0 : 1;
}

/** A directory and how to check it. */
interface Subject {
  readonly location: string;
  readonly verify: typeof verifyDirectory;
}

/** A fixture directory stands for itself, any other for those in it and for vectors beside them. */
async function subjectsIn(root: string): Promise<Subject[]> {
  const directory = root.replace(/(?<=.)\/+$/, "");
  const holds = (path: string) => exists(`${directory}/${path}`);
  if (await holds("meta.json")) return [{ location: directory, verify: verifyDirectory }];
  const names = await listDirectory(directory);
  const inside: Subject[] = [];
  for (const name of names) {
    if (!await holds(`${name}/meta.json`)) continue;
    inside.push({ location: `${directory}/${name}`, verify: verifyDirectory });
  }
  if (vectorFiles.some((file) => names.includes(file))) {
    inside.push({ location: directory, verify: verifyVectors });
  }
  if (inside.length > 0) return inside;
  throw new UserError(
    `${directory} is no fixture directory: neither it nor a directory in it holds a meta.json.`,
  );
}

function format({ directory, obstacle, checks }: Report): string {
  const lines = [directory];
  if (checks.length > 0) {
    const head = ["quantity", "values", "worst error", "tolerance", "verdict"];
    lines.push(table(head, checks.map(row)));
  }
  lines.push(...checks.flatMap(remarks));
  if (obstacle) lines.push(`Not checked, and so not passed: ${obstacle}`);
  return lines.join("\n");
}

function row({ quantity, verdict, values, worstError, tolerance, unit, notes }: Check) {
  if (worstError === undefined) return [quantity, "–", "–", "–", `${verdict}: ${notes[0]}`];
  const limit = tolerance === 0 ? unit! : `${short(tolerance!)} ${unit}`;
  return [quantity, values, short(worstError), limit, verdict];
}

/** Where a quantity missed. */
function remarks({ quantity, verdict, notes }: Check): string[] {
  if (verdict !== "miss") return [];
  const more = notes.length - NOTES_SHOWN;
  return [
    ...notes.slice(0, NOTES_SHOWN).map((note) => `miss: ${quantity}: ${note}`),
    ...more > 0 ? [`miss: ${quantity}: ${more} more, which --json lists`] : [],
  ];
}

function short(value: number): string {
  return value === 0 ? "0" : value.toExponential(1).replace(".0e", "e");
}

/** JSON has no infinity; the fixtures themselves write it as a string. */
function spellNonFinite(_: string, value: unknown): unknown {
  return typeof value === "number" && !Number.isFinite(value) ? String(value) : value;
}

function summary(reports: readonly Report[]): string {
  const count = (verdict: Check["verdict"]) =>
    reports.flatMap(({ checks }) => checks).filter((check) => check.verdict === verdict).length;
  const failed = reports.filter(({ passed }) => !passed).map(({ directory }) => directory);
  const figures = `${count("pass")} quantities pass, ${count("miss")} miss, ` +
    `${count("not checked")} not checked`;
  return failed.length === 0
    ? `${figures}: this adapter computes what the reference does.`
    : `${figures}. Not passed: ${failed.join(", ")}.`;
}

if (import.meta.main) await run(verifyCommand());
