/**
 * Models of a `tokenizer.json`: how a word becomes tokens. Byte pairs and WordPiece are the library's.
 *
 * Invariant: ids are those of the `tokenizers` package for Python, one word at a time: unknown characters
 * are joined within a word only.
 */

import { BPE, type Model as HubModel, WordPiece } from "@huggingface/tokenizers";
import { UserError } from "../errors.ts";
import { type ModelJson, modelType, unsupported } from "./tokenizer-json.ts";
import { createUnigram } from "./unigram.ts";

/** A stretch of a word, and its ids: several where it is spelled in bytes. */
export interface Token {
  readonly text: string;
  readonly ids: readonly number[];
}

/** See the module's header. */
export interface Model {
  /** How many entries the vocabulary has. */
  readonly size: number;
  /** The highest id, plus one. */
  readonly idLimit: number;
  /** What stands for text that has no piece. */
  readonly unkId: number | undefined;
  /** Whether pieces are merged in pairs. */
  readonly isBpe: boolean;
  idOf(token: string): number | undefined;
  tokenOf(id: number): string | undefined;
  /** The tokens of a word. Their texts are its parts; where it cannot be said which, one has all ids. */
  encode(word: string): Token[];
}

/**
 * The model that a file describes.
 *
 * @throws {UserError} when it is one that is not done here, or damaged
 */
export function createModel(written: ModelJson): Model {
  const json: ModelJson = { ...written, type: modelType(written) };
  const { cut, names, ids } = open(json);
  const unkId = json.type === "Unigram" ? json.unk_id as number : ids.get(json.unk_token as string);
  const spellsBytes = json.byte_fallback === true;

  function token(text: string): Token {
    const id = ids.get(text);
    if (id !== undefined) return { text, ids: [id] };
    const bytes = spellsBytes ? byteIds(ids, text) : undefined;
    return { text, ids: bytes ?? (unkId === undefined ? [] : [unkId]) };
  }

  const mark = json.type === "WordPiece" ? json.continuing_subword_prefix as string : "";
  const unmark = ({ text, ids }: Token, i: number): Token => ({
    text: mark && i > 0 && text.startsWith(mark) ? text.slice(mark.length) : text,
    ids,
  });

  return {
    size: ids.size,
    idLimit: ids.values().reduce((limit, id) => Math.max(limit, id + 1), 0),
    unkId,
    isBpe: json.type === "BPE",
    idOf: (text) => ids.get(text),
    tokenOf: (id) => names[id],
    encode(word) {
      const tokens = joinBytes(cut(word).map(token)).map(unmark);
      const isWhole = tokens.map(({ text }) => text).join("") === word;
      return isWhole ? tokens : [{ text: word, ids: tokens.flatMap(({ ids }) => ids) }];
    },
  };
}

/** Cuts words into pieces; the pieces by their ids, and the other way round. */
interface Pieces {
  readonly cut: (word: string) => string[];
  readonly names: readonly string[];
  readonly ids: ReadonlyMap<string, number>;
}

function open(json: ModelJson): Pieces {
  const refuse = (what: string): never => {
    throw unsupported("model", `${json.type} with ${what}`);
  };
  const library = (model: HubModel): Pieces => ({
    cut: (word) => model._call([word]),
    names: model.vocab,
    ids: model.tokens_to_ids,
  });
  switch (json.type) {
    case "Unigram": {
      if (json.alpha) refuse(`alpha ${json.alpha}, which draws pieces at random`);
      const vocab = json.vocab as readonly (readonly [string, number])[];
      const unkId = json.unk_id as number | null;
      if (vocab[unkId!] === undefined) {
        throw new UserError(
          `The tokenizer's unk_id, ${unkId ?? "null"}, is none of its ${vocab.length} pieces; ` +
            `use the model's own tokenizer.json.`,
        );
      }
      return {
        cut: createUnigram(vocab, unkId!),
        names: vocab.map(([piece]) => piece),
        ids: new Map(vocab.map(([piece], id) => [piece, id])),
      };
    }
    case "BPE":
      if (json.dropout) refuse(`dropout ${json.dropout}, which merges at random`);
      if (json.continuing_subword_prefix) {
        refuse(`continuing_subword_prefix ${JSON.stringify(json.continuing_subword_prefix)}`);
      }
      return library(new BPE(json as never));
    case "WordPiece":
      return library(new WordPiece(json as never));
    case "WordLevel": {
      const ids = new Map(Object.entries(json.vocab as Record<string, number>));
      const names: string[] = [];
      for (const [name, id] of ids) names[id] = name;
      return { cut: (word) => [word], names, ids };
    }
    default:
      throw unsupported("model", json.type);
  }
}

const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/** Tokens `<0x00>` to `<0xFF>` in a row as one, with the text that they spell. */
function joinBytes(tokens: readonly Token[]): Token[] {
  const result: Token[] = [];
  let bytes: number[] = [];
  for (const { text, ids } of tokens) {
    const byte = /^<0x([0-9A-F]{2})>$/.exec(text)?.[1];
    if (byte === undefined) {
      bytes = [];
      result.push({ text, ids });
      continue;
    }
    const before = bytes.length > 0 ? result.pop()!.ids : [];
    bytes = [...bytes, parseInt(byte, 16)];
    result.push({ text: decoder.decode(new Uint8Array(bytes)), ids: [...before, ...ids] });
  }
  return result;
}

/** The ids of a text's UTF-8 bytes, `<0x00>` to `<0xFF>`, if the vocabulary has them all. */
function byteIds(vocabulary: ReadonlyMap<string, number>, text: string): number[] | undefined {
  const ids = Array.from(
    new TextEncoder().encode(text),
    (byte) => vocabulary.get(`<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`),
  );
  return ids.every((id) => id !== undefined) ? ids : undefined;
}
