import { suite } from "uvu";
import * as assert from "uvu/assert";
import { resolveOptions } from "../../src/generate/options.ts";
import { testDevice } from "../graph/device.ts";
import { assertClose } from "../graph/ops/check.ts";
import { drive } from "./drive.ts";
import { forbidden, greedy, ids, language } from "./oracle.ts";

const test = suite("greedy choice and sampling");
const gpu = await testDevice();

for (
  const [minLength, noRepeatNgram, maxLength] of [[0, 0, 12], [5, 0, 9], [0, 1, 20], [6, 2, 15]]
) {
  const name = `minimum length ${minLength}, no ${noRepeatNgram}-gram twice`;
  for (const vocabulary of [6, 31, 200]) {
    const spoken = language(vocabulary, 3);
    const limits = { maxLength: Math.min(maxLength, vocabulary), minLength, noRepeatNgram };

    test(`greedy, ${name}, ${vocabulary} tokens`, async () => {
      const settings = resolveOptions(limits);
      const progress = await drive(gpu, { settings, batch: 7, vocabulary, language: spoken });
      for (const [row, [found]] of progress.sequences().entries()) {
        const expected = greedy(row, spoken, settings);
        assert.equal(found.tokens, expected.tokens, `row ${row}`);
        assert.is(found.ended, expected.ended);
        assertClose(found.choices, expected.choices);
        assertClose([found.score, found.logLikelihood], [expected.score, expected.logLikelihood]);
      }
    });

    test(`sampling, ${name}, ${vocabulary} tokens`, async () => {
      const settings = resolveOptions({ ...limits, outputs: 5, sampling: { temperature: 2 } });
      const given = { settings, vocabulary, language: spoken };
      const progress = await drive(gpu, { ...given, batch: 4, seed: 8 });
      const sequences = progress.sequences();
      for (const { tokens, ended } of sequences.flat()) {
        const whole = [ids.decoderStartId, ...tokens, ...(ended ? [ids.eosId] : [])];
        whole.slice(1).forEach((token, i) => {
          assert.not(forbidden(whole.slice(0, i + 1), settings).has(token), `${whole}, ${i}`);
        });
        assert.ok(ended || whole.length === settings.maxLength);
      }
      // The same rows in another order, and alone.
      const others = await drive(gpu, { ...given, batch: 2, seed: 8, rows: [3, 1] });
      assert.equal(others.sequences(), [sequences[3], sequences[1]]);
    });
  }
}

test.run();
