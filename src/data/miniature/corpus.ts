/**
 * The text that the embedded backbone and its tokenizer are made from: passages of the mixture's kind with
 * paragraphs of novels strewn in, so that the model also meets English that no grammar here made.
 */
import { type BpeOptions, trainBpe } from "../../text/bpe-trainer.ts";
import { Draw } from "./draw.ts";
import { miniatureDatasets, miniatureText } from "./mixture.ts";

/** The paragraphs of a book worth reading: whole prose paragraphs, one line each. */
export function paragraphs(book: string): string[] {
  return book.split(/\n\s*\n/).map((text) => text.replace(/\s+/g, " ").trim())
    .filter((text) => text.length > 80);
}

/**
 * Endless pretraining text, a passage at a time.
 *
 * @param novels paragraphs (see `paragraphs`); without any the text is the mixture's alone
 * @param novelShare the part of all characters that comes from novels
 */
export function* pretrainingText(
  seed: number,
  novels: readonly string[] = [],
  novelShare = 0.2,
): Generator<string, never> {
  const draw = new Draw(seed, "novels");
  const mixture = miniatureText(seed);
  let all = 0;
  let fromNovels = 0;
  while (true) {
    const novel = novels.length > 0 && fromNovels < novelShare * all;
    const passage = novel ? draw.pick(novels).slice(0, 300) : mixture.next().value;
    all += passage.length;
    if (novel) fromNovels += passage.length;
    yield passage;
  }
}

const tokenizerOptions: BpeOptions = {
  vocabularySize: 2048,
  sentinels: 32,
  minimumCharacterCount: 20,
};

/** The `tokenizer.json` of the embedded backbone, trained on its pretraining text and the tasks' forms. */
export function trainMiniatureTokenizer(novels: readonly string[]): Record<string, unknown> {
  function* text(): Generator<string> {
    for (const { splits } of miniatureDatasets()) {
      for (const { source, target } of splits.train!) yield `${source} ${target}`;
    }
    const passages = pretrainingText(1, novels, 0.25);
    for (let i = 0; i < 100_000; i++) yield passages.next().value;
  }
  return trainBpe(text(), tokenizerOptions);
}
