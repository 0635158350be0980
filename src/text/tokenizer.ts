/**
 * The text side of a model: strings to ids and back, by a Hugging Face `tokenizer.json`.
 *
 * Invariant: `encode` gives the ids that the `tokenizers` package for Python gives, ending with the
 * end-of-sequence id. Known exceptions, none in ordinary text, come from `@huggingface/tokenizers`
 * using the platform's NFKC where T5 has a table of its own: letters newer than that table's Unicode
 * version, U+0344, U+0085 inside a word, and a combining mark after a compatibility character
 * (`ﬁ` + accent), which Python drops and this keeps.
 */

import { Tokenizer as HubTokenizer } from "@huggingface/tokenizers";
import { UserError } from "../errors.ts";

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
  /** The text of `ids`, without special tokens and with no clean-up of spaces. */
  decode(ids: Iterable<number>): string;
}

/**
 * Words separated by single spaces, made of letters and signs that no normaliser joins with a
 * neighbour across a space. In such a text words are tokenised one by one, hence can be remembered:
 * ten times as fast. A last space (every SST-2 sentence has one) counts as an empty word.
 */
const PLAIN_WORDS =
  /^[!-~\u00C0-\u024F\u2013\u2014\u2018-\u201D]+(?: [!-~\u00C0-\u024F\u2013\u2014\u2018-\u201D]+)* ?$/;

/** Words remembered; English text of any length rarely has more. */
const WORD_CACHE_SIZE = 200_000;

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

  const encodeWhole = (text: string) => hub.encode(text, { add_special_tokens: false }).ids;
  const isWordwise = splitsAtSpaces(tokenizerJson);
  const holdsAddedToken = addedTokenPattern(tokenizerJson);
  const words = new Map<string, number[]>();

  function encodeWord(word: string): number[] {
    let ids = words.get(word);
    if (ids === undefined) {
      ids = encodeWhole(word);
      if (words.size < WORD_CACHE_SIZE) words.set(word, ids);
    }
    return ids;
  }

  return {
    vocabSize,
    padId,
    eosId,
    unkId,
    sentinelIds: sentinels(hub),
    encode(text) {
      const ids = isWordwise && PLAIN_WORDS.test(text) && !holdsAddedToken.test(text)
        ? text.split(" ").flatMap((word) => encodeWord(word || " "))
        : encodeWhole(text);
      ids.push(eosId);
      return ids;
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
    return new HubTokenizer(tokenizerJson as object, tokenizerConfig as object);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new UserError(`The tokenizer is not a usable Hugging Face tokenizer.json: ${reason}.`);
  }
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
