/** Whose rules a model's beams go by, and what its files have to say. */

import { suite } from "uvu";
import * as assert from "uvu/assert";
import { UserError } from "../../src/errors.ts";
import { waysOf } from "../../src/train/model-generation.ts";
import { tinyConfig } from "./tiny-model.ts";

const test = suite("how a model answers");

function ways(
  fields: Record<string, unknown>,
  generation?: unknown,
  given: Parameters<typeof waysOf>[1] = {},
  rule?: Parameters<typeof waysOf>[2],
) {
  const config = { ...tinyConfig, ...fields };
  const text = typeof generation === "string" ? generation : JSON.stringify(generation);
  const files = {
    location: "model",
    config,
    ...generation !== undefined && { generationConfig: new TextEncoder().encode(text) },
  };
  return waysOf(files, given, rule);
}

test("the reference's models go by its rules, others by those of today, all by a flag or as a run was told", () => {
  const rule = (...args: Parameters<typeof ways>) => ways(...args).given.beamRule;
  assert.is(rule({}), "transformers");
  assert.is(rule({ architectures: ["T5ForConditionalGeneration"] }), "transformers");
  assert.is(rule({ architectures: ["T5ForConditionalGenerationWithAdapter"] }), "reference");
  assert.is(rule({ architectures: ["HyperdecoderForConditionalGeneration"] }), "transformers");
  const theirs = { architectures: ["T5ForConditionalGenerationWithAdapter"] };
  assert.is(rule(theirs, {}, {}, "transformers"), "transformers");
  assert.is(rule(theirs, {}, { beamRule: "transformers" }, "reference"), "transformers");
  assert.is(rule({}, {}, {}, "reference"), "reference");
  assert.is(rule(theirs, { early_stopping: "never" }), "transformers");
});

test("generation_config.json is read, in its place config.json, and named", () => {
  assert.equal(ways({ num_beams: 2 }, { num_beams: 3 }).defaults?.options, { beams: 3 });
  assert.equal(ways({ num_beams: 2 }).defaults?.options, { beams: 2 });
  assert.is(ways({ num_beams: 2 }).defaults?.file, "model/config.json");
  const refused = (generation: unknown, message: RegExp) =>
    assert.throws(
      () => ways({}, generation),
      (error: Error) => error instanceof UserError && message.test(error.message),
    );
  refused("[]", /^model\/generation_config.json must hold a JSON object$/);
  refused({ num_beams: "4" }, /^model\/generation_config.json: "num_beams" is "4"/);
});

test.run();
