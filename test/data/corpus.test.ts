import { suite } from "uvu";
import * as assert from "uvu/assert";
import { spanCorrupt } from "../../src/data/corpus.ts";
import { Random } from "../../src/data/random.ts";

const test = suite("corpus");

const sentinelIds = Array.from({ length: 100 }, (_, i) => 32099 - i);
const isSentinel = (id: number) => id >= 32000;
const text = (length: number) => Array.from({ length }, (_, i) => 10 + i);

/** Puts the spans of `target` back in place of `source`'s sentinels. */
function restore(source: number[], target: number[]): number[] {
  return source.flatMap((id) => {
    if (!isSentinel(id)) return [id];
    const start = target.indexOf(id) + 1;
    const end = target.findIndex((other, i) => i >= start && isSentinel(other));
    return target.slice(start, end < 0 ? undefined : end);
  });
}

test("source and target together are the text, at every length", () => {
  for (let length = 2; length < 200; length++) {
    const ids = text(length);
    const { source, target } = spanCorrupt(ids, { random: new Random(1, length), sentinelIds });
    assert.equal(restore(source, target), ids, `length ${length}`);
  }
});

test("sentinels stand in order of use in both, and the source starts with text", () => {
  const { source, target } = spanCorrupt(text(300), { random: new Random(2), sentinelIds });
  const used = source.filter(isSentinel);
  assert.equal(used, sentinelIds.slice(0, used.length));
  assert.equal(target.filter(isSentinel), used);
  assert.not(isSentinel(source[0]));
  assert.ok(isSentinel(target[0]));
});

test("15 % is removed, in spans of 3 on average, unless told otherwise", () => {
  const usual = spanCorrupt(text(400), { random: new Random(3), sentinelIds });
  assert.is(usual.target.filter((id) => !isSentinel(id)).length, 60);
  assert.is(usual.target.filter(isSentinel).length, 20);
  const dense = spanCorrupt(text(400), {
    random: new Random(3),
    sentinelIds,
    noiseDensity: 0.5,
    meanSpanLength: 10,
  });
  assert.is(dense.target.filter((id) => !isSentinel(id)).length, 200);
  assert.is(dense.target.filter(isSentinel).length, 20);
});

test("when sentinels run out, spans are longer instead", () => {
  const ids = text(400);
  const { source, target } = spanCorrupt(ids, {
    random: new Random(4),
    sentinelIds: sentinelIds.slice(0, 2),
  });
  assert.is(target.filter(isSentinel).length, 2);
  assert.is(target.length, 62);
  assert.equal(restore(source, target), ids);
});

test("the places depend on the random stream alone", () => {
  const corrupt = (seed: number) =>
    spanCorrupt(text(100), { random: new Random(seed), sentinelIds });
  assert.equal(corrupt(5), corrupt(5));
  assert.not.equal(corrupt(5), corrupt(6));
});

test("a text too short to lose anything is refused, and so is a tokenizer without sentinels", () => {
  assert.throws(() => spanCorrupt([5], { random: new Random(1), sentinelIds }), RangeError);
  assert.throws(
    () => spanCorrupt(text(9), { random: new Random(1), sentinelIds: [] }),
    RangeError,
  );
});

test.run();
