/** Tokenizers as both versions of transformers save them: the ids and texts are those of each version. */

import { suite } from "../harness.ts";
import * as assert from "uvu/assert";
import { exists, readBytes } from "../../src/platform/files.ts";
import { realPath, testOnRealData } from "../real-data.ts";
import { IncrementalText } from "../../src/text/incremental.ts";
import type { Tokenizer } from "../../src/text/tokenizer.ts";
import type { TokenizerRule } from "../../src/text/tokenizer-files.ts";
import { readTokenizer } from "../../src/train/tokenizer-source.ts";

const test = suite("transformers' tokenizers");

const fixtures = new URL("../fixtures/tokenizers/", import.meta.url).pathname;
const readJson = async (file: string) => JSON.parse(await Deno.readTextFile(`${fixtures}${file}`));

/** What version 5 makes of each text, and of some ids as a model may write them. */
interface Expected {
  readonly ids: readonly string[];
  readonly texts: readonly string[];
  readonly written: readonly (readonly [ids: string, text: string])[];
}

/** Where version 4 makes something else of it. */
interface Differences {
  readonly ids: readonly (readonly [index: number, ids: string])[];
  readonly texts: readonly (readonly [index: number, text: string])[];
}

const texts: string[] = await readJson("strings.json");
const expected: Record<string, Expected> = await readJson("expected-v5.json");
const older: Record<string, Differences> = await readJson("expected-v4.json");

async function open(folder: string, rule?: TokenizerRule): Promise<Tokenizer> {
  const source = {
    location: folder,
    read: (file: string) => readBytes(`${folder}/${file}`),
    exists: (file: string) => exists(`${folder}/${file}`),
  };
  const model = await source.exists("config.json")
    ? JSON.parse(new TextDecoder().decode(await source.read("config.json")))
    : {};
  return (await readTokenizer(source, model, rule))!.tokenizer;
}

const numbers = (row: string) => row === "" ? [] : row.split(" ").map(Number);

function check(tokenizer: Tokenizer, { ids, texts: read, written }: Expected): void {
  texts.forEach((text, i) => {
    assert.is(tokenizer.encode(text).join(" "), ids[i], `ids of ${JSON.stringify(text)}`);
    assert.is(tokenizer.decode(numbers(ids[i])), read[i], `text of ${ids[i]}`);
  });
  for (const [ids, text] of written) assert.is(tokenizer.decode(numbers(ids)), text, ids);
}

for (const [folder, values] of Object.entries(expected)) {
  test(`${folder}: as in version 5`, async () => {
    const tokenizer = await open(`${fixtures}${folder}`);
    check(tokenizer, values);
    check(tokenizer, values); // words are remembered
  });
}

/** What version 4 makes of the texts that it can encode. */
function withDifferences({ ids, texts }: Expected, differences: Differences): Expected {
  const replaced = (rows: readonly string[], others: Differences["ids"]) => {
    const byIndex = new Map(others);
    return rows.map((row, i) => byIndex.get(i) ?? row);
  };
  return {
    ids: replaced(ids, differences.ids),
    texts: replaced(texts, differences.texts),
    written: [],
  };
}

for (const folder of ["spiece", "spiece-added", "spiece-mt5", "spiece-no-sentinels", "v4-t5"]) {
  test(`${folder}: by the rule "file" as in version 4`, async () => {
    check(
      await open(`${fixtures}${folder}`, "file"),
      withDifferences(expected[folder], older[folder]),
    );
  });
}

test("pieces of text that come id by id are the whole text", async () => {
  for (const [folder, { ids, texts }] of Object.entries(expected)) {
    const tokenizer = await open(`${fixtures}${folder}`);
    ids.forEach((row, i) => {
      const text = new IncrementalText(tokenizer);
      const given = numbers(row).map((id) => text.push([id])).join("") + text.end();
      assert.is(given, texts[i], `${folder} ${row}`);
    });
  }
});

test("ids have places in their text, in order, wherever they come from", async () => {
  for (const folder of Object.keys(expected)) {
    const tokenizer = await open(`${fixtures}${folder}`);
    for (const text of texts) {
      const { ids, offsets } = tokenizer.encodeWithOffsets(text);
      assert.equal(ids, tokenizer.encodePart(text), `${folder} ${JSON.stringify(text)}`);
      let before = 0;
      for (const [begin, end] of offsets) {
        assert.ok(before <= begin && begin <= end, `${folder} ${JSON.stringify(text)} ${offsets}`);
        before = Math.min(begin, end);
      }
      assert.ok((offsets.at(-1)?.[1] ?? 0) <= [...text].length, JSON.stringify(text));
    }
  }
});

const real = "data/tokenizer";

testOnRealData(test, [real], "T5's and Flan's own tokenizers, as in both versions", async () => {
  const newer: Record<string, Expected> = await readJson("real-v5.json");
  const older: Record<string, Differences> = await readJson("real-v4.json");
  for (const [name, values] of Object.entries(newer)) {
    const folder = realPath(`${real}/${name}`);
    check(await open(folder), values);
    check(await open(folder, "file"), withDifferences(values, older[name]));
  }
});

test.run();
