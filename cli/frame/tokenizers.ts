/** The flags that say which tokenizer a model has, and how its files are read. */

import { type Command, Option } from "commander";
import { TOKENIZER_RULES, type TokenizerRule } from "../../src/text/tokenizer-files.ts";
import type { TokenizerChoice } from "../../src/train/tokenizer-source.ts";
import { findTokenizer } from "./places.ts";

/** What the flags say. */
export interface TokenizerFlags {
  /** A directory, a hub id or `miniature`, if the tokenizer is not the model's own. */
  readonly tokenizer?: string | undefined;
  /** How its files are read, if not as they call for. */
  readonly tokenizerRule?: TokenizerRule | undefined;
}

/** Gives `command` the flags. */
export function withTokenizer(command: Command): Command {
  return command
    .option(
      "--tokenizer <name>",
      "a directory or hub id with the tokenizer, if it is not beside the model's weights",
    )
    .addOption(
      new Option(
        "--tokenizer-rule <rule>",
        "how blanks and sentinels are read: as in transformers 5, or as the tokenizer's file says " +
          "(default: whichever its users see; docs/models.md)",
      ).choices([...TOKENIZER_RULES]),
    );
}

/** The tokenizer that the flags mean. @throws {UserError} if there is none of that name */
export async function tokenizerChoice(
  { tokenizer, tokenizerRule: rule }: TokenizerFlags,
): Promise<TokenizerChoice> {
  return {
    ...(tokenizer !== undefined && { source: await findTokenizer(tokenizer) }),
    ...(rule !== undefined && { rule }),
  };
}
