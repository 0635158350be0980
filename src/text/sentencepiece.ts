/**
 * SentencePiece models (`spiece.model`), which many T5 checkpoints have in place of a `tokenizer.json`.
 *
 * Invariant: the result is what `transformers` makes of the file, of which there are two readings. That of
 * version 5, and of 4 in 2022, cuts at white space before anything else; that of 4.57 keeps a last blank
 * before a sentinel out by other means, and treats U+0085 otherwise. Models that say other things of
 * spaces, or spell unknown text in bytes, are read as they say, which no version of 5 does.
 */

import { base64Encode } from "@bufbuild/protobuf/wire";
import {
  type Piece,
  PieceType,
  readSentencePiece,
  type SentencePieceModel,
} from "./sentencepiece-model.ts";
import type { AddedToken, Component, TokenizerJson } from "./tokenizer-json.ts";

/** T5's placeholders of span corruption; `<extra_id_0>` has the highest id. */
const SENTINELS = 100;

/** How a SentencePiece model is to be read. */
export interface SentencePieceOptions {
  /** Sentinels to put after the pieces, unless told 100 for a model that has none. */
  readonly sentinels?: number;
  /** The most ids there may be: sentinels that nobody asked for are left out beyond it. */
  readonly vocabSize?: number;
  /** As transformers 5 reads it, or as its 4.57; unless told 5, where that heeds what the model says. */
  readonly rule?: "transformers" | "file";
  /** Where transformers 4.57 puts a word's mark that the text does not have; in 5 it is always. */
  readonly prefix?: "always" | "first" | "never";
}

/**
 * The parsed contents of `tokenizer.json` and `tokenizer_config.json` for a T5's SentencePiece model,
 * its sentinels added.
 *
 * @param bytes the file
 * @param file its name, for errors
 * @throws {UserError} when it is damaged, or not a unigram model
 */
export function sentencepieceTokenizer(
  bytes: Uint8Array,
  file: string,
  options: SentencePieceOptions = {},
): { tokenizer: TokenizerJson; config: Record<string, unknown>; rule: "transformers" | "file" } {
  const model = readSentencePiece(bytes, file);
  const { pieces } = model;
  const sentinels = Array.from(
    { length: sentinelCount(pieces, options) },
    (_, i) => `<extra_id_${i}>`,
  );
  const vocab = [
    ...pieces.map(({ text, score }) => [text, score] as const),
    ...sentinels.toReversed().map((text) => [text, 0] as const),
  ];
  const addedTokens = vocab.flatMap(([content], id) => {
    const type = pieces[id]?.type ?? PieceType.control;
    const special = type === PieceType.control || type === PieceType.unknown;
    return special || type === PieceType.userDefined ? [addedToken(content, special)] : [];
  });
  const rule = options.rule ?? (isUsual(model) ? "transformers" : "file");
  return {
    tokenizer: {
      added_tokens: addedTokens,
      post_processor: t5PostProcessor(pieces.findIndex(({ text }) => text === "</s>")),
      ...rule === "transformers"
        ? t5Text(vocab, model.normalizer.charsmap)
        : ownText(vocab, model, options),
    },
    config: {
      tokenizer_class: "T5Tokenizer",
      pad_token: "<pad>",
      eos_token: "</s>",
      unk_token: "<unk>",
      extra_ids: sentinels.length,
      additional_special_tokens: sentinels,
      clean_up_tokenization_spaces: false,
    },
    rule,
  };
}

function sentinelCount(pieces: readonly Piece[], options: SentencePieceOptions): number {
  if (options.sentinels !== undefined) return options.sentinels;
  const hasOwn = pieces.some(({ text }) => /^\u2581?<extra_id_\d+>$/.test(text));
  const fits = pieces.length + SENTINELS <= (options.vocabSize ?? Infinity);
  return hasOwn || !fits ? 0 : SENTINELS;
}

/** Whether transformers 5, which takes T5's own settings for granted, heeds all that a model says. */
function isUsual({ pieces, trainer, normalizer }: SentencePieceModel): boolean {
  return trainer.splitByWhitespace && !trainer.byteFallback && normalizer.addDummyPrefix &&
    normalizer.removeExtraWhitespaces && pieces[T5_UNKNOWN]?.type === PieceType.unknown;
}

/** The parts of a tokenizer that turn text into ids and back. */
export type TextParts = Pick<TokenizerJson, "normalizer" | "pre_tokenizer" | "decoder" | "model">;

type Vocabulary = readonly (readonly [piece: string, score: number])[];

/** `<unk>` in every T5. */
const T5_UNKNOWN = 2;

const metaspace = {
  type: "Metaspace",
  replacement: "\u2581",
  prepend_scheme: "always",
  split: true,
};

/** The tokenizer that transformers 5 builds of a T5's vocabulary, whatever else its file says. */
export function t5Text(vocab: Vocabulary, charsmap: Uint8Array | undefined): TextParts {
  return {
    normalizer: charsmap?.length ? precompiled(charsmap) : null,
    pre_tokenizer: { type: "Sequence", pretokenizers: [{ type: "WhitespaceSplit" }, metaspace] },
    decoder: metaspace,
    model: { type: "Unigram", unk_id: T5_UNKNOWN, vocab, byte_fallback: false },
  };
}

/** The tokenizer that a model itself describes, as the T5TokenizerFast of transformers 4.57 has it. */
function ownText(
  vocab: Vocabulary,
  { pieces, trainer, normalizer }: SentencePieceModel,
  { prefix = "always" }: SentencePieceOptions,
): TextParts {
  const normalizers: Component[] = [];
  if (normalizer.charsmap.length > 0) normalizers.push(precompiled(normalizer.charsmap));
  if (normalizer.removeExtraWhitespaces) {
    normalizers.push(
      { type: "Strip", strip_left: false, strip_right: true },
      { type: "Replace", pattern: { Regex: " {2,}" }, content: "\u2581" },
    );
  }
  const spaces = {
    ...metaspace,
    prepend_scheme: normalizer.addDummyPrefix ? prefix : "never",
    split: trainer.splitByWhitespace,
  };
  return {
    normalizer: { type: "Sequence", normalizers },
    pre_tokenizer: spaces,
    decoder: trainer.byteFallback ? byteFallbackDecoder : spaces,
    model: {
      type: "Unigram",
      unk_id: pieces.findIndex(({ type }) => type === PieceType.unknown),
      vocab,
      byte_fallback: trainer.byteFallback,
    },
  };
}

function precompiled(charsmap: Uint8Array): Component {
  return { type: "Precompiled", precompiled_charsmap: base64Encode(charsmap) };
}

function addedToken(content: string, special: boolean): AddedToken {
  return {
    content,
    single_word: false,
    lstrip: false,
    rstrip: false,
    normalized: false,
    special,
  };
}

/** `</s>` after a text. */
export function t5PostProcessor(eosId: number) {
  const sequence = (id: string) => ({ Sequence: { id, type_id: 0 } });
  const eos = { SpecialToken: { id: "</s>", type_id: 0 } };
  return {
    type: "TemplateProcessing",
    single: [sequence("A"), eos],
    pair: [sequence("A"), eos, sequence("B"), eos],
    special_tokens: { "</s>": { id: "</s>", ids: [eosId], tokens: ["</s>"] } },
  };
}

const byteFallbackDecoder = {
  type: "Sequence",
  decoders: [
    { type: "Replace", pattern: { String: "\u2581" }, content: " " },
    { type: "ByteFallback" },
    { type: "Fuse" },
    { type: "Strip", content: " ", start: 1, stop: 0 },
  ],
};
