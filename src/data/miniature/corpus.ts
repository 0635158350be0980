/** The tokenizer of the embedded backbone: made from its pretraining text and the tasks' own forms. */
import { type BpeOptions, trainBpe } from "../../text/bpe-trainer.ts";
import { mixPassages } from "../pretraining.ts";
import { miniatureDatasets, miniaturePassages } from "./mixture.ts";

const options: BpeOptions = {
  vocabularySize: 2048,
  sentinels: 32,
  minimumCharacterCount: 20,
};

const PASSAGES = 100_000;

/** Trains a `tokenizer.json`. `paragraphs` of books (see `paragraphs` in pretraining.ts) are mixed in. */
export function trainMiniatureTokenizer(paragraphs: readonly string[]): Record<string, unknown> {
  function* text(): Generator<string> {
    for (const { splits } of miniatureDatasets()) {
      for (const { source, target } of splits.train!) yield `${source} ${target}`;
    }
    const passages = mixPassages(miniaturePassages(1), paragraphs, 0.1, 1);
    for (let i = 0; i < PASSAGES; i++) yield passages.next().value.text;
  }
  return trainBpe(text(), options);
}
