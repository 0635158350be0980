import { suite } from "uvu";
import * as assert from "uvu/assert";
import { miniaturePassages } from "../../src/data/miniature/mixture.ts";
import { mixPassages, paragraphs, PretrainingBatches } from "../../src/data/pretraining.ts";
import { Random } from "../../src/data/random.ts";
import { maskSalient, type Passage } from "../../src/data/salient.ts";
import { createTokenizer } from "../../src/text/tokenizer.ts";

const test = suite("pretraining batches");
const file = new URL("../../models/miniature/tokenizer.json", import.meta.url);
const tokenizer = createTokenizer(JSON.parse(await Deno.readTextFile(file)));
const { sentinelIds } = tokenizer;
const isSentinel = (id: number) => sentinelIds.includes(id);

function take<T>(items: Iterable<T>, count: number): T[] {
  const iterator = items[Symbol.iterator]();
  return Array.from({ length: count }, () => iterator.next().value);
}

const batchesOf = (seed: number) =>
  new PretrainingBatches(miniaturePassages(1), tokenizer, { batchSize: 8, seed });

/** Source and target put together again. */
function restore(source: readonly number[], target: readonly number[]): number[] {
  if (!target.some(isSentinel)) return [...source, ...target];
  return source.flatMap((id) => {
    if (!isSentinel(id)) return [id];
    const start = target.indexOf(id) + 1;
    const length = target.slice(start).findIndex(isSentinel);
    return target.slice(start, length < 0 ? target.length : start + length);
  });
}

test("source and target hold every id once, whatever is masked", () => {
  const ids = Array.from({ length: 24 }, (_, i) => 100 + i);
  for (let seed = 0; seed < 200; seed++) {
    for (const salient of [[], [[23, 24]], [[0, 2], [10, 13]]] as [number, number][][]) {
      const { source, target } = maskSalient(ids, salient, {
        random: new Random(seed),
        sentinelIds,
      });
      assert.equal(restore(source, target), ids);
      assert.ok(source.length > 0 && target.length > 0);
    }
  }
});

test("a salient span is masked as often as asked for, alone if need be", () => {
  const ids = [10, 11, 12, 13, 14, 15];
  const mask = (salientShare: number, prefixShare: number, seed: number) =>
    maskSalient(ids, [[4, 5]], {
      random: new Random(seed),
      sentinelIds,
      salientShare,
      prefixShare,
      noiseDensity: 0,
    });
  assert.equal(mask(1, 0, 1).target, [sentinelIds[0], 14]);
  assert.equal(mask(1, 1, 1), { source: [10, 11, 12, 13], target: [14, 15] });
  const masked = take(new Array(400).keys(), 400).filter((seed) =>
    mask(0.9, 0, seed).target.includes(14)
  );
  assert.ok(masked.length > 340 && masked.length < 390, `${masked.length} of 400`);
});

test("salient spans are whole tokens of the miniature's passages", () => {
  for (const { text, salient } of take(miniaturePassages(3), 500)) {
    const ids = tokenizer.encode(text).slice(0, -1);
    assert.ok(salient.length > 0, text);
    for (const [, end] of salient) {
      const before = tokenizer.encode(text.slice(0, end)).slice(0, -1);
      assert.equal(ids.slice(0, before.length), before, text);
    }
  }
});

test("a batch depends on the seed and its index alone", () => {
  const all = batchesOf(1);
  const later = batchesOf(1);
  const first = Array.from({ length: 40 }, (_, i) => all.batch(i));
  assert.equal(later.batch(37), first[37]);
  assert.not.equal(batchesOf(2).batch(0).inputIds, first[0].inputIds);
  assert.throws(() => later.batch(3), RangeError);
});

test("every row ends with the end of sequence, and little of a batch is padding", () => {
  const batches = batchesOf(1);
  let ids = 0, places = 0;
  for (let index = 0; index < 16; index++) {
    const batch = batches.batch(index);
    ids += batch.sourceTokens;
    places += batch.batchSize * batch.sourceLength;
    for (let row = 0; row < batch.batchSize; row++) {
      const labels = batch.labels.slice(row * batch.targetLength, (row + 1) * batch.targetLength);
      assert.is(labels.filter((id) => id !== 0).at(-1), tokenizer.eosId);
    }
  }
  assert.ok(ids / places > 0.7, `${ids} of ${places}`);
});

test("text that ends is an error, not an endless loop", () => {
  const few: Passage[] = [{ text: "A dog slept.", salient: [] }];
  const batches = new PretrainingBatches(few, tokenizer, { batchSize: 2, seed: 1 });
  assert.throws(() => batches.batch(0), /end/);
});

test("paragraphs are whole words of prose, strewn in by share", () => {
  const prose = "It was a bright cold day in the garden. ".repeat(9);
  const found = paragraphs([`CHAPTER I\n\n${prose.trim()}\n\nshort`], 100);
  assert.is(found.length, 1);
  assert.ok(found[0].length <= 100 && prose.startsWith(found[0] + " "));
  const mixed = take(mixPassages(miniaturePassages(1), found, 0.25, 1), 1000);
  const novels = mixed.filter(({ text }) => text === found[0]).length;
  assert.ok(novels > 150 && novels < 250, `${novels} of 1000`);
});

test.run();
