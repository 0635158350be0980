import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { Beams, Settings } from "../../src/generate/options.ts";
import { testDevice } from "../graph/device.ts";
import { assertClose } from "../graph/ops/check.ts";
import { chosenVariants } from "../graph/ops/variants.ts";
import { drive } from "./drive.ts";
import { beamSearch, type Language, language } from "./oracle.ts";

const test = suite("beam search");

type BeamSettings = Settings & { readonly strategy: Beams };

function settings(
  { beams, lengthPenalty = 1, earlyStopping = false, ...others }:
    & Partial<Settings>
    & Partial<Beams>
    & { beams: number },
): BeamSettings {
  const strategy = { kind: "beams" as const, beams, lengthPenalty, earlyStopping };
  return { maxLength: 8, minLength: 0, noRepeatNgram: 0, outputs: beams, ...others, strategy };
}

const some: BeamSettings[] = [
  settings({ beams: 1 }),
  settings({ beams: 2, maxLength: 2 }),
  settings({ beams: 3, lengthPenalty: 0.6, earlyStopping: true, minLength: 5 }),
  settings({ beams: 4, lengthPenalty: 2, maxLength: 12, outputs: 2 }),
  settings({ beams: 4, lengthPenalty: 0, noRepeatNgram: 2 }),
  settings({ beams: 5, lengthPenalty: -0.5, earlyStopping: true }),
  settings({ beams: 8, noRepeatNgram: 1, minLength: 3 }),
  settings({ beams: 8, noRepeatNgram: 3, maxLength: 11 }),
];

for (const [name, gpu] of chosenVariants(await testDevice())) {
  for (const [i, chosen] of some.entries()) {
    const { beams, lengthPenalty, earlyStopping } = chosen.strategy;
    const early = earlyStopping ? ", early stopping" : "";
    test(`${name}: ${beams} beams, penalty ${lengthPenalty}${early}, as the reference would`, async () => {
      for (const vocabulary of [13, 301]) {
        const spoken = language(vocabulary, i);
        const progress = await drive(gpu, {
          settings: chosen,
          batch: 7,
          vocabulary,
          language: spoken,
        });
        for (const [row, found] of progress.sequences().entries()) {
          const expected = beamSearch(row, spoken, chosen);
          const what = `row ${row} of ${vocabulary} tokens`;
          assert.equal(found.map(({ tokens }) => tokens), expected.map((e) => e.tokens), what);
          assert.equal(found.map(({ ended }) => ended), expected.map((e) => e.ended), what);
          const numbers = ["score", "logLikelihood"] as const;
          for (const number of numbers) {
            assertClose(found.map((f) => f[number]), expected.map((e) => e[number]), { what });
          }
          const totals = found.map(({ choices }) => choices.reduce((a, b) => a + b, 0));
          assertClose(totals, expected.map((e) => e.logLikelihood), { absolute: 1e-4, what });
        }
      }
    });
  }

  test(`${name}: fewer tokens than candidates`, async () => {
    for (const vocabulary of [3, 5]) {
      const chosen = settings({ beams: 4, maxLength: 5 });
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
    const chosen = settings({ beams: 3, maxLength: 3, minLength: 4 });
    const progress = await drive(gpu, {
      settings: chosen,
      batch: 1,
      vocabulary: 40,
      language: flat,
    });
    // Of equal hypotheses the youngest is the first.
    assert.equal(progress.sequences()[0].map(({ tokens }) => tokens), [[0, 3], [0, 2], [0, 0]]);
  });

  test(`${name}: impossible tokens are last, a NaN shows`, async () => {
    const chosen = settings({ beams: 2, maxLength: 4 });
    const few: Language = (_, sequence) =>
      Float32Array.from({ length: 9 }, (_, id) => id > 4 ? id / 10 * sequence.length : -Infinity);
    const progress = await drive(gpu, { settings: chosen, batch: 1, vocabulary: 9, language: few });
    assert.equal(
      progress.sequences()[0].map(({ tokens }) => tokens),
      beamSearch(0, few, chosen).map(({ tokens }) => tokens),
    );
    const broken: Language = (_, sequence) =>
      Float32Array.from(
        { length: 9 },
        (_, id) => id === 5 && sequence.length === 2 ? NaN : id / 10,
      );
    const { sequences } = await drive(gpu, {
      settings: chosen,
      batch: 1,
      vocabulary: 9,
      language: broken,
    });
    assert.ok(sequences()[0].every(({ score }) => Number.isNaN(score)));
  });
}

test.run();
