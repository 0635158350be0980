import { suite } from "uvu";
import * as assert from "uvu/assert";
import { pieceOffsets } from "../../src/text/offsets.ts";
import { createTokenizer } from "../../src/text/tokenizer.ts";
import { realPath, testOnRealData } from "../real-data.ts";

const test = suite("offsets");

const nfkc = (text: string) => text.normalize("NFKC");

test("a piece owns its characters, not the space before it", () => {
  assert.equal(pieceOffsets("The  cat\nsat", ["▁The", "▁ca", "t", "▁sat"], nfkc), [
    [0, 3],
    [5, 7],
    [7, 8],
    [9, 12],
  ]);
  // A mark alone stands before the next character, or at the end.
  assert.equal(pieceOffsets("a bc ", ["▁", "a", "▁", "bc", "▁"], nfkc), [
    [0, 1],
    [0, 1],
    [2, 3],
    [2, 4],
    [3, 4],
  ]);
  assert.equal(pieceOffsets("", [], nfkc), []);
  assert.equal(pieceOffsets(" ", ["▁"], nfkc), [[0, 0]]);
});

test("normalisation that changes lengths is seen through", () => {
  assert.equal(pieceOffsets("ﬁn ½ 😀x", ["▁fi", "n", "▁1", "⁄", "2", "▁😀", "x"], nfkc), [
    [0, 1],
    [1, 2],
    [3, 4],
    [3, 4],
    [3, 4],
    [5, 6],
    [6, 7],
  ]);
});

const t5 = "data/tokenizer/t5-small/tokenizer.json";

// Expected values are from Python's tokenizers.
testOnRealData(test, [t5], "T5's offsets are those of the Python library", async () => {
  const json = await Deno.readTextFile(realPath(t5));
  const tokenizer = createTokenizer(JSON.parse(json));
  const offsets = (text: string) => tokenizer.encodeWithOffsets(text).offsets;
  assert.equal(
    offsets("Hello  world, ﬁnally\n ½ done 東京タワー 😀."),
    "0 5,7 12,12 13,14 20,22 23,22 23,22 23,24 28,29 30,29 34,35 36,35 36,36 37"
      .split(",").map((pair) => pair.split(" ").map(Number)),
  );
  const text = " a </s> b<extra_id_0>c";
  assert.equal(
    offsets(text),
    "1 2,1 2,3 7,8 9,8 9,9 21,21 22,21 22".split(",").map((pair) => pair.split(" ").map(Number)),
  );
  const { ids } = tokenizer.encodeWithOffsets(text);
  assert.equal([...ids, tokenizer.eosId], tokenizer.encode(text));
});

test.run();
