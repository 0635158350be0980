import { suite } from "uvu";
import * as assert from "uvu/assert";
import { IncrementalText } from "../../src/text/incremental.ts";
import { sentencepieceTokenizer } from "../../src/text/sentencepiece.ts";
import { createTokenizer, type Tokenizer } from "../../src/text/tokenizer.ts";

const test = suite("text/incremental");

const tokenizer = createTokenizer(JSON.parse(
  await Deno.readTextFile(new URL("../../models/miniature/tokenizer.json", import.meta.url)),
));

/** The pieces of a text whose ids come `size` at a time, and what comes at the end. */
function pieces(tokenizer: Tokenizer, ids: readonly number[], size: number): string[] {
  const text = new IncrementalText(tokenizer);
  const given: string[] = [];
  for (let i = 0; i < ids.length; i += size) given.push(text.push(ids.slice(i, i + size)));
  return [...given, text.end()];
}

for (const size of [1, 2, 3, 100]) {
  test(`${size} ids at a time join to the text of all`, () => {
    const line = 'The actors sang, and "nobody" (not even the neighbours\' dog) walked out.';
    const ids = tokenizer.encode(line);
    const given = pieces(tokenizer, ids, size);
    assert.is(given.join(""), tokenizer.decode(ids));
    assert.is(given.at(-1), "", "nothing was held back");
  });
}

test("words come with their spaces, the first without", () => {
  const ids = tokenizer.encode("the film");
  const [first, ...others] = pieces(tokenizer, ids, 1);
  assert.match(first, /^t/);
  assert.match(others.join(""), / film$/);
});

const fixture = (name: string) => new URL(`../fixtures/${name}`, import.meta.url);

test("a character of several bytes comes when it is whole, a broken one in the end", async () => {
  const spelled = sentencepieceTokenizer(
    await Deno.readFile(fixture("sentencepiece/bytes.model")),
    "bytes.model",
  );
  const bytes = createTokenizer(spelled.tokenizer, spelled.config);
  // Bytes in a row are read together: only what ends them makes them certain.
  const ids = bytes.encodePart("n\u{1F642} n");
  const given = pieces(bytes, ids, 1);
  assert.is(given.join(""), bytes.decode(ids));
  assert.is(given.find((piece) => piece.includes("\u{1F642}")), "\u{1F642} ");
  for (let end = 0; end <= ids.length; end++) {
    const some = ids.slice(0, end);
    assert.is(pieces(bytes, some, 1).join(""), bytes.decode(some), `${end} ids`);
  }
});

test("what a clean-up may still change is held back", async () => {
  const json = JSON.parse(await Deno.readTextFile(fixture("tokenizer.json")));
  json.model.vocab.push(["'", -5]);
  const cleaning = createTokenizer(json, { clean_up_tokenization_spaces: true });
  const ids = cleaning.encodePart("it 's he . No , I do n't ' mean ' that ! we 've ");
  assert.match(cleaning.decode(ids), /it's he\. No, I don't'mean'that! we've/);
  for (let end = 0; end <= ids.length; end++) {
    const some = ids.slice(0, end);
    assert.is(pieces(cleaning, some, 1).join(""), cleaning.decode(some), `${end} ids`);
  }
});

test("no ids are no text", () => {
  assert.equal(pieces(tokenizer, [], 1), [""]);
});

test.run();
