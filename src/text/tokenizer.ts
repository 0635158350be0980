/**
 * The text side of a model: strings to ids and back, by a Hugging Face `tokenizer.json`.
 *
 * Invariant: `encode` gives the ids that the `tokenizers` package for Python gives, ending with the
 * end-of-sequence id. Two exceptions are known: a special token written in full-width letters
 * (`＜/s＞`), before which Python puts a space, and U+0085, at which Python's `WhitespaceSplit` cuts.
 */

import {
  type Normalizer,
  PrecompiledNormalizer,
  SequenceNormalizer,
  Tokenizer as HubTokenizer,
} from "@huggingface/tokenizers";
import { base64Decode } from "@bufbuild/protobuf/wire";
import { UserError } from "../errors.ts";
import { charsmapNormalizer } from "./charsmap.ts";
import { type Offset, pieceOffsets } from "./offsets.ts";

/** Strings to ids and back. */
export interface Tokenizer {
  /** Number of ids; every id is below it. */
  readonly vocabSize: number;
  /** Padding, and the decoder's first input: 0 in every T5. */
  readonly padId: number;
  /** End of sequence. */
  readonly eosId: number;
  /** What stands for text that has no piece. */
  readonly unkId: number;
  /** `<extra_id_0>`, `<extra_id_1>`, …: span corruption's placeholders. Empty when there are none. */
  readonly sentinelIds: readonly number[];
  /** The ids of `text`, `eosId` last. */
  encode(text: string): number[];
  /** The ids of `text` without `eosId`, and where each stands in it. */
  encodeWithOffsets(text: string): EncodedText;
  /** The text of `ids`, without special tokens and with no clean-up of spaces. */
  decode(ids: Iterable<number>): string;
}

/** A text's ids with, for each, the characters (code points) of the text that it begins and ends at. */
export interface EncodedText {
  readonly ids: readonly number[];
  readonly offsets: readonly Offset[];
}

/** A class of characters: of English and other European text, with its quotes and dashes. */
const PLAIN = "!-~\\u00C0-\\u024F\\u2013\\u2014\\u2018-\\u201D";

/**
 * Spaces between letters and signs that no normaliser joins with a neighbour across a space. What stands
 * between two of them is tokenised by itself, hence can be remembered: ten times as fast.
 */
const BETWEEN_WORDS = new RegExp("(?<=[x]) (?=[x])".replaceAll("x", PLAIN), "g");

/** Words remembered; English text of any length rarely has more. */
const WORD_CACHE_SIZE = 200_000;

/** Longer stretches without such a space (of another script, say) hardly come twice. */
const LONGEST_WORD = 40;

/**
 * A tokenizer from the parsed contents of `tokenizer.json` and, if there is one,
 * `tokenizer_config.json`.
 *
 * @throws UserError when the contents are not a tokenizer's, or lack a special token T5 needs
 */
export function createTokenizer(tokenizerJson: unknown, tokenizerConfig: unknown = {}): Tokenizer {
  const hub = openHubTokenizer(tokenizerJson, tokenizerConfig);
  const padId = specialId(hub, "<pad>");
  const eosId = specialId(hub, "</s>");
  const unkId = specialId(hub, "<unk>");
  if (padId !== 0) {
    throw new UserError(
      `The tokenizer gives <pad> the id ${padId}, but T5 models pad with 0; use the model's own tokenizer.json.`,
    );
  }

  let vocabSize = 0;
  for (const id of hub.get_vocab().values()) vocabSize = Math.max(vocabSize, id + 1);

  const unknown = hasByteFallback(tokenizerJson)
    ? (token: string) => byteIds(hub, token) ?? unkId
    : () => unkId;
  const idsOf = (token: string) => hub.token_to_id(token) ?? unknown(token);
  const isWordwise = splitsAtSpaces(tokenizerJson);
  const holdsAddedToken = addedTokenPattern(tokenizerJson);
  const split = (text: string) =>
    isWordwise && !holdsAddedToken.test(text) ? text.split(BETWEEN_WORDS) : [text];
  const words = new Map<string, EncodedText>();

  function encodeWord(word: string): EncodedText {
    const known = words.get(word);
    if (known !== undefined) return known;
    const pieces = hub.tokenize(word);
    const places = pieceOffsets(word, pieces, (part) => hub.normalizer?.normalize(part) ?? part);
    // A piece that is spelled in bytes has several ids in the same place.
    const encoded = pieces.map((piece) => [idsOf(piece)].flat());
    const offsets = encoded.flatMap((ids, i) => ids.map(() => places[i]));
    const result = { ids: encoded.flat(), offsets };
    if (word.length <= LONGEST_WORD && words.size < WORD_CACHE_SIZE) words.set(word, result);
    return result;
  }

  return {
    vocabSize,
    padId,
    eosId,
    unkId,
    sentinelIds: sentinels(hub),
    encode(text) {
      const ids = split(text).flatMap((word) => encodeWord(word).ids);
      ids.push(eosId);
      return ids;
    },
    encodeWithOffsets(text) {
      const ids: number[] = [], offsets: Offset[] = [];
      let start = 0;
      for (const word of split(text)) {
        const encoded = encodeWord(word);
        for (const id of encoded.ids) ids.push(id);
        for (const [begin, end] of encoded.offsets) offsets.push([start + begin, start + end]);
        start += codePoints(word) + 1;
      }
      return { ids, offsets };
    },
    decode(ids) {
      const list = [...ids];
      if (list.length === 0) return "";
      return hub.decode(list, { skip_special_tokens: true, clean_up_tokenization_spaces: false });
    },
  };
}

/**
 * Checks that a model with `modelVocabSize` embeddings has one for every id of the tokenizer.
 * (The other way round is usual: T5 pads 32,100 ids to 32,128 embeddings.)
 *
 * @throws UserError when it has not
 */
export function checkTokenizerFits(tokenizer: Tokenizer, modelVocabSize: number): void {
  if (tokenizer.vocabSize > modelVocabSize) {
    throw new UserError(
      `The tokenizer has ${tokenizer.vocabSize} ids but the model's vocabulary only ${modelVocabSize}; ` +
        `use the tokenizer.json the model was trained with.`,
    );
  }
}

function openHubTokenizer(tokenizerJson: unknown, tokenizerConfig: unknown): HubTokenizer {
  try {
    const hub = new HubTokenizer(tokenizerJson as object, tokenizerConfig as object);
    useCharsmap(hub.normalizer);
    // Joined, unknown characters would be a token without their text.
    if (hub.model && hasByteFallback(tokenizerJson)) hub.model.fuse_unk = false;
    return hub;
  } catch (error) {
    if (error instanceof UserError) throw error;
    const reason = error instanceof Error ? error.message : String(error);
    throw new UserError(`The tokenizer is not a usable Hugging Face tokenizer.json: ${reason}.`);
  }
}

/**
 * Makes a model's own table of replacements normalise. The library reads past it and applies the
 * platform's NFKC, which differs in what is newer than the table's Unicode version, in U+0085, U+0344, …
 */
function useCharsmap(normalizer: Normalizer | null): void {
  if (normalizer instanceof SequenceNormalizer) normalizer.normalizers.forEach(useCharsmap);
  if (normalizer instanceof PrecompiledNormalizer && normalizer.charsmap) {
    normalizer.normalize = charsmapNormalizer(base64Decode(normalizer.charsmap));
  }
}

function codePoints(text: string): number {
  let count = 0;
  for (const _ of text) count++;
  return count;
}

function specialId(hub: HubTokenizer, token: string): number {
  const id = hub.token_to_id(token);
  if (id === undefined) {
    throw new UserError(
      `The tokenizer has no ${token}, which T5 models need; use the model's own tokenizer.json.`,
    );
  }
  return id;
}

function sentinels(hub: HubTokenizer): number[] {
  const ids: number[] = [];
  for (let id; (id = hub.token_to_id(`<extra_id_${ids.length}>`)) !== undefined;) ids.push(id);
  return ids;
}

/** Whether text that has no piece is spelled in pieces that stand for bytes. */
function hasByteFallback(tokenizerJson: unknown): boolean {
  return (tokenizerJson as { model: { byte_fallback?: boolean } }).model.byte_fallback === true;
}

/** The ids of a text's UTF-8 bytes, `<0x00>` to `<0xFF>`, if the tokenizer has them all. */
function byteIds(hub: HubTokenizer, text: string): number[] | undefined {
  const ids = Array.from(
    new TextEncoder().encode(text),
    (byte) => hub.token_to_id(`<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`),
  );
  return ids.every((id) => id !== undefined) ? ids : undefined;
}

/** Whether the pre-tokenizer cuts at spaces and marks every word's start, as SentencePiece's does. */
function splitsAtSpaces(tokenizerJson: unknown): boolean {
  const { pre_tokenizer } = tokenizerJson as { pre_tokenizer: PreTokenizer | null };
  const last = pre_tokenizer?.pretokenizers?.at(-1) ?? pre_tokenizer;
  return last?.type === "Metaspace" && last.prepend_scheme === "always" && last.split !== false;
}

interface PreTokenizer {
  readonly type: string;
  readonly prepend_scheme?: string;
  readonly split?: boolean;
  readonly pretokenizers?: readonly PreTokenizer[];
}

/** Matches text that holds an added token (a sentinel, say), which may stand inside a word. */
function addedTokenPattern(tokenizerJson: unknown): RegExp {
  const { added_tokens } = tokenizerJson as { added_tokens?: readonly { content: string }[] };
  const contents = (added_tokens ?? []).map(({ content }) => RegExp.escape(content));
  return contents.length === 0 ? /(?!)/ : new RegExp(contents.join("|"));
}
