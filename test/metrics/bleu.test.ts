import { suite } from "uvu";
import { bleu } from "../../src/metrics/bleu.ts";
import cases from "../fixtures/bleu.json" with { type: "json" };
import { assertClose } from "./fixture.ts";

const test = suite("bleu");

// Made with sacrebleu 2 and its defaults.
test("BLEU is sacrebleu's, of corpora and of single sentences", () => {
  for (const { predictions, targets, bleu: expected } of cases) {
    assertClose(bleu(predictions, targets), expected, predictions.join(" / "));
  }
});

test.run();
