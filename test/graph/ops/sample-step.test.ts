import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { Gpu } from "../../../src/gpu/device.ts";
import { compile } from "../../../src/graph/compile.ts";
import { input } from "../../../src/graph/leaves.ts";
import { advance } from "../../../src/graph/ops/advance.ts";
import { sampleStep, type SampleStepOptions } from "../../../src/graph/ops/sample-step.ts";
import { ShapeError } from "../../../src/graph/tensor.ts";
import { testDevice } from "../device.ts";
import { assertClose, values } from "./check.ts";
import { variable } from "./variables.ts";
import { chosenVariants } from "./variants.ts";

const test = suite("sampleStep");
const usual = { endIds: [1], padId: 0, minLength: 0, temperature: 1, topK: 0, topP: 1 };

interface Sampled {
  readonly tokens: number[];
  /** ln of the token's probability among all, and as it was drawn. */
  readonly pairs: [number, number][];
}

/** One step for sequences that all have the same logits. */
async function sample(
  gpu: Gpu,
  logits: Float32Array,
  options: Partial<SampleStepOptions> = {},
  { batch = 1, slots = 1, seed = [0, 0], rows = [] as number[], banned = [] as number[] } = {},
): Promise<Sampled> {
  const columns = logits.length, count = batch * slots, words = Math.ceil(columns / 32);
  const state = {
    finished: variable(gpu, "finished", [batch, slots], new Int32Array(count)),
    tokens: variable(gpu, "tokens", [batch, 2, slots], new Int32Array(2 * count)),
    logProbabilities: variable(
      gpu,
      "logProbabilities",
      [batch, 2, slots, 2],
      new Float32Array(4 * count),
    ),
  };
  const position = variable(gpu, "position", [1], new Uint32Array(1));
  const mask = banned.length > 0 ? input("banned", [batch, slots, words], "u32") : undefined;
  const next = sampleStep(
    input("logits", [count, columns]),
    state,
    position,
    input("random", [2 + batch], "u32"),
    { ...usual, ...options, banned: mask },
  );
  const program = await compile(gpu, { outputs: { ...next } });
  const bits = new Uint32Array(count * words);
  for (let i = 0; i < count; i++) {
    for (const token of banned) bits[i * words + (token >> 5)] |= 1 << token % 32;
  }
  const numbers = Array.from({ length: batch }, (_, row) => rows[row] ?? row);
  const result = await program.run({
    logits: Float32Array.from({ length: count * columns }, (_, i) => logits[i % columns]),
    random: Uint32Array.of(...seed, ...numbers),
    ...(mask && { banned: bits }),
  }, ["tokens", "logProbabilities"]);
  program.destroy();
  const at = (i: number) => (Math.floor(i / slots) * 2 + 1) * slots + i % slots;
  const all = Array.from({ length: count }, (_, i) => at(i));
  return {
    tokens: all.map((i) => result.tokens[i]),
    pairs: all.map((i) => [result.logProbabilities[2 * i], result.logProbabilities[2 * i + 1]]),
  };
}

/** Probabilities as they should be drawn, in f64 and by sorting; 0 for what is left out. */
function distribution(
  logits: Float32Array,
  { temperature, topK, topP }: Pick<SampleStepOptions, "temperature" | "topK" | "topP">,
  without: readonly number[] = [],
): number[] {
  let kept = [...logits.keys()].filter((i) => !without.includes(i))
    .sort((a, b) => logits[b] - logits[a] || a - b);
  if (topK > 0 && topK < kept.length) {
    const least = logits[kept[topK - 1]];
    kept = kept.filter((i) => logits[i] >= least);
  }
  const largest = logits[kept[0]];
  const share = (i: number) => Math.exp((logits[i] - largest) / temperature);
  const sum = (list: readonly number[]) => list.reduce((total, i) => total + share(i), 0);
  if (topP < 1) {
    const goal = topP * sum(kept);
    let count = 1;
    while (sum(kept.slice(0, count)) < goal) count++;
    kept = kept.slice(0, count);
  }
  const total = sum(kept);
  return Array.from(logits, (_, i) => kept.includes(i) ? share(i) / total : 0);
}

const filters = [
  { temperature: 1, topK: 0, topP: 1 },
  { temperature: 0.5, topK: 0, topP: 1 },
  { temperature: 2.5, topK: 7, topP: 1 },
  { temperature: 1, topK: 1, topP: 1 },
  { temperature: 1, topK: 1000, topP: 1 },
  { temperature: 0.8, topK: 0, topP: 0.9 },
  { temperature: 1.5, topK: 0, topP: 0.3 },
  { temperature: 1, topK: 0, topP: 1e-6 },
  { temperature: 1.2, topK: 9, topP: 0.6 },
];

for (const [name, gpu] of chosenVariants(await testDevice())) {
  for (const filter of filters) {
    const { temperature, topK, topP } = filter;
    test(`${name}: temperature ${temperature}, top ${topK}, nucleus ${topP}`, async () => {
      for (const columns of [2, 301]) {
        const logits = values([columns], columns, 4);
        const expected = distribution(logits, filter);
        const plain = distribution(logits, usual);
        const { tokens, pairs } = await sample(gpu, logits, filter, { batch: 2, slots: 5 });
        for (const [i, token] of tokens.entries()) {
          assert.ok(expected[token] > 0, `${token} of ${columns} is not left`);
          const wanted = [Math.log(plain[token]), Math.log(expected[token])];
          assertClose(pairs[i], wanted, { absolute: 2e-5, what: `${columns} tokens, ${token}` });
        }
      }
    });
  }

  test(`${name}: tokens come as often as their probabilities say`, async () => {
    const logits = Float32Array.of(0.5, -1, 2, 1.2, -3, 0, 1.9, -0.5, 0.1);
    const filter = { temperature: 1.3, topK: 7, topP: 0.95 };
    const expected = distribution(logits, filter);
    const [batch, slots] = [8, 128];
    const { tokens } = await sample(gpu, logits, filter, { batch, slots, seed: [12345, 6] });
    const counts = logits.map((_, i) => tokens.filter((token) => token === i).length);
    let chiSquare = 0, kinds = 0;
    for (const [i, probability] of expected.entries()) {
      const mean = probability * tokens.length;
      if (mean === 0) assert.is(counts[i], 0);
      else chiSquare += (counts[i] - mean) ** 2 / mean, kinds++;
    }
    assert.is(kinds, 6);
    assert.ok(chiSquare < 20.5, `chi-square is ${chiSquare}: p < 0.001 with 5 degrees of freedom`);
  });

  test(`${name}: of equal tokens the nucleus takes the first, the k likeliest all`, async () => {
    const flat = new Float32Array(300);
    const draws = { batch: 4, slots: 16 };
    const nucleus = await sample(gpu, flat, { topP: 0.1 }, draws);
    assert.ok(Math.max(...nucleus.tokens) < 30);
    assert.ok(new Set(nucleus.tokens).size > 15);
    assertClose(nucleus.pairs.map(([, x]) => x), nucleus.tokens.map(() => Math.log(1 / 30)));

    const likeliest = await sample(gpu, flat, { topK: 4 }, draws);
    assertClose(likeliest.pairs.map(([, x]) => x), likeliest.tokens.map(() => Math.log(1 / 300)));
  });

  test(`${name}: draws depend on seed, row and slot, not on the batch`, async () => {
    const logits = values([97], 3);
    const many = { batch: 6, slots: 4, seed: [1, 2] };
    const first = await sample(gpu, logits, {}, many);
    assert.equal(await sample(gpu, logits, {}, many), first);
    assert.ok(new Set(first.tokens).size > 12, "rows and slots differ");
    const two = await sample(gpu, logits, {}, { batch: 2, slots: 4, seed: [1, 2], rows: [5, 2] });
    assert.equal(two.tokens, [...first.tokens.slice(20), ...first.tokens.slice(8, 12)]);
    for (const seed of [[2, 2], [1, 3]]) {
      const other = await sample(gpu, logits, {}, { ...many, seed });
      assert.not.equal(other.tokens, first.tokens);
    }
  });

  test(`${name}: impossible, banned and early end tokens are not drawn`, async () => {
    const logits = values([40], 5);
    logits[1] = 50; // the end token
    logits[39] = 60;
    logits.fill(-Infinity, 5, 20);
    const { tokens, pairs } = await sample(gpu, logits, { minLength: 2, topP: 0.9 }, {
      slots: 32,
      banned: [39, 4],
    });
    const expected = distribution(logits, { ...usual, topP: 0.9 }, [1, 4, 39]);
    assert.ok(tokens.every((token) => expected[token] > 0));
    assertClose(pairs.map(([, x]) => x), tokens.map((token) => Math.log(expected[token])));
    assertClose(
      pairs.map(([x]) => x),
      tokens.map((token) => logits[token] - 60 - Math.log1p(Math.exp(-10))),
    );
  });

  test(`${name}: very large logits, and very small temperatures`, async () => {
    const logits = Float32Array.of(-1e30, 1e4, 1e4 - 1, -1e4);
    const { tokens } = await sample(gpu, logits, { temperature: 1e-3 }, { slots: 8 });
    assert.ok(tokens.every((token) => token === 1));
  });

  test(`${name}: a NaN is drawn, and shows`, async () => {
    const logits = Float32Array.of(1, 2, NaN, 3);
    for (const options of [{}, { topK: 2 }, { topP: 0.5 }]) {
      const { tokens, pairs } = await sample(gpu, logits, options, { slots: 8 });
      assert.ok(tokens.every((token) => token === 2));
      assert.ok(pairs.flat().every(Number.isNaN));
    }
  });

  test(`${name}: sequences end and are padded, and positions draw anew`, async () => {
    const [slots, length] = [16, 9];
    const state = {
      finished: variable(gpu, "finished", [1, slots], new Int32Array(slots)),
      tokens: variable(gpu, "tokens", [1, length, slots], new Int32Array(length * slots)),
      logProbabilities: variable(
        gpu,
        "logProbabilities",
        [1, length, slots, 2],
        new Float32Array(2 * length * slots),
      ),
    };
    const position = variable(gpu, "position", [1], new Uint32Array(1));
    const random = variable(gpu, "random", [3], Uint32Array.of(7, 0, 0));
    const logits = input("logits", [slots, 6]);
    const next = sampleStep(logits, state, position, random, { ...usual, topK: 4 });
    const outputs = { ...next, position: advance(position) };
    const program = await compile(gpu, { outputs });
    const given = Float32Array.from({ length: 6 * slots }, (_, i) => [-9, 1, 1, 1, 1, -9][i % 6]);
    program.submit({ logits: given }, { repeat: 12 });
    const result = await program.run({ logits: given }, ["tokens", "finished", "logProbabilities"]);
    const sequences = Array.from(
      { length: slots },
      (_, slot) =>
        Array.from({ length: length - 1 }, (_, i) => result.tokens[(i + 1) * slots + slot]),
    );
    for (const [slot, sequence] of sequences.entries()) {
      const end = sequence.indexOf(1);
      assert.is(result.finished[slot], Number(end >= 0));
      const ended = end < 0 ? length - 1 : end + 1;
      assert.ok(sequence.slice(0, ended).every((token) => token >= 1 && token <= 4));
      assert.ok(sequence.slice(ended).every((token) => token === 0));
      for (let i = ended; i < length - 1; i++) {
        assert.is(result.logProbabilities[2 * ((i + 1) * slots + slot)], 0);
      }
    }
    assert.ok(new Set(sequences.map(String)).size > 8);
    assert.ok(sequences.some((sequence) => new Set(sequence.slice(0, 3)).size > 1));
  });
}

test("operands that do not fit are named", () => {
  const state = {
    finished: input("finished", [2, 3], "i32"),
    tokens: input("tokens", [2, 4, 3], "i32"),
    logProbabilities: input("logProbabilities", [2, 4, 3, 2]),
  };
  const logits = input("logits", [6, 9]), position = input("position", [1], "u32");
  assert.throws(
    () => sampleStep(logits, state, position, input("random", [3], "u32"), usual),
    (e: Error) => e instanceof ShapeError && /random must be u32 \[2 \+ batch\]/.test(e.message),
  );
});

test.run();
