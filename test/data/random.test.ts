import { suite } from "uvu";
import * as assert from "uvu/assert";
import { philox, Random, type Words } from "../../src/data/random.ts";

const test = suite("random");

const draw = (random: Random, count = 8) => Array.from({ length: count }, () => random.uint32());

test("philox gives the known answers of its authors' Random123", () => {
  const ones = 0xFFFFFFFF;
  const cases: [Words, number, number, Words][] = [
    [[0, 0, 0, 0], 0, 0, [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]],
    [[ones, ones, ones, ones], ones, ones, [0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD]],
    [
      [0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344],
      0xA4093822,
      0x299F31D0,
      [0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1],
    ],
  ];
  for (const [counter, key0, key1, expected] of cases) {
    assert.equal(philox(counter, key0, key1), expected);
  }
});

test("a stream is the same whenever it is opened", () => {
  assert.equal(draw(new Random(7, "a", 3)), draw(new Random(7, "a", 3)));
});

test("streams differ by seed and by every part of their path", () => {
  const streams = [
    new Random(7),
    new Random(8),
    new Random(7 + 2 ** 32),
    new Random(-7),
    new Random(7, "a"),
    new Random(7, "b"),
    new Random(7, "a", "b"),
    new Random(7, "ab"),
    new Random(7, "", "ab"),
    new Random(7, 0),
    new Random(7, 0, 0),
    new Random(7, "a", 0),
    new Random(7, "a", 2 ** 32),
    new Random(7, 97),
  ];
  const first = streams.map((stream) => draw(stream, 2).join());
  assert.is(new Set(first).size, streams.length);
});

test("a name that is no whole number is refused", () => {
  assert.throws(() => new Random(0.5), RangeError);
  assert.throws(() => new Random(1, NaN), RangeError);
});

test("float is uniform on [0, 1)", () => {
  const random = new Random(1);
  const bins = new Array(16).fill(0);
  for (let i = 0; i < 32_000; i++) bins[Math.floor(random.float() * 16)]++;
  const chiSquared = bins.reduce((sum, count) => sum + (count - 2000) ** 2 / 2000, 0);
  assert.ok(chiSquared < 37.7, `chi-squared ${chiSquared}`); // 15 degrees of freedom, p = 0.001
});

test("normal has mean 0, variance 1 and a normal's share beyond 1.96", () => {
  const random = new Random(2);
  const values = Array.from({ length: 40_000 }, () => random.normal());
  const mean = values.reduce((sum, x) => sum + x, 0) / values.length;
  const variance = values.reduce((sum, x) => sum + x * x, 0) / values.length;
  const tail = values.filter((x) => Math.abs(x) > 1.96).length / values.length;
  assert.ok(Math.abs(mean) < 0.02, `mean ${mean}`);
  assert.ok(Math.abs(variance - 1) < 0.03, `variance ${variance}`);
  assert.ok(Math.abs(tail - 0.05) < 0.005, `tail ${tail}`);
});

test("a permutation holds every number once", () => {
  for (const size of [0, 1, 2, 7, 1000]) {
    const order = new Random(3, size).permutation(size);
    assert.equal([...order].sort((a, b) => a - b), Array.from({ length: size }, (_, i) => i));
  }
});

test("every order of three is as likely", () => {
  const counts = new Map<string, number>();
  for (let i = 0; i < 6000; i++) {
    const key = new Random(4, i).permutation(3).join();
    counts.set(key, (counts.get(key) ?? 0) + 1);
  }
  assert.is(counts.size, 6);
  for (const [order, count] of counts) {
    assert.ok(Math.abs(count - 1000) < 110, `${order}: ${count}`);
  }
});

test("pick takes only what is there", () => {
  const random = new Random(5);
  const picked = new Set(Array.from({ length: 100 }, () => random.pick(["a", "b", "c"])));
  assert.equal([...picked].sort(), ["a", "b", "c"]);
});

test.run();
