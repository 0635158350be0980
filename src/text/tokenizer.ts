/**
 * The text side of a model: strings to ids and back, by a Hugging Face `tokenizer.json`.
 *
 * Invariant: `encode` and `decode` give what the `tokenizers` package for Python gives: normalizers,
 * pre-tokenizers, models, post-processors and decoders are its.
 * What would give anything else is refused by name.
 */

import { UserError } from "../errors.ts";
import { normalizedFinder, numberTokens, plainFinder } from "./added-tokens.ts";
import { cleanUp, createDecoder } from "./decoders.ts";
import { createModel, type Token } from "./models.ts";
import { byteLetters, createNormalizer } from "./normalizers.ts";
import { bytePieceOffsets, type Offset, pieceOffsets } from "./offsets.ts";
import { createFrame } from "./post-processor.ts";
import { createPreTokenizer } from "./pre-tokenizers.ts";
import { asTokenizer, type Component, type TokenizerJson } from "./tokenizer-json.ts";

/** Strings to ids and back. */
export interface Tokenizer {
  /** Number of ids; every id is below it. */
  readonly vocabSize: number;
  /** Padding, where the tokenizer has a token for it. */
  readonly padId: number | undefined;
  /** End of sequence. */
  readonly eosId: number;
  /** What stands for text that has no piece. */
  readonly unkId: number | undefined;
  /** `<extra_id_0>`, `<extra_id_1>`, …: span corruption's placeholders. Empty when there are none. */
  readonly sentinelIds: readonly number[];
  /** What comes before every text's own ids: nothing in most models, `<s>` in some. */
  readonly beforeIds: readonly number[];
  /** What comes after every text's own ids: `eosId` in most models. */
  readonly afterIds: readonly number[];
  /** Whether a text that is too long loses its beginning, not its end. */
  readonly cutsBeginning: boolean;
  /** The ids of `text`, between `beforeIds` and `afterIds`. */
  encode(text: string): number[];
  /** The ids of `text` alone. */
  encodePart(text: string): number[];
  /** The ids of `text` alone, and where each stands in it. */
  encodeWithOffsets(text: string): EncodedText;
  /** The text of `ids`, without special tokens. */
  decode(ids: Iterable<number>): string;
  /** The text of `ids` as far as it stays the same whatever ids may follow. */
  decodeCertain(ids: Iterable<number>): string;
  /** The token of an id, as the vocabulary has it. */
  tokenOf(id: number): string | undefined;
  /** The id of a token, as the vocabulary has it. */
  idOf(token: string): number | undefined;
}

/** A text's ids with, for each, the characters (code points) of the text that it begins and ends at. */
export interface EncodedText {
  readonly ids: readonly number[];
  readonly offsets: readonly Offset[];
}

/** Words remembered; English text of any length rarely has more. */
const WORD_CACHE_SIZE = 200_000;

/** Longer words (of a script without spaces, say) hardly come twice. */
const LONGEST_WORD = 40;

/**
 * A tokenizer from the parsed contents of `tokenizer.json` and, if there is one,
 * `tokenizer_config.json`, of which the names of special tokens and the clean-up of spaces are read.
 *
 * @throws UserError when the contents are not a tokenizer's, or have a part that is not done here
 */
export function createTokenizer(tokenizerJson: unknown, tokenizerConfig: unknown = {}): Tokenizer {
  try {
    return open(asTokenizer(tokenizerJson), tokenizerConfig as Record<string, unknown>);
  } catch (error) {
    if (error instanceof UserError) throw error;
    const reason = error instanceof Error ? error.message : String(error);
    throw new UserError(`The tokenizer is not a usable Hugging Face tokenizer.json: ${reason}.`);
  }
}

function open(json: TokenizerJson, config: Record<string, unknown>): Tokenizer {
  const model = createModel(json.model);
  const added = numberTokens(json.added_tokens ?? [], model.idOf, model.size);
  const normalize = createNormalizer(json.normalizer ?? null);
  const preTokenize = createPreTokenizer(json.pre_tokenizer ?? null);
  const frame = createFrame(json.post_processor ?? null);
  const decodeTokens = createDecoder(json.decoder ?? null);
  const finding = { splitsSpecial: config.split_special_tokens === true };
  const findPlain = plainFinder(added, finding);
  const findNormalized = normalizedFinder(added, normalize, finding);

  const addedById = new Map(added.map((token) => [token.id, token]));
  const idsByContent = new Map(added.map(({ content, id }) => [content, id]));
  const idOf = (token: string) => idsByContent.get(token) ?? model.idOf(token);
  const named = (key: string, usual: string) => {
    const token = config[key] as string | { content: string } | null | undefined;
    return idOf(typeof token === "object" ? token?.content ?? usual : token ?? usual);
  };
  const eosId = named("eos_token", "</s>") ?? frame.after.at(-1);
  if (eosId === undefined) {
    throw new UserError(
      `The tokenizer has no </s>, nor another token that ends a text; use the model's own tokenizer.json.`,
    );
  }

  const inBytes = hasPart(json.pre_tokenizer, "ByteLevel");
  const words = new Map<string, readonly Token[]>();
  function encodeWord(word: string): readonly Token[] {
    const known = words.get(word);
    if (known !== undefined) return known;
    const tokens = model.encode(word);
    if (word.length <= LONGEST_WORD && words.size < WORD_CACHE_SIZE) words.set(word, tokens);
    return tokens;
  }

  /** The tokens of a stretch of text that holds no added token as it is written. */
  function encodeStretch(text: string, isFirst: boolean): Token[] {
    return findNormalized(normalize(text)).flatMap(({ text: part, begin, id }) => {
      if (id !== undefined) return [{ text: inBytes ? byteLetters(part) : part, ids: [id] }];
      const words = preTokenize([{ text: part, isFirst: isFirst && begin === 0 }]);
      return words.flatMap((word) => encodeWord(word.text));
    });
  }

  function encodePart(text: string): number[] {
    const ids: number[] = [];
    for (const { text: part, begin, id } of findPlain(text.toWellFormed())) {
      if (id !== undefined) ids.push(id);
      else for (const token of encodeStretch(part, begin === 0)) ids.push(...token.ids);
    }
    return ids;
  }

  const places = inBytes ? bytePieceOffsets : pieceOffsets;
  function encodeWithOffsets(text: string): EncodedText {
    const ids: number[] = [], offsets: Offset[] = [];
    let start = 0; // in characters
    for (const { text: part, begin, id } of findPlain(text.toWellFormed())) {
      const end = start + codePoints(part);
      if (id !== undefined) {
        ids.push(id);
        offsets.push([start, end]);
      } else {
        const tokens = encodeStretch(part, begin === 0);
        const found = places(part, tokens.map((token) => token.text), normalize);
        // A token that is spelled in bytes has several ids in the same place.
        for (const [i, token] of tokens.entries()) {
          for (const id of token.ids) {
            ids.push(id);
            offsets.push([start + found[i][0], start + found[i][1]]);
          }
        }
      }
      start = end;
    }
    return { ids, offsets };
  }

  const cleansUp = config.clean_up_tokenization_spaces === true && !model.isBpe;
  /** The tokens of ids as they are read: without special ones. */
  function readable(ids: Iterable<number>): string[] {
    const tokens: string[] = [];
    for (const id of ids) {
      const special = addedById.get(id);
      const token = special
        ? special.normalized ? normalize(special.content) : special.content
        : model.tokenOf(id);
      if (token !== undefined && !special?.special) tokens.push(token);
    }
    return tokens;
  }

  function join(tokens: readonly string[]): string {
    const text = tokens.length === 0 ? "" : decodeTokens(tokens).join("");
    return cleansUp ? cleanUp(text) : text;
  }
  const spellsBytes = hasPart(json.decoder, "ByteFallback");

  return {
    vocabSize: added.reduce((limit, { id }) => Math.max(limit, id + 1), model.idLimit),
    padId: named("pad_token", "<pad>"),
    eosId,
    unkId: model.unkId ?? named("unk_token", "<unk>"),
    sentinelIds: sentinels(idOf),
    beforeIds: frame.before,
    afterIds: frame.after,
    cutsBeginning: /^left$/i.test(
      String(config.truncation_side ?? json.truncation?.direction ?? "right"),
    ),
    encode: (text) => [...frame.before, ...encodePart(text), ...frame.after],
    encodePart,
    encodeWithOffsets,
    decode: (ids) => join(readable(ids)),
    decodeCertain(ids) {
      const tokens = readable(ids);
      // Bytes in a row are read together: one that does not fit makes all of them unreadable.
      while (spellsBytes && BYTE.test(tokens.at(-1) ?? "")) tokens.pop();
      const text = join(tokens).replace(INCOMPLETE, "");
      return cleansUp ? text.replace(CLEANED_LATER, "") : text;
    },
    tokenOf: (id) => addedById.get(id)?.content ?? model.tokenOf(id),
    idOf,
  };
}

/** A token that stands for one byte. */
const BYTE = /^<0x[0-9A-Fa-f]{2}>$/;

/** Stands at the end of a text for the bytes of a character of which more are to come. */
const INCOMPLETE = /\uFFFD+$/;

/** What a clean-up may still join with what comes before it. */
const CLEANED_LATER = / +(?:'[vr]?|n'?)?$/;

/**
 * Checks that a model with `modelVocabSize` embeddings has one for every id of the tokenizer.
 * (The other way round is usual: T5 pads 32,100 ids to 32,128 embeddings.)
 *
 * @throws UserError when it has not
 */
export function checkTokenizerFits(tokenizer: Tokenizer, modelVocabSize: number): void {
  if (tokenizer.vocabSize > modelVocabSize) {
    const last = tokenizer.vocabSize - 1;
    throw new UserError(
      `The tokenizer has ${tokenizer.vocabSize} ids, the last of which, ${last}, is that of ` +
        `${JSON.stringify(tokenizer.tokenOf(last))}, but the model's vocabulary only ` +
        `${modelVocabSize}; use the tokenizer that the model was trained with.`,
    );
  }
}

function codePoints(text: string): number {
  let count = 0;
  for (const _ of text) count++;
  return count;
}

function sentinels(idOf: (token: string) => number | undefined): number[] {
  // mT5's are pieces of its SentencePiece model, with a word's mark before them.
  const find = (i: number) => idOf(`<extra_id_${i}>`) ?? idOf(`\u2581<extra_id_${i}>`);
  const ids: number[] = [];
  for (let id; (id = find(ids.length)) !== undefined;) ids.push(id);
  return ids;
}

/** Whether a component is of a type, or one of those in it is. */
function hasPart(component: Component | null, type: string): boolean {
  if (!component) return false;
  const parts = (component.decoders ?? component.pretokenizers ?? []) as Component[];
  return component.type === type || parts.some((part) => hasPart(part, type));
}
