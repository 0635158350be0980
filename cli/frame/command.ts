/**
 * The frame of every command: parses, runs, and turns whatever goes wrong into one message and an exit
 * code that scripts can rely on.
 *
 * 0: done. 2: the user can mend it (a wrong flag, file or value); one sentence on stderr. 70: a defect
 * of this project, with its stack. (`interrupt.ts` adds 130; a command may set `Deno.exitCode` to 1 for
 * a verdict, such as a check that failed.)
 */

import { type Command, CommanderError } from "commander";
import { UserError } from "../../src/errors.ts";
import { DeviceLostError, OutOfMemoryError } from "../../src/gpu/errors.ts";

/** Runs `command`, whose action has been set, on the arguments of this process. */
export async function run(command: Command): Promise<void> {
  globalThis.addEventListener("unhandledrejection", (event) => fail(event.reason));
  globalThis.addEventListener("error", (event) => fail(event.error));
  // Commander neither prints errors nor exits: both are done below, for all errors alike.
  command.exitOverride().configureOutput({ outputError: () => {} });
  try {
    await command.parseAsync(Deno.args, { from: "user" });
  } catch (error) {
    const helped = error instanceof CommanderError && error.exitCode === 0;
    if (!helped) fail(error);
  }
}

/** Errors that the user can do something about: other input, a smaller batch. */
const mendable = [UserError, OutOfMemoryError, DeviceLostError];

function fail(error: unknown): never {
  if (mendable.some((kind) => error instanceof kind)) {
    console.error(`error: ${(error as Error).message}`);
    Deno.exit(2);
  }
  if (error instanceof CommanderError) {
    console.error(oneSentence(error.message));
    Deno.exit(2);
  }
  console.error(error instanceof Error ? error.stack ?? error.message : error);
  console.error("\nThis is a bug in hyperdecoder: please report it with the lines above.");
  Deno.exit(70);
}

/** Commander's messages span two lines or sentences. */
function oneSentence(message: string): string {
  return message
    .replace("\n(Did you mean", " (did you mean")
    .replace(/ is invalid\. (.)/, (_, first: string) => ` is invalid: ${first.toLowerCase()}`);
}
