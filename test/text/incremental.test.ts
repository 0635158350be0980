import { suite } from "uvu";
import * as assert from "uvu/assert";
import { IncrementalText } from "../../src/text/incremental.ts";
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

test("a character of several ids comes when it is whole, a broken one in the end", () => {
  // Of byte pieces, as in tokenizers that fall back to bytes.
  const bytes: Tokenizer = {
    ...tokenizer,
    decode: (ids) => new TextDecoder().decode(Uint8Array.from(ids)),
  };
  const ids = [...new TextEncoder().encode("né 🙂")];
  assert.equal(pieces(bytes, ids, 1), ["n", "", "é", " ", "", "", "", "🙂", ""]);
  assert.equal(pieces(bytes, ids.slice(0, -1), 1).slice(-2), ["", "\uFFFD"]);
});

test("no ids are no text", () => {
  assert.equal(pieces(tokenizer, [], 1), [""]);
});

test.run();
