/** How a flag is tried: beside the same command without it, something must be different. */

import type { Command } from "commander";
import * as assert from "uvu/assert";
import { type Observation, observe } from "./observe.ts";

/** How a flag is seen to do something. */
export type Trial =
  | {
    /** The flag as it is given, with its value. */
    readonly args: string;
    /** What both commands are told besides; "" unless told. */
    readonly beside?: string;
    /** All that both are told, in place of the table's `base`. */
    readonly base?: string;
    /** Where it shows: in what is printed and written (unless told), in what is asked of the device, or in a refusal. */
    readonly seen?: "text" | "work" | "refusal";
    /** What is printed and written with the flag, and not without. */
    readonly matches?: RegExp;
  }
  /** Nothing tries it, for this reason. */
  | { readonly unseen: string }
  /** Another test file tries it, since that takes a process or minutes of its own. */
  | { readonly elsewhere: string };

/** The trials of a command. */
export interface Trials {
  /** The command, as new. */
  readonly command: () => Command;
  /** What it is always told. */
  readonly base: string;
  /** For each flag that its help names. */
  readonly trials: Readonly<Record<string, Trial>>;
}

const TESTS = new URL("../../", import.meta.url);

/** The flags of a command by their names; the opposites of others, which the help does not list, are not among them. */
export function flagsOf(command: Command): string[] {
  return command.options.filter(({ hidden }) => !hidden).map(({ long }) => long!);
}

/** Checks that a table has a trial for each flag of its command, and for no other. */
export function checkTable(name: string, { command, trials }: Trials): void {
  const flags = flagsOf(command());
  const missing = flags.filter((flag) => !(flag in trials));
  assert.is(
    missing.length,
    0,
    `deno task ${name} has flags of which no test sees that they do anything: ${
      missing.join(", ")
    }. ` +
      `Say in its table in test/cli/flags/ how each is to be tried.`,
  );
  const left = Object.keys(trials).filter((flag) => !flags.includes(flag));
  assert.is(
    left.length,
    0,
    `deno task ${name} has no longer what its table tries: ${left.join(", ")}`,
  );
}

/** Checks that every flag's value is kept under the flag's own name: commander takes `--no-…` for an opposite. */
export function checkNames(name: string, { command }: Trials): void {
  for (const option of command().options) {
    const isOpposite = option.negate && !option.required && !option.optional;
    const own = option.long!.slice(isOpposite ? "--no-".length : "--".length);
    assert.is(
      option.attributeName(),
      own.replace(/-(\w)/g, (_, letter: string) => letter.toUpperCase()),
      `deno task ${name} ${option.long}`,
    );
  }
}

/** Runs a command with and without a flag; what was seen without it is kept for others in `known`. */
export async function checkTrial(
  { command, base: usual }: Trials,
  flag: string,
  trial: Trial,
  directory: string,
  known: Map<string, Observation>,
): Promise<void> {
  if ("elsewhere" in trial) {
    const text = await Deno.readTextFile(new URL(trial.elsewhere, TESTS));
    assert.ok(text.includes(flag), `test/${trial.elsewhere} says nothing of ${flag}`);
    return;
  }
  if ("unseen" in trial) return;
  const { args, beside = "", base = usual, seen = "text", matches } = trial;
  assert.ok(args.split(/[ =]/, 1)[0] === flag, `${args} is no trial of ${flag}`);
  const without = `${base} ${beside}`.trim();
  const before = known.get(without) ?? await observe(command(), without, directory);
  known.set(without, before);
  const after = await observe(command(), `${without} ${args}`, directory);
  if (seen === "refusal") {
    assert.ok(after.refusal !== undefined, `${args} is accepted`);
  } else {
    assert.is(after.refusal, undefined, `${without} ${args}`);
  }
  if (matches) {
    assert.match(after.text, matches);
    assert.not.match(before.text, matches);
  }
  const key = seen === "work" ? "work" : "text";
  assert.is.not(after[key], before[key], `${args} changes nothing beside ${without}`);
}
