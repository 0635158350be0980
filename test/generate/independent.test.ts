import { suite } from "uvu";
import * as assert from "uvu/assert";
import { type GenerationOptions, resolveOptions } from "../../src/generate/options.ts";
import { testDevice } from "../graph/device.ts";
import { assertClose } from "../graph/ops/check.ts";
import { drive } from "./drive.ts";
import { greedy, ids, language, logSoftmax, scoresOf } from "./oracle.ts";

const test = suite("greedy choice and sampling");
const gpu = await testDevice();

const rules: [name: string, options: Omit<GenerationOptions, "maxLength">, maxLength: number][] = [
  ["nothing", {}, 12],
  ["minimum length", { minLength: 5 }, 9],
  ["no token twice", { noRepeatNgram: 1 }, 20],
  ["no bigram twice", { minLength: 6, noRepeatNgram: 2 }, 15],
  ["penalties", { repetitionPenalty: 1.5, sourcePenalty: 1.3, sourceNgram: 2 }, 9],
  [
    "forced and suppressed tokens",
    { forcedBos: 5, forcedEos: [1], beginSuppressTokens: [2, 3], suppressTokens: [4] },
    9,
  ],
  [
    "bad words, growing favour for the end, several ends",
    {
      badWords: [[3], [1], [2, 4], [0, 5]],
      endIds: [1, 4],
      startId: 2,
      lengthDecay: { start: 2, factor: 1.3 },
    },
    12,
  ],
];

const sources = [[4, 5, 3, 1], [2, 1], [0, 4, 0, 1], [5, 5, 5, 1], [1], [3, 2, 1], [2, 5, 1]];

for (const [name, options, maxLength] of rules) {
  for (const vocabulary of [6, 31, 200]) {
    const spoken = language(vocabulary, 3);
    const limits = { ...options, maxLength: Math.min(maxLength, vocabulary) };

    test(`greedy, ${name}, ${vocabulary} tokens`, async () => {
      const settings = resolveOptions(limits);
      const driven = { settings, batch: 7, vocabulary, language: spoken, sources };
      const progress = await drive(gpu, driven);
      for (const [row, [found]] of progress.sequences().entries()) {
        const expected = greedy(row, spoken, settings, sources[row]);
        assert.equal(found.tokens, expected.tokens, `row ${row}`);
        assert.is(found.ended, expected.ended);
        assertClose(found.choices, expected.choices);
        assertClose([found.score, found.logLikelihood], [expected.score, expected.logLikelihood]);
      }
    });

    test(`sampling, ${name}, ${vocabulary} tokens`, async () => {
      const settings = resolveOptions({ ...limits, outputs: 5, sampling: { temperature: 2 } });
      const given = { settings, vocabulary, language: spoken };
      const progress = await drive(gpu, { ...given, batch: 4, seed: 8, sources });
      const sequences = progress.sequences();
      const { endIds = [ids.eosId], startId = ids.decoderStartId } = settings;
      for (const [row, drawn] of sequences.entries()) {
        for (const { tokens, ended, choices } of drawn) {
          const hasEnd = !ended || endIds.includes(tokens.at(-1) ?? -1);
          const whole = [startId, ...tokens, ...hasEnd ? [] : [ids.eosId]];
          whole.slice(1).forEach((token, i) => {
            const logits = spoken(row, whole.slice(0, i + 1));
            const scores = scoresOf(logits, whole.slice(0, i + 1), settings, sources[row]);
            // The probability with which it was drawn, of what is allowed.
            const expected = logSoftmax(scores.map((x) => x / 2))[token];
            assert.ok(expected > -Infinity, `${whole}, ${i}`);
            assertClose([choices[i]], [expected]);
          });
          assert.ok(ended || whole.length === settings.maxLength);
        }
      }
      // The same rows in another order, and alone.
      const others = { batch: 2, seed: 8, rows: [3, 1], sources: [sources[3], sources[1]] };
      const again = await drive(gpu, { ...given, ...others });
      assert.equal(again.sequences(), [sequences[3], sequences[1]]);
    });
  }
}

test.run();
