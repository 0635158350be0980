/**
 * The file format of SentencePiece models: the message ModelProto of sentencepiece_model.proto.
 *
 * Invariant: what is read is whole, and a unigram model as T5 can have one; anything else is refused with
 * the reason.
 */

import { BinaryReader, WireType } from "@bufbuild/protobuf/wire";
import { UserError } from "../errors.ts";

/** What a piece is for; the numbers of sentencepiece_model.proto. */
export const PieceType = { unknown: 2, control: 3, userDefined: 4 } as const;
const UNIGRAM = 1;
const MODEL_TYPES: Record<number, string> = { 2: "BPE", 3: "word", 4: "character" };

/** An entry of the vocabulary. */
export interface Piece {
  readonly text: string;
  /** Natural logarithm of its probability. */
  readonly score: number;
  readonly type: number;
}

/** What the model was trained to do. */
export interface Trainer {
  readonly modelType: number;
  readonly splitByWhitespace: boolean;
  readonly whitespaceAsSuffix: boolean;
  readonly byteFallback: boolean;
}

/** What is done to text first. */
export interface Normalizer {
  readonly charsmap: Uint8Array;
  readonly addDummyPrefix: boolean;
  readonly removeExtraWhitespaces: boolean;
  readonly escapeWhitespaces: boolean;
}

/** A model as its file has it. */
export interface SentencePieceModel {
  readonly pieces: readonly Piece[];
  readonly trainer: Trainer;
  readonly normalizer: Normalizer;
}

/**
 * Reads a file and checks that it can be used.
 *
 * @throws {UserError} when it is damaged, or not a unigram model
 */
export function readSentencePiece(bytes: Uint8Array, file: string): SentencePieceModel {
  const fail = (reason: string): never => {
    throw new UserError(`${file} is not a usable SentencePiece model: ${reason}.`);
  };
  let model: ReturnType<typeof parseModel>;
  try {
    model = parseModel(bytes);
  } catch (error) {
    return fail((error as Error).message);
  }
  const { pieces, trainer, normalizer } = model;
  if (pieces.length === 0) return fail("it has no pieces");
  if (!trainer || !normalizer) {
    return fail(`it ends after ${pieces.length} pieces; fetch it again`);
  }
  if (trainer.modelType !== UNIGRAM) {
    const type = MODEL_TYPES[trainer.modelType] ?? `type ${trainer.modelType}`;
    fail(`it is a ${type} model, and T5 uses unigram models`);
  }
  if (trainer.whitespaceAsSuffix || !normalizer.escapeWhitespaces) {
    fail("it does not write a word's space as \u2581 in front of it, as T5's do");
  }
  const seen = new Map<string, number>();
  for (const [id, { text, score }] of pieces.entries()) {
    if (text === "") fail(`piece ${id} is empty`);
    if (!Number.isFinite(score)) fail(`the score of piece ${id} is ${score}`);
    if (seen.has(text)) fail(`pieces ${seen.get(text)} and ${id} are both ${JSON.stringify(text)}`);
    seen.set(text, id);
  }
  if (!pieces.some(({ type }) => type === PieceType.unknown)) {
    fail("no piece stands for unknown text");
  }
  if (!seen.has("</s>")) fail("it has no </s>, which ends a T5's texts");
  return { pieces, trainer, normalizer };
}

function parseModel(bytes: Uint8Array) {
  const model: { pieces: Piece[]; trainer?: Trainer; normalizer?: Normalizer } = { pieces: [] };
  readFields(bytes, {
    1: (field) => model.pieces.push(parsePiece(field.bytes())),
    2: (field) => model.trainer = parseTrainer(field.bytes()),
    3: (field) => model.normalizer = parseNormalizer(field.bytes()),
  });
  return model;
}

function parsePiece(bytes: Uint8Array): Piece {
  const piece = { text: "", score: 0, type: 1 };
  readFields(bytes, {
    1: (field) => piece.text = field.string(),
    2: (field) => piece.score = field.float(),
    3: (field) => piece.type = field.integer(),
  });
  return piece;
}

function parseTrainer(bytes: Uint8Array): Trainer {
  const trainer = {
    modelType: UNIGRAM,
    splitByWhitespace: true,
    whitespaceAsSuffix: false,
    byteFallback: false,
  };
  readFields(bytes, {
    3: (field) => trainer.modelType = field.integer(),
    22: (field) => trainer.splitByWhitespace = field.boolean(),
    24: (field) => trainer.whitespaceAsSuffix = field.boolean(),
    35: (field) => trainer.byteFallback = field.boolean(),
  });
  return trainer;
}

function parseNormalizer(bytes: Uint8Array): Normalizer {
  const normalizer = {
    charsmap: new Uint8Array(),
    addDummyPrefix: true,
    removeExtraWhitespaces: true,
    escapeWhitespaces: true,
  };
  readFields(bytes, {
    2: (field) => normalizer.charsmap = field.bytes(),
    3: (field) => normalizer.addDummyPrefix = field.boolean(),
    4: (field) => normalizer.removeExtraWhitespaces = field.boolean(),
    5: (field) => normalizer.escapeWhitespaces = field.boolean(),
  });
  return normalizer;
}

/** One field's value, to be read as the type the schema gives it. */
interface Field {
  bytes(): Uint8Array<ArrayBuffer>;
  string(): string;
  float(): number;
  integer(): number;
  boolean(): boolean;
}

/**
 * Hands every field of a message to the function at its number and skips the others.
 *
 * @throws {Error} when the message is cut off, or a field has another type than it is read as
 */
function readFields(bytes: Uint8Array, fields: Record<number, (field: Field) => void>): void {
  const reader = new BinaryReader(bytes);
  while (reader.pos < reader.len) {
    const [number, type] = reader.tag();
    const read = fields[number];
    if (!read) {
      reader.skip(type, number);
      continue;
    }
    const expect = (expected: WireType) => {
      if (type !== expected) {
        throw new Error(`field ${number} is of wire type ${type} where ${expected} belongs`);
      }
      return reader;
    };
    read({
      bytes: () => new Uint8Array(expect(WireType.LengthDelimited).bytes()),
      string: () => expect(WireType.LengthDelimited).string(true),
      float: () => expect(WireType.Bit32).float(),
      integer: () => expect(WireType.Varint).int32(),
      boolean: () => expect(WireType.Varint).uint32() !== 0,
    });
  }
}
