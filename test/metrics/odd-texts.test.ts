/** Metrics of odd texts: white space that Python and JavaScript differ in, scripts, marks, several references. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { MetricName } from "../../src/data/types.ts";
import { bleu } from "../../src/metrics/bleu.ts";
import { parseInteger, parseReal } from "../../src/metrics/numbers.ts";
import { score } from "../../src/metrics/score.ts";
import { exactMatch } from "../../src/metrics/squad.ts";
import { splitWords } from "../../src/metrics/white-space.ts";
import recorded from "../fixtures/odd-texts.json" with { type: "json" };
import { assertClose } from "./fixture.ts";

const test = suite("odd texts");

const metrics: MetricName[] = [
  "exact_match",
  "token_f1",
  "rouge_1",
  "rouge_2",
  "rouge_l",
  "rouge_lsum_lines",
];

const scores = (prediction: string, targets: string[]) =>
  score({ name: "task", description: "", metrics }, [prediction], [targets]);

test("white space is what it is to Python", () => {
  for (const space of ["\x1c", "\x1f", "\x85", "\xa0", "\u2028", "\u3000", " \t\v\f\r\n"]) {
    assert.equal(splitWords(`${space}new${space}york${space}`), ["new", "york"]);
    assert.is(exactMatch(`new${space}york`, "New York"), 1);
    assert.is(bleu([`new${space}york a b`], ["new york a b"]), 100);
  }
  for (const other of ["\ufeff", "\u200b", "\u180e"]) {
    assert.equal(splitWords(`new${other}york`), [`new${other}york`]);
    assert.is(exactMatch(`new${other}york`, "New York"), 0);
    assert.is(scores(`${other}new york`, ["new york"]).token_f1, 50);
  }
});

test("answers are scored as by SQuAD's evaluation and rouge-score, the best of several", () => {
  for (const { prediction, targets, exactMatch, tokenF1, rouge } of recorded.answers) {
    const actual = scores(prediction, targets);
    [exactMatch, tokenF1, ...rouge].forEach((expected, i) => {
      const name = `${metrics[i]} of ${JSON.stringify(prediction)}`;
      assertClose(actual[metrics[i]]! / 100, expected, name);
    });
  }
});

test("BLEU is sacrebleu's, of several references as well", () => {
  for (const { predictions, targets, bleu: expected } of recorded.corpora) {
    assertClose(bleu(predictions, targets), expected, JSON.stringify(predictions));
  }
  // Of references that are equally near in length the shorter counts.
  assert.is(bleu(["a b c d e"], [["a b c d e f", "a b c d"]]), 100);
});

test("only the empty answer is right where there is none, as in SQuAD 2.0's evaluation", () => {
  for (const { prediction, exactMatch, tokenF1 } of recorded.unanswerable) {
    const actual = scores(prediction, [""]);
    assert.equal([actual.exact_match, actual.token_f1], [100 * exactMatch, 100 * tokenF1]);
  }
});

test("numbers are read as by int() and float()", () => {
  for (const { text, integer, real } of recorded.numbers) {
    assert.is(parseInteger(text), integer, JSON.stringify(text));
    assert.is(parseReal(text), real, JSON.stringify(text));
  }
});

test.run();
