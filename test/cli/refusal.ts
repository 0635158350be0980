/** How a command refuses its arguments. */

import { type Command, CommanderError } from "commander";
import { UserError } from "../../src/errors.ts";

/**
 * The one sentence with which a command refuses its arguments.
 *
 * @param args separated by blanks; @ stands for `directory`, in the sentence as well
 */
export async function refusal(command: Command, args: string, directory: string): Promise<string> {
  const words = args.split(" ").filter(Boolean).map((word) => word.replaceAll("@", directory));
  command.exitOverride().configureOutput({ outputError: () => {} });
  const error = await command.parseAsync(words, { from: "user" })
    .then(() => undefined, (error) => error);
  if (!(error instanceof UserError || error instanceof CommanderError)) throw error ?? "accepted";
  return error.message.replaceAll(directory, "@");
}
