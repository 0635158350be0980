import { suite } from "uvu";
import * as assert from "uvu/assert";
import { trainBpe } from "../../src/text/bpe-trainer.ts";
import { createTokenizer } from "../../src/text/tokenizer.ts";

const test = suite("bpe-trainer");

const text = [
  "The low tower is lower than the newest tower.",
  "A low wall, a lower wall: 12 and 122 and 12.",
  "The widest wall isn't the newest; “the lowest” wall is.",
];
const options = { vocabularySize: 50, sentinels: 4, minimumCharacterCount: 1 };

interface File {
  model: { vocab: Record<string, number>; merges: [string, string][] };
}
const train = (overrides = {}) => trainBpe(text, { ...options, ...overrides }) as unknown as File;
const tokenizer = createTokenizer(trainBpe(text, options));

test("lays the vocabulary out as T5 does", () => {
  const { vocab } = train().model;
  assert.equal([vocab["<pad>"], vocab["</s>"], vocab["<unk>"]], [0, 1, 2]);
  assert.is(tokenizer.vocabSize, 50);
  assert.equal(tokenizer.sentinelIds, [49, 48, 47, 46]);
  const ids = Object.values(vocab).sort((a, b) => a - b);
  assert.equal(ids, ids.map((_, i) => i), "every id once, without holes");
});

test("merges the commonest pair first, and every merge makes an entry", () => {
  const { vocab, merges } = train().model;
  assert.equal(merges[0], ["o", "w"]);
  for (const [left, right] of merges) assert.ok(left + right in vocab, left + right);
});

test("comes out the same whenever it is trained", () => {
  assert.equal(train(), train());
});

test("stops when nothing is left to merge", () => {
  const { vocab, merges } = train({ vocabularySize: 100_000 }).model;
  assert.ok(merges.length < 200);
  assert.ok("▁newest" in vocab);
});

test("keeps digits single, and punctuation apart from words", () => {
  const { vocab } = train({ vocabularySize: 100_000 }).model;
  for (const entry of Object.keys(vocab)) {
    if (entry.startsWith("<")) continue;
    assert.not.match(entry, /\d.*\d/);
    assert.not.match(entry, /\p{L}[^\p{L}]|[^\p{L}▁].*\p{L}/u, entry);
  }
});

test("reads lower-cased and gives the words back", () => {
  const ids = tokenizer.encode("The “Lowest” tower isn't 122.");
  assert.is(ids.at(-1), tokenizer.eosId);
  assert.is(tokenizer.decode(ids), 'the "lowest" tower isn\'t 122.');
});

test("gives what it never saw the unknown id", () => {
  assert.ok(tokenizer.encode("a 漢 wall").includes(tokenizer.unkId!));
  assert.not(tokenizer.encode("a low wall").includes(tokenizer.unkId!));
});

test("drops rare characters", () => {
  const { vocab } = train({ minimumCharacterCount: 2 }).model;
  assert.not(":" in vocab);
});

test("keeps sentinels whole inside text", () => {
  const ids = tokenizer.encode("the <extra_id_0> wall <extra_id_1>");
  assert.equal(ids.filter((id) => id >= 46), [49, 48]);
});

test.run();
