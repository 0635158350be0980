import { Command } from "commander";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { UserError } from "../../../src/errors.ts";
import {
  type GenerationFlags,
  givenOptions,
  withGeneration,
} from "../../../cli/frame/generation.ts";

const test = suite("frame/generation");

/** Words by their length, as ids. */
const tokenizer = {
  encodeWithOffsets: (text: string) => ({
    ids: text.split(" ").map((word) => word.length),
    offsets: [],
  }),
};

function command() {
  return withGeneration(new Command()).exitOverride().configureOutput({ outputError: () => {} });
}

/** What generation is told by some flags. */
function parsed(...args: string[]) {
  const flags = command().parse(args, { from: "user" }).opts<GenerationFlags>();
  return givenOptions(flags, tokenizer);
}

const flags: [args: string[], options: Record<string, unknown>][] = [
  [["--max-length", "9"], { maxLength: 10 }],
  [["--min-length", "4"], { minLength: 4 }],
  [["--outputs", "2"], { outputs: 2 }],
  [["--beams", "100"], { beams: 100 }],
  [["--length-penalty", "-1"], { lengthPenalty: -1 }],
  [["--early-stopping"], { earlyStopping: true }],
  [["--early-stopping", "false"], { earlyStopping: false }],
  [["--early-stopping", "never"], { earlyStopping: "never" }],
  [["--beam-rule", "reference"], { beamRule: "reference" }],
  [["--renormalize-logits"], { renormalize: true }],
  [["--no-renormalize-logits"], { renormalize: false }],
  [["--no-sample"], { sampling: false }],
  [["--sample"], { sampling: {} }],
  [["--sample", "--temperature", "0.5"], { sampling: { temperature: 0.5 } }],
  [["--sample", "--top-k", "5"], { sampling: { topK: 5 } }],
  [["--sample", "--top-p", "0.5"], { sampling: { topP: 0.5 } }],
  [["--sample", "--seed", "5"], { sampling: { seed: 5 } }],
  [["--no-repeat-ngram", "3"], { noRepeatNgram: 3 }],
  [["--no-repeat-ngram=0"], { noRepeatNgram: 0 }],
  [["--encoder-no-repeat-ngram", "3"], { sourceNgram: 3 }],
  [["--repetition-penalty", "1.2"], { repetitionPenalty: 1.2 }],
  [["--encoder-repetition-penalty", "1.2"], { sourcePenalty: 1.2 }],
  [["--bad-words", "one,and three"], { badWords: [[3], [3, 5]] }],
  [["--bad-words", "none"], { badWords: [] }],
  [["--suppress-tokens", "3, 4"], { suppressTokens: [3, 4] }],
  [["--suppress-tokens", "none"], { suppressTokens: [] }],
  [["--begin-suppress-tokens", "3"], { beginSuppressTokens: [3] }],
  [["--forced-bos-token", "3"], { forcedBos: 3 }],
  [["--forced-eos-token", "3,1"], { forcedEos: [3, 1] }],
  [["--eos-token", "3,1"], { endIds: [3, 1] }],
  [["--decoder-start-token", "3"], { startId: 3 }],
  [["--exponential-decay-length-penalty", "5,1.1"], { lengthDecay: { start: 5, factor: 1.1 } }],
  [["--remove-invalid-values"], { removeInvalid: true }],
  [["--no-remove-invalid-values"], { removeInvalid: false }],
];

function without(options: object): Record<string, unknown> {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
}

for (const [args, options] of flags) {
  test(args.join(" "), () => {
    const { sampling, ...others } = parsed(...args);
    const drawing = sampling ? without(sampling) : sampling;
    assert.equal(without({ ...others, sampling: drawing }), options);
  });
}

test("every flag is tried", () => {
  const tried = flags.flatMap(([args]) => args.map((arg) => arg.split("=")[0]));
  for (const { long } of command().options) {
    assert.ok(tried.includes(long!) || long === "--generation-config", long);
  }
});

test("nothing is said unless a flag is given; drawing belongs to sampling", () => {
  assert.equal(without(parsed()), {});
  for (const sample of [[], ["--no-sample"]]) {
    assert.throws(
      () => parsed("--top-k", "3", ...sample),
      (error: Error) => error instanceof UserError && /belong to --sample/.test(error.message),
    );
  }
});

test("lists, pairs and choices that are none are refused", () => {
  assert.throws(() => parsed("--eos-token", "none"), /ids separated by commas/);
  assert.throws(() => parsed("--suppress-tokens", "3,x"), /whole number/);
  assert.throws(() => parsed("--exponential-decay-length-penalty", "5"), /as 20,1.05/);
  assert.throws(() => parsed("--early-stopping", "soon"), /true, false or never/);
});

test.run();
