import { Command } from "commander";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import {
  type GenerationFlags,
  generationOptions,
  withGeneration,
} from "../../../cli/frame/generation.ts";

const test = suite("frame/generation");

/** What generation is told by some flags, with 64 ids at most unless they say otherwise. */
function parsed(...args: string[]) {
  const command = withGeneration(new Command()).exitOverride();
  return generationOptions(command.parse(args, { from: "user" }).opts<GenerationFlags>(), 64);
}

test("an option whose name begins with no keeps its name and its value", () => {
  assert.is(parsed("--no-repeat-ngram", "3").noRepeatNgram, 3);
  assert.is(parsed("--no-repeat-ngram=0").noRepeatNgram, 0);
  assert.is(parsed().noRepeatNgram, undefined);
});

test.run();
