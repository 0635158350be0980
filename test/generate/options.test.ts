import { suite } from "uvu";
import * as assert from "uvu/assert";
import { UserError } from "../../src/errors.ts";
import { type GenerationOptions, resolveOptions } from "../../src/generate/options.ts";

const test = suite("generation options");

test("what is not given is filled in", () => {
  assert.equal(resolveOptions({ maxLength: 9 }), {
    maxLength: 9,
    minLength: 0,
    outputs: 1,
    rules: {},
    strategy: { kind: "greedy" },
  });
  assert.equal(resolveOptions({ maxLength: 9, beams: 3 }).strategy, {
    kind: "beams",
    beams: 3,
    lengthPenalty: 1,
    earlyStopping: false,
    rule: "transformers",
    renormalize: false,
  });
  assert.equal(resolveOptions({ maxLength: 9, sampling: { topK: 5 }, outputs: 7 }).strategy, {
    kind: "sampling",
    temperature: 1,
    topK: 5,
    topP: 1,
  });
});

test("rules without an effect are left out, so that programs can be shared", () => {
  const without = { noRepeatNgram: 0, repetitionPenalty: 1, badWords: [], suppressTokens: [] };
  assert.equal(resolveOptions({ maxLength: 9, ...without, removeInvalid: false }).rules, {});
  const { rules } = resolveOptions({ maxLength: 9, repetitionPenalty: 1.2, forcedEos: [1, 1] });
  assert.equal(rules, { repetitionPenalty: 1.2, forcedEos: [1] });
});

test("programs are not compiled anew for a seed", () => {
  const of = (seed: number) => resolveOptions({ maxLength: 9, sampling: { seed } });
  assert.equal(of(1), of(2 ** 40));
});

const refused: [options: Partial<GenerationOptions>, message: RegExp][] = [
  [{ maxLength: 1 }, /^maxLength is 1: it counts the start token, so it must be .* from 2 on$/],
  [{ maxLength: 2.5 }, /^maxLength is 2\.5/],
  [{ minLength: 11 }, /^minLength 11 is more than maxLength 10$/],
  [{ minLength: -1 }, /^minLength is -1/],
  [{ noRepeatNgram: NaN }, /^noRepeatNgram is NaN: it must be a whole number from 0 on$/],
  [{ beams: 0 }, /^beams is 0/],
  [{ beams: 1001 }, /^beams is 1001: 1000 is the most$/],
  [{ repetitionPenalty: 0 }, /^repetitionPenalty is 0: it must be a number above 0$/],
  [{ badWords: [[3], []] }, /^badWords has an empty sequence/],
  [{ suppressTokens: [2.5] }, /^suppressTokens is 2\.5: it names tokens by their ids/],
  [{ endIds: [] }, /^endIds is empty/],
  [{ forcedBos: 4, suppressTokens: [4] }, /^the token 4 is forced and must not come/],
  [{ beams: 2, beamRule: "reference", earlyStopping: "never" }, /is a rule of transformers today/],
  [{ outputs: 2 }, /^greedy choice has one result, not 2 outputs/],
  [{ beams: 3, outputs: 4 }, /^3 beams cannot give 4 outputs/],
  [{ outputs: 0, beams: 2 }, /^outputs is 0/],
  [{ beams: 2, sampling: {} }, /cannot be combined/],
  [{ beams: 2, lengthPenalty: Infinity }, /^lengthPenalty is Infinity/],
  [{ lengthPenalty: 2 }, /belong to beam search/],
  [{ earlyStopping: true, sampling: {} }, /belong to beam search/],
  [{ sampling: { temperature: 0 } }, /^temperature is 0: it must be above 0/],
  [{ sampling: { topP: 0 } }, /^topP is 0: it must be above 0 and at most 1$/],
  [{ sampling: { topP: 1.1 } }, /^topP is 1\.1/],
  [{ sampling: { topK: -3 } }, /^topK is -3/],
  [{ sampling: { seed: 2 ** 60 } }, /^seed is /],
];

for (const [options, message] of refused) {
  test(`refused: ${JSON.stringify(options)}`, () => {
    assert.throws(
      () => resolveOptions({ maxLength: 10, ...options }),
      (error: Error) => error instanceof UserError && message.test(error.message),
    );
  });
}

test.run();
