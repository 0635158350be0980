import { suite } from "uvu";
import * as assert from "uvu/assert";
import { UserError } from "../../src/errors.ts";
import { type SentencePieceOptions, sentencepieceTokenizer } from "../../src/text/sentencepiece.ts";
import { createTokenizer, type Tokenizer } from "../../src/text/tokenizer.ts";

const test = suite("sentencepiece");

const at = (path: string) => new URL(path, import.meta.url);
const fixture = (name: string) => Deno.readFile(at(`../fixtures/sentencepiece/${name}`));
const unigram = await fixture("unigram.model");
const bytes = await fixture("bytes.model");
const expected: Record<string, [text: string, ids: number[]][]> = JSON.parse(
  await Deno.readTextFile(at("../fixtures/sentencepiece/expected.json")),
);

function open(model: Uint8Array, rule?: "file"): Tokenizer {
  const { tokenizer, config } = sentencepieceTokenizer(model, "spiece.model", rule && { rule });
  return createTokenizer(tokenizer, config);
}

/** The one sentence a user gets for a damaged model; any other error fails the test. */
function refusal(model: Uint8Array): string | undefined {
  try {
    open(model);
  } catch (error) {
    if (error instanceof UserError) return error.message;
    throw error;
  }
}

const varint = (value: number): number[] =>
  value < 128 ? [value] : [value & 127 | 128, ...varint(value >> 7)];

/** A protobuf field: its tag and bytes, which their number precedes if `type` is 2. */
function field(number: number, type: number, ...content: (number | Uint8Array)[]): Uint8Array {
  const value = content.flatMap((part) => typeof part === "number" ? [part] : [...part]);
  const length = type === 2 ? varint(value.length) : [];
  return new Uint8Array([...varint(number << 3 | type), ...length, ...value]);
}

const concat = (...parts: Uint8Array[]) => new Uint8Array(parts.flatMap((part) => [...part]));
const utf8 = (text: string) => new TextEncoder().encode(text);
const piece = (text: string, type = 1, score = [0, 0, 128, 191]) =>
  field(1, 2, field(1, 2, utf8(text)), field(2, 5, ...score), field(3, 0, type));
const required = [piece("<pad>", 3), piece("</s>", 3), piece("<unk>", 2)];
const trainer = field(2, 2);
const normalizer = field(3, 2);

test("encodes as the converted tokenizer does in Python", () => {
  const tokenizer = open(unigram, "file");
  for (const [text, ids] of expected.unigram) {
    assert.equal(tokenizer.encode(text), ids, JSON.stringify(text));
  }
});

test("spells what has no piece in bytes, if the model does, and reads them back", () => {
  const tokenizer = open(bytes);
  for (const [text, ids] of expected.bytes) {
    assert.equal(tokenizer.encode(text), ids, JSON.stringify(text));
  }
  for (const text of ["\u6771\u4eac and \u{1F680}", "na\u00efve caf\u00e9"]) {
    assert.is(tokenizer.decode(tokenizer.encode(text)), text);
  }
});

test("has T5's sentinels after the pieces, the first of them last", () => {
  const { vocabSize, padId, eosId, unkId, sentinelIds } = open(unigram);
  assert.equal({ vocabSize, padId, eosId, unkId }, {
    vocabSize: 300,
    padId: 0,
    eosId: 1,
    unkId: 2,
  });
  assert.is(sentinelIds.length, 100);
  assert.equal([sentinelIds[0], sentinelIds[99]], [299, 200]);
});

test("does with spaces what the model says", () => {
  const model = concat(
    ...required,
    piece("a"),
    piece("b"),
    piece("\u2581"),
    piece("a\u2581b"),
    field(2, 2, field(22, 0, 0)), // pieces may span words
    field(3, 2, field(3, 0, 0), field(4, 0, 0)), // no space in front, and several are kept
  );
  assert.equal(open(model).encode("a b"), [6, 1]);
  assert.equal(open(model).encode("a  b"), [3, 5, 5, 4, 1]);
});

test("a symbol of the user's is one token wherever it stands", () => {
  const model = concat(
    ...required,
    piece("a"),
    piece("[x]", 4),
    piece("\u2581"),
    trainer,
    normalizer,
  );
  assert.equal(open(model).encode("a[x]"), [5, 3, 4, 1]);
});

test("a file that ends too soon is refused wherever it ends", () => {
  for (let end = 0; end < unigram.length; end++) {
    const message = refusal(unigram.subarray(0, end));
    // After its last field with a meaning, an empty table of denormalisation is left.
    if (end < unigram.length - 2) {
      assert.match(message ?? `accepted ${end} bytes`, /^spiece\.model is not a usable/);
    }
  }
});

test("a damaged byte is refused or harmless, and never an error of another kind", () => {
  const flips = [0x01, 0x80, 0xff];
  for (let index = 0; index < unigram.length; index++) {
    const damaged = unigram.slice();
    damaged[index] ^= flips[index % flips.length];
    refusal(damaged);
  }
});

test("fields of other types and impossible lengths are refused by name", () => {
  const cases: [Uint8Array, RegExp][] = [
    [field(1, 0, 5), /field 1 is of wire type 0 where 2 belongs/],
    [field(1, 2, field(2, 2, 1, 2)), /field 2 is of wire type 2 where 5 belongs/],
    [field(1, 2, field(3, 5, 0, 0, 0, 0)), /field 3 is of wire type 5 where 0 belongs/],
    [new Uint8Array([1 << 3 | 2, 0xff, 0xff, 0xff, 0xff, 0x0f]), /premature EOF/],
    [new Uint8Array([9 << 3 | 2, 0xff, 0xff, 0xff, 0xff, 0x0f]), /premature EOF/],
    [field(1, 2, new Uint8Array([1 << 3 | 2, 100, 65])), /premature EOF/],
    [new Uint8Array([0xff, 0xff, 0xff, 0xff, 0xff, 0xff]), /spiece\.model/],
    [new Uint8Array(), /no pieces/],
    [utf8('{"version": "1.0"}'), /spiece\.model/],
  ];
  for (const [model, reason] of cases) assert.match(refusal(model) ?? "accepted", reason);
});

test("models that cannot be used are refused with the reason", async () => {
  const model = (...pieces: Uint8Array[]) => concat(...pieces, trainer, normalizer);
  const cases: [Uint8Array, RegExp][] = [
    [await fixture("bpe.model"), /BPE model/],
    [concat(...required, field(2, 2, field(3, 0, 4)), normalizer), /character model/],
    [concat(...required, trainer, field(3, 2, field(5, 0, 0))), /space/],
    [concat(...required), /ends after 3 pieces/],
    [model(...required, piece("a"), piece("a")), /pieces 3 and 4 are both "a"/],
    [model(...required, piece("")), /piece 3 is empty/],
    [model(...required, piece("a", 1, [0, 0, 192, 127])), /score of piece 3 is NaN/],
    [model(piece("<pad>", 3), piece("</s>", 3)), /unknown/],
    [model(piece("<pad>", 3), piece("<unk>", 2)), /no <\/s>/],
    [
      concat(...required, trainer, field(3, 2, field(2, 2, 255, 255, 255, 255, 0))),
      /precompiled_charsmap/,
    ],
  ];
  for (const [bytes, reason] of cases) assert.match(refusal(bytes) ?? "accepted", reason);
});

test("sentinels are those of the model, as many as asked for, or 100 where there is room", () => {
  const count = (model: Uint8Array, options: SentencePieceOptions) => {
    const { tokenizer, config } = sentencepieceTokenizer(model, "spiece.model", options);
    const { sentinelIds, vocabSize } = createTokenizer(tokenizer, config);
    return [sentinelIds.length, vocabSize];
  };
  const own = concat(...required, piece("\u2581<extra_id_1>", 4), piece("\u2581<extra_id_0>", 4));
  const cases: [Uint8Array, SentencePieceOptions, number[]][] = [
    [unigram, {}, [100, 300]],
    [unigram, { vocabSize: 300 }, [100, 300]],
    [unigram, { vocabSize: 256 }, [0, 200]],
    [unigram, { sentinels: 0 }, [0, 200]],
    [unigram, { sentinels: 7, vocabSize: 256 }, [7, 207]],
    [concat(own, trainer, normalizer), {}, [2, 5]],
    [concat(own, trainer, normalizer), { sentinels: 0 }, [2, 5]],
  ];
  for (const [model, options, expected] of cases) {
    assert.equal(count(model, options), expected, JSON.stringify(options));
  }
});

test.run();
