/**
 * Options from a JSON file beneath those from flags, held to the same rules.
 *
 * A value is checked by one parser whichever way it comes, so that a file cannot say what a flag could
 * not. Flags win over the file, the file over defaults. Keys are the flags' names in camel case.
 */

import { type Command, InvalidArgumentError, Option } from "commander";
import { suggestion, UserError } from "../../src/errors.ts";
import { isJsonObject, parseJson } from "../../src/io/json.ts";
import { readText } from "../../src/platform/files.ts";

/** Reads an option's value from its text, and says which JSON values stand for it. */
export interface Parser<T> {
  (text: string, previous?: T): T;
  readonly json: "number" | "list" | "number-or-text";
  /** Reads the value from JSON, where it may be more than a flag can say. */
  readonly fromJson?: (value: unknown) => T;
}

/** Numbers that `accepts` lets through; `expected` completes "it must be …". */
export function numeric(expected: string, accepts: (value: number) => boolean): Parser<number> {
  const parse = (text: string): number => {
    // Number() alone would read "" as 0 and "0x10" as 16.
    const isDecimal = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text);
    const value = Number(text);
    if (!isDecimal || !accepts(value)) throw new InvalidArgumentError(`it must be ${expected}`);
    return value;
  };
  return Object.assign(parse, { json: "number" as const });
}

/** 1, 2, 3, … */
export const positiveInteger = numeric(
  "a whole number of at least 1",
  (value) => Number.isSafeInteger(value) && value >= 1,
);

/** 0, 1, 2, … */
export const wholeNumber = numeric(
  "a whole number of at least 0",
  (value) => Number.isSafeInteger(value) && value >= 0,
);

/** A finite number above zero. */
export const positiveNumber = numeric(
  "a number above 0",
  (value) => Number.isFinite(value) && value > 0,
);

/** A probability that leaves something: from 0 up to, not including, 1. */
export const fraction = numeric(
  "a number from 0 up to, not including, 1",
  (value) => value >= 0 && value < 1,
);

/** Names separated by commas; in JSON a list of strings does as well. */
export const list: Parser<string[]> = Object.assign((text: string): string[] => {
  const names = text.split(",").map((name) => name.trim());
  if (names.includes("")) throw new InvalidArgumentError("it must be names separated by commas");
  return names;
}, { json: "list" as const });

/**
 * An option with a value, whatever its name.
 *
 * Commander takes every `--no-…` for the opposite of a flag, and keeps its value under the name without
 * "no"; an option that has a value is no such opposite.
 */
export function valued<T>(flags: string, description: string, parse: (text: string) => T): Option {
  const option = new Option(flags, description).argParser(parse);
  option.negate = false;
  return option;
}

/**
 * Reads a parsed file that may be in another style than our own.
 *
 * @param values what the file holds
 * @param file its name, for errors
 * @param names those of our own options
 * @returns the same in our own style
 */
export type Translate = (values: object, file: string, names: readonly string[]) => object;

/**
 * Gives `command`, which has all other options, `--config FILE`, which is read before its action runs. What
 * the file switches on, `--no-…` switches off.
 */
export function withConfig(command: Command, translate?: Translate): Command {
  return withOpposites(command)
    .option(
      "--config <file>",
      "JSON file of options, by their names in camel case" +
        (translate ? ", or of the reference's" : "") + "; flags win",
    )
    .hook("preAction", async () => {
      const { config } = command.opts<{ config?: string }>();
      if (config === undefined) return;
      const values = parseOptions(await readText(config), config);
      const names = command.options.map((option) => option.attributeName());
      apply(command, translate ? translate(values, config, names) : values, config);
    });
}

/**
 * Gives every flag of `command` that needs no value its opposite, `--no-…`, unless it has one. The help
 * shows the two as one, `--[no-]…`.
 */
export function withOpposites(command: Command): Command {
  const named = new Map(command.options.map((option) => [option.long, option]));
  const paired = new Set<string>();
  for (const option of command.options.filter(({ required, negate }) => !required && !negate)) {
    const name = option.long!.replace("--", "--no-");
    if (named.has(name)) continue;
    command.addOption(new Option(name).hideHelp());
    paired.add(option.flags);
  }
  return command.configureHelp({
    optionTerm: ({ flags }) => paired.has(flags) ? flags.replace("--", "--[no-]") : flags,
  });
}

function parseOptions(text: string, file: string): object {
  const value = parseJson(text, file);
  if (isJsonObject(value)) return value;
  throw new UserError(`${file} must hold one JSON object of options, as {"steps": 1000}`);
}

function apply(command: Command, values: object, file: string): void {
  // Of a flag and its opposite, which share a name, the flag counts.
  const options = new Map(
    command.options
      .filter((option) => option.attributeName() !== "config")
      .toSorted((a, b) => Number(b.negate) - Number(a.negate))
      .map((option) => [option.attributeName(), option]),
  );
  // Everything is read before anything is set, so that flags cannot hide a mistake in the file.
  const read = Object.entries(values).map(([key, value]) => {
    const option = options.get(key);
    if (option === undefined) {
      throw new UserError(`${file}: "${key}" is not an option${suggestion(key, options.keys())}`);
    }
    return [
      key,
      fromJson(option, value, (expected) => {
        throw new UserError(`${file}: "${key}" is ${JSON.stringify(value)}, but ${expected}`);
      }),
    ] as const;
  });
  for (const [key, value] of read) {
    if (command.getOptionValueSource(key) === "cli") continue;
    command.setOptionValueWithSource(key, value, "config");
  }
}

function fromJson(option: Option, value: unknown, refuse: (expected: string) => never): unknown {
  if (option.isBoolean() || option.negate) {
    return typeof value === "boolean" ? value : refuse("it must be true or false");
  }
  if (option.optional && typeof value === "boolean") return value;

  const parser = option.parseArg as Partial<Parser<unknown>> | undefined;
  if (parser?.fromJson) return parser.fromJson(value);
  const text = textOf(value, parser?.json, refuse);
  if (option.argChoices?.includes(text) === false) {
    return refuse(`it must be one of ${option.argChoices.join(", ")}`);
  }
  if (option.parseArg === undefined) return text;
  try {
    return option.parseArg(text, undefined);
  } catch (error) {
    if (error instanceof InvalidArgumentError) return refuse(error.message);
    throw error;
  }
}

/** What the flag's text would be for a JSON value of the right kind. */
function textOf(
  value: unknown,
  kind: Parser<unknown>["json"] | undefined,
  refuse: (expected: string) => never,
): string {
  if (kind === "number") {
    return typeof value === "number" ? String(value) : refuse("it must be a number");
  }
  if (typeof value === "string") return value;
  if (kind === "number-or-text") {
    return typeof value === "number" ? String(value) : refuse("it must be a number or a string");
  }
  if (kind === undefined) return refuse("it must be a string");
  const isList = Array.isArray(value) && value.every((name) => typeof name === "string");
  return isList ? value.join(",") : refuse("it must be a list of strings");
}
