import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { GenerationOptions } from "../../src/generate/options.ts";
import { type Beams, resolveOptions, type Settings } from "../../src/generate/options.ts";
import { testDevice } from "../graph/device.ts";
import { assertClose } from "../graph/ops/check.ts";
import { chosenVariants } from "../graph/ops/variants.ts";
import { drive } from "./drive.ts";
import { beamSearch, type Language, language } from "./oracle.ts";

const test = suite("beam search");

type BeamSettings = Settings & { readonly strategy: Beams };

function settings(options: Partial<GenerationOptions> & { beams: number }): BeamSettings {
  const { beams, outputs = beams } = options;
  const resolved = resolveOptions({ maxLength: 8, ...options, beams: Math.max(beams, 2), outputs });
  const strategy = { ...resolved.strategy as Beams, beams };
  return { ...resolved, strategy };
}

const reference = { beamRule: "reference" } as const;

const some: [name: string, settings: BeamSettings][] = [
  ["of the reference, 1 beam", settings({ beams: 1, ...reference })],
  ["of the reference, 2 beams, one token", settings({ beams: 2, maxLength: 2, ...reference })],
  [
    "of the reference, early stopping",
    settings({ beams: 4, lengthPenalty: 0.6, earlyStopping: true, minLength: 5, ...reference }),
  ],
  [
    "of the reference, penalty 2",
    settings({ beams: 4, lengthPenalty: 2, maxLength: 12, outputs: 2, ...reference }),
  ],
  [
    "of the reference, no bigram twice",
    settings({ beams: 4, lengthPenalty: 0, noRepeatNgram: 2, ...reference }),
  ],
  ["1 beam", settings({ beams: 1 })],
  ["2 beams, one token", settings({ beams: 2, maxLength: 2 })],
  [
    "penalty -0.5, early stopping",
    settings({ beams: 4, lengthPenalty: -0.5, earlyStopping: true }),
  ],
  ["penalty 0.6, never early", settings({ beams: 4, lengthPenalty: 0.6, earlyStopping: "never" })],
  ["penalty -1, never early", settings({ beams: 4, lengthPenalty: -1, earlyStopping: "never" })],
  ["penalty 2, three ends", settings({ beams: 4, lengthPenalty: 2, endIds: [1, 4, 7] })],
  ["no token twice", settings({ beams: 8, noRepeatNgram: 1, minLength: 3 })],
  ["no trigram twice", settings({ beams: 8, noRepeatNgram: 3, maxLength: 11 })],
  [
    "forced first and last token",
    settings({ beams: 4, forcedBos: 5, forcedEos: [1], beginSuppressTokens: [6, 7] }),
  ],
  ["penalties", settings({ beams: 4, repetitionPenalty: 1.5, sourcePenalty: 1.3 })],
  [
    "bad words, renormalised",
    settings({
      beams: 4,
      badWords: [[3], [1], [5, 6], [0, 4]],
      suppressTokens: [9],
      renormalize: true,
      lengthDecay: { start: 2, factor: 1.4 },
      sourceNgram: 2,
    }),
  ],
];

const sources = [[4, 5, 9, 1], [2, 1], [0, 4, 0, 1], [7, 7, 7, 1], [1], [3, 2, 1], [12, 11, 1]];

for (const [name, gpu] of chosenVariants(await testDevice())) {
  for (const [i, [what, chosen]] of some.entries()) {
    test(`${name}: ${what}`, async () => {
      for (const vocabulary of [13, 301]) {
        const spoken = language(vocabulary, i);
        const progress = await drive(gpu, {
          settings: chosen,
          batch: 7,
          vocabulary,
          language: spoken,
          sources,
        });
        for (const [row, found] of progress.sequences().entries()) {
          const expected = beamSearch(row, spoken, chosen, sources[row]);
          const what = `row ${row} of ${vocabulary} tokens`;
          assert.equal(found.map(({ tokens }) => tokens), expected.map((e) => e.tokens), what);
          assert.equal(found.map(({ ended }) => ended), expected.map((e) => e.ended), what);
          const numbers = ["score", "logLikelihood"] as const;
          for (const number of numbers) {
            assertClose(found.map((f) => f[number]), expected.map((e) => e[number]), { what });
          }
        }
      }
    });
  }

  test(`${name}: as many beams as nobody needs`, async () => {
    const chosen = settings({ beams: 100, maxLength: 4, outputs: 5 });
    for (const vocabulary of [13, 2000]) {
      const spoken = language(vocabulary, 3);
      const driven = { settings: chosen, batch: 1, vocabulary, language: spoken };
      const progress = await drive(gpu, driven);
      const expected = beamSearch(0, spoken, chosen);
      const [found] = progress.sequences();
      assert.equal(found.map(({ tokens }) => tokens), expected.map((e) => e.tokens));
      assertClose(found.map(({ score }) => score), expected.map((e) => e.score));
    }
  });

  test(`${name}: fewer tokens than candidates`, async () => {
    for (const vocabulary of [3, 5]) {
      const chosen = settings({ beams: 4, maxLength: 5, ...reference });
      const spoken = language(vocabulary, 5);
      const progress = await drive(gpu, {
        settings: chosen,
        batch: 2,
        vocabulary,
        language: spoken,
      });
      for (const [row, found] of progress.sequences().entries()) {
        const expected = beamSearch(row, spoken, chosen);
        assert.equal(found.map(({ tokens }) => tokens), expected.map((e) => e.tokens));
      }
    }
  });

  test(`${name}: on ties the lower beam goes on, with the lower token`, async () => {
    const flat: Language = () => new Float32Array(40);
    const driven = { batch: 1, vocabulary: 40, language: flat };
    const tied = { beams: 3, maxLength: 3, minLength: 3 };
    const old = await drive(gpu, { ...driven, settings: settings({ ...tied, ...reference }) });
    // Of equal hypotheses the youngest is the first.
    assert.equal(old.sequences()[0].map(({ tokens }) => tokens), [[0, 3], [0, 2], [0, 0]]);
    const today = await drive(gpu, { ...driven, settings: settings(tied) });
    assert.equal(today.sequences()[0].map(({ tokens }) => tokens), [[0, 0], [0, 2], [0, 3]]);
  });

  test(`${name}: impossible tokens are last, a NaN shows`, async () => {
    const few: Language = (_, sequence) =>
      Float32Array.from({ length: 9 }, (_, id) => id > 4 ? id / 10 * sequence.length : -Infinity);
    const broken: Language = (_, sequence) =>
      Float32Array.from(
        { length: 9 },
        (_, id) => id === 5 && sequence.length === 2 ? NaN : id / 10,
      );
    for (const rule of ["reference", "transformers"] as const) {
      const chosen = settings({ beams: 2, maxLength: 4, beamRule: rule });
      const driven = { settings: chosen, batch: 1, vocabulary: 9 };
      const progress = await drive(gpu, { ...driven, language: few });
      assert.equal(
        progress.sequences()[0].map(({ tokens }) => tokens),
        beamSearch(0, few, chosen).map(({ tokens }) => tokens),
      );
      const { sequences } = await drive(gpu, { ...driven, language: broken });
      assert.ok(sequences()[0].every(({ score }) => Number.isNaN(score)), rule);
    }
  });
}

test.run();
