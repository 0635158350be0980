import { suite } from "uvu";
import * as assert from "uvu/assert";
import { UserError } from "../../src/errors.ts";
import {
  describeDefaults,
  readGenerationConfig,
  withDefaults,
} from "../../src/generate/generation-config.ts";
import { resolveOptions } from "../../src/generate/options.ts";

const test = suite("generation_config.json");

const model = { endIds: [1], decoderStartId: 0 };

function read(fields: Record<string, unknown>, config: Record<string, unknown> = {}) {
  return readGenerationConfig(
    { fields, file: "generation_config.json" },
    { fields: config, file: "config.json" },
  );
}

/** Fields, and the options that they stand for where nothing else is said. */
const meanings: [fields: Record<string, unknown>, options: Record<string, unknown>][] = [
  [{ max_length: 30 }, { maxLength: 30 }],
  [{ max_new_tokens: 30, max_length: 12 }, { maxLength: 31 }],
  [{ min_length: 4 }, { minLength: 4 }],
  [{ min_new_tokens: 4, min_length: 9 }, { minLength: 5 }],
  [{ min_length: 400 }, { minLength: 65 }],
  [{ num_beams: 4, length_penalty: 0.6 }, { beams: 4, lengthPenalty: 0.6 }],
  [{ num_beams: 4, early_stopping: true }, { beams: 4, earlyStopping: true }],
  [{ num_beams: 4, early_stopping: "never" }, { beams: 4, earlyStopping: "never" }],
  [{ num_beams: 4, num_return_sequences: 2 }, { beams: 4, outputs: 2 }],
  [{ num_beams: 4, renormalize_logits: true }, { beams: 4, renormalize: true }],
  [{ no_repeat_ngram_size: 3 }, { noRepeatNgram: 3 }],
  [{ encoder_no_repeat_ngram_size: 3 }, { sourceNgram: 3 }],
  [{ repetition_penalty: 1.2 }, { repetitionPenalty: 1.2 }],
  [{ encoder_repetition_penalty: 1.2 }, { sourcePenalty: 1.2 }],
  [{ bad_words_ids: [[3], [4, 5]] }, { badWords: [[3], [4, 5]] }],
  [{ suppress_tokens: [3, 4] }, { suppressTokens: [3, 4] }],
  [{ begin_suppress_tokens: [3] }, { beginSuppressTokens: [3] }],
  [{ forced_bos_token_id: 7 }, { forcedBos: 7 }],
  [{ forced_eos_token_id: 7 }, { forcedEos: [7] }],
  [{ forced_eos_token_id: [7, 1] }, { forcedEos: [7, 1] }],
  [{ eos_token_id: 5 }, { endIds: [5] }],
  [{ eos_token_id: [1, 5] }, { endIds: [1, 5] }],
  [{ decoder_start_token_id: 2 }, { startId: 2 }],
  [{ remove_invalid_values: true }, { removeInvalid: true }],
  [
    { exponential_decay_length_penalty: [5, 1.1] },
    { lengthDecay: { start: 5, factor: 1.1 } },
  ],
  // The default of transformers is to draw from 50.
  [{ do_sample: true }, { sampling: { topK: 50 } }],
  [
    { do_sample: true, temperature: 0.7, top_k: 0, top_p: 0.9, num_return_sequences: 3 },
    { sampling: { temperature: 0.7, topK: 0, topP: 0.9 }, outputs: 3 },
  ],
  // What belongs to another way of choosing says nothing.
  [{ temperature: 0.1, top_k: 5, min_p: 0.2, typical_p: 0.3 }, {}],
  [{ length_penalty: 2, early_stopping: true, num_return_sequences: 3, num_beam_groups: 2 }, {}],
  // What does nothing, and what is about something else.
  [{ guidance_scale: 1, diversity_penalty: 0, constraints: null, stop_strings: [] }, {}],
  [{ pad_token_id: 0, use_cache: false, transformers_version: "5", output_scores: true }, {}],
];

for (const [fields, options] of meanings) {
  test(JSON.stringify(fields), () => {
    const defaults = read(fields);
    const { maxLength, minLength, ...others } = withDefaults({}, defaults, 65);
    const expected = { maxLength: 65, minLength: 0, ...options };
    const given = Object.entries(others).filter(([, value]) => value !== undefined);
    assert.equal({ maxLength, minLength, ...Object.fromEntries(given) }, expected);
    resolveOptions({ maxLength, minLength, ...others });
    assert.equal(defaults.unknown, []);
  });
}

const refused: [fields: Record<string, unknown>, message: RegExp][] = [
  [
    { guidance_scale: 1.5 },
    /"guidance_scale" is 1.5, which is not supported: give --generation-config/,
  ],
  [{ watermarking_config: { bias: 2 } }, /"watermarking_config" is {"bias":2}/],
  [{ sequence_bias: [[[3], 2.5]] }, /"sequence_bias"/],
  [{ force_words_ids: [[3]] }, /"force_words_ids"/],
  [{ constraints: [{}] }, /"constraints"/],
  [{ stop_strings: ["."] }, /"stop_strings" is \["\."\]/],
  [{ max_time: 3 }, /"max_time"/],
  [{ penalty_alpha: 0.6, top_k: 4 }, /"penalty_alpha"/],
  [{ num_beams: 4, num_beam_groups: 2 }, /"num_beam_groups"/],
  [{ num_beams: 4, diversity_penalty: 0.5 }, /"diversity_penalty"/],
  [{ do_sample: true, min_p: 0.1 }, /"min_p"/],
  [{ do_sample: true, typical_p: 0.9 }, /"typical_p"/],
  [{ do_sample: true, epsilon_cutoff: 0.01 }, /"epsilon_cutoff"/],
  [{ do_sample: true, eta_cutoff: 0.01 }, /"eta_cutoff"/],
  [{ do_sample: true, num_beams: 4 }, /^sampling and 4 beams cannot be combined/],
  [{ num_beams: 0 }, /"num_beams" is 0, but must be a whole number from 1 on/],
  [{ repetition_penalty: "1.2" }, /"repetition_penalty" is "1.2", but must be a number above 0/],
  [{ early_stopping: "always" }, /"early_stopping" is "always", but must be true or false/],
  [{ bad_words_ids: [3] }, /"bad_words_ids" is 3, but must be a list/],
  [{ eos_token_id: [1, "x"] }, /"eos_token_id" is "x", but must be a whole number/],
  [{ decoder_start_token_id: [0, 2] }, /"decoder_start_token_id" is \[0,2\]/],
];

for (const [fields, message] of refused) {
  test(`refused: ${JSON.stringify(fields)}`, () => {
    assert.throws(
      () => withDefaults({}, read(fields), 65),
      (error: Error) => error instanceof UserError && message.test(error.message),
    );
  });
}

test("what is given wins, and what is refused of another way is no hindrance", () => {
  const defaults = read({
    num_beams: 4,
    length_penalty: 0.6,
    do_sample: false,
    num_beam_groups: 2,
  });
  assert.equal(withDefaults({ beams: 1 }, defaults, 65).beams, 1);
  assert.is(withDefaults({ beams: 1 }, defaults, 65).lengthPenalty, undefined);
  const sampled = read({ do_sample: true, temperature: 0.5, typical_p: 0.5, max_length: 9 });
  assert.equal(withDefaults({ sampling: false, maxLength: 5 }, sampled, 65).maxLength, 5);
  assert.is(withDefaults({ sampling: false }, sampled, 65).sampling, undefined);
  const drawn = read({ temperature: 0.5, top_k: 7 });
  const { sampling } = withDefaults({ sampling: { topK: 3 } }, drawn, 65);
  assert.equal(sampling, { temperature: 0.5, topK: 3 });
});

test("fields of config.json count where there is no other file", () => {
  const fields = { num_beams: 3, vocab_size: 9, task_specific_params: { summarization: {} } };
  const config = { fields, file: "config.json" };
  const defaults = readGenerationConfig(undefined, config);
  assert.is(defaults.file, "config.json");
  assert.equal(defaults.options, { beams: 3 });
  assert.equal(defaults.unknown, []);
  assert.equal(read({ max_length: 7 }, fields).options, { maxLength: 7 });
  // What old versions wrote into every file.
  const dumped = { fields: { max_length: 20, num_beams: 1 }, file: "config.json" };
  assert.equal(readGenerationConfig(undefined, dumped).options, { beams: 1 });
});

test("fields that nobody knows are named", () => {
  assert.equal(read({ task_to_id: {}, num_beams: 2 }).unknown, ["task_to_id"]);
});

test("what a file changed is said, and only that", () => {
  const defaults = read({
    num_beams: 4,
    length_penalty: 0.6,
    max_length: 33,
    eos_token_id: 1,
    decoder_start_token_id: 0,
    repetition_penalty: 1.2,
    suppress_tokens: [3, 4],
  });
  const said = (given: Parameters<typeof withDefaults>[0]) =>
    describeDefaults(defaults, given, withDefaults(given, defaults, 65), model);
  assert.equal(said({}), [
    "4 beams",
    "length penalty 0.6",
    "at most 32 ids",
    "repetition penalty 1.2",
    "suppressed ids 3 4",
  ]);
  assert.equal(said({ beams: 1, maxLength: 9, repetitionPenalty: 1 }), ["suppressed ids 3 4"]);
  const several = read({ eos_token_id: [1, 5], do_sample: true });
  assert.equal(describeDefaults(several, {}, withDefaults({}, several, 65), model), [
    "sampling (temperature 1, top-k 50, top-p 1)",
    "end ids 1 5",
  ]);
});

test.run();
