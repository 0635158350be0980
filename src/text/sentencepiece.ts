/**
 * SentencePiece models (`spiece.model`), which many T5 checkpoints have in place of a `tokenizer.json`.
 *
 * Invariant: the result is what `transformers` 4 converts the file of a T5 to, the library behind the
 * reference implementation and the published `tokenizer.json`s, so ids are the same whichever of the two
 * files a model has. (SentencePiece itself also drops spaces at either end of a text.)
 */

import { base64Encode, BinaryReader, WireType } from "@bufbuild/protobuf/wire";
import { UserError } from "../errors.ts";

/** T5's placeholders of span corruption; `<extra_id_0>` has the highest id. */
const SENTINELS = 100;

/** What a piece is for; the numbers of sentencepiece_model.proto. */
const PieceType = { unknown: 2, control: 3, userDefined: 4 } as const;
const UNIGRAM = 1;
const MODEL_TYPES: Record<number, string> = { 2: "BPE", 3: "word", 4: "character" };

interface Piece {
  readonly text: string;
  /** Natural logarithm of its probability. */
  readonly score: number;
  readonly type: number;
}

interface Trainer {
  readonly modelType: number;
  readonly splitByWhitespace: boolean;
  readonly whitespaceAsSuffix: boolean;
  readonly byteFallback: boolean;
}

interface Normalizer {
  readonly charsmap: Uint8Array;
  readonly addDummyPrefix: boolean;
  readonly removeExtraWhitespaces: boolean;
  readonly escapeWhitespaces: boolean;
}

interface SentencePieceModel {
  readonly pieces: readonly Piece[];
  readonly trainer: Trainer;
  readonly normalizer: Normalizer;
}

/**
 * The parsed contents of `tokenizer.json` and `tokenizer_config.json` for a T5's SentencePiece model,
 * its 100 sentinels added.
 *
 * @param bytes the file
 * @param file its name, for errors
 * @throws {UserError} when it is damaged, or not a unigram model
 */
export function sentencepieceTokenizer(
  bytes: Uint8Array,
  file: string,
): { tokenizer: object; config: object } {
  const { pieces, trainer, normalizer } = readModel(bytes, file);
  const sentinels = Array.from({ length: SENTINELS }, (_, i) => `<extra_id_${i}>`);
  const vocab = [
    ...pieces.map(({ text, score }) => [text, score] as const),
    ...sentinels.toReversed().map((text) => [text, 0] as const),
  ];
  const addedTokens = vocab.flatMap(([content], id) => {
    const type = pieces[id]?.type ?? PieceType.control;
    const special = type === PieceType.control || type === PieceType.unknown;
    return special || type === PieceType.userDefined ? [addedToken(id, content, special)] : [];
  });
  const eosId = pieces.findIndex(({ text }) => text === "</s>");
  const metaspace = {
    type: "Metaspace",
    replacement: "\u2581",
    prepend_scheme: normalizer.addDummyPrefix ? "always" : "never",
    split: trainer.splitByWhitespace,
  };
  return {
    tokenizer: {
      version: "1.0",
      truncation: null,
      padding: null,
      added_tokens: addedTokens,
      normalizer: normalizerJson(normalizer),
      pre_tokenizer: metaspace,
      post_processor: postProcessor(eosId),
      decoder: trainer.byteFallback ? byteFallbackDecoder : metaspace,
      model: {
        type: "Unigram",
        unk_id: pieces.findIndex(({ type }) => type === PieceType.unknown),
        vocab,
        byte_fallback: trainer.byteFallback,
      },
    },
    config: {
      tokenizer_class: "T5Tokenizer",
      pad_token: "<pad>",
      eos_token: "</s>",
      unk_token: "<unk>",
      extra_ids: SENTINELS,
      additional_special_tokens: sentinels,
      clean_up_tokenization_spaces: false,
    },
  };
}

function addedToken(id: number, content: string, special: boolean) {
  return {
    id,
    content,
    single_word: false,
    lstrip: false,
    rstrip: false,
    normalized: false,
    special,
  };
}

function normalizerJson({ charsmap, removeExtraWhitespaces }: Normalizer) {
  const normalizers = [];
  if (charsmap.length > 0) {
    normalizers.push({ type: "Precompiled", precompiled_charsmap: base64Encode(charsmap) });
  }
  if (removeExtraWhitespaces) {
    normalizers.push({ type: "Replace", pattern: { Regex: " {2,}" }, content: " " });
  }
  return { type: "Sequence", normalizers };
}

function postProcessor(eosId: number) {
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

/** Reads the message ModelProto of sentencepiece_model.proto and checks that it can be used. */
function readModel(bytes: Uint8Array, file: string): SentencePieceModel {
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
