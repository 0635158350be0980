import { suite } from "uvu";
import * as assert from "uvu/assert";
import { forward } from "../../models/hyperdecoder.ts";
import { takeCensus } from "../../src/bench/census.ts";
import { UserError } from "../../src/errors.ts";
import { SequenceGenerator } from "../../src/generate/generator.ts";
import type { GenerationOptions } from "../../src/generate/options.ts";
import type { GeneratedSequence } from "../../src/generate/search.ts";
import type { SourceBatch } from "../../src/generate/search.ts";
import { compile } from "../../src/graph/compile.ts";
import { input } from "../../src/graph/leaves.ts";
import { placeParameters, readFixture } from "../../src/verify/fixture.ts";
import { testDevice } from "../graph/device.ts";
import { assertClose } from "../graph/ops/check.ts";
import { golden } from "../verify/fixture.ts";
import { logSoftmax } from "./oracle.ts";

const test = suite("sequence generator");
const gpu = await testDevice();
const fixture = await readFixture(golden("03_manual_generated"));
const parameters = placeParameters(gpu, fixture, () => false);
const { config } = fixture;
const { batch } = fixture.stored!;
const maxLength = 20;

const ways: Record<string, GenerationOptions> = {
  "greedy": { maxLength, minLength: 4, noRepeatNgram: 3 },
  "sampling": { maxLength, noRepeatNgram: 2, outputs: 3, sampling: { topP: 0.9, seed: 4 } },
  "beams": { maxLength, noRepeatNgram: 2, beams: 4, outputs: 3, lengthPenalty: 0.8 },
};

async function generate(options: GenerationOptions, source: SourceBatch = batch) {
  const generator = new SequenceGenerator(config, parameters);
  try {
    return await generator.generate(source, options);
  } finally {
    generator.destroy();
  }
}

/** Rows of a batch, as a batch. */
function rowsOf(whole: SourceBatch, rows: readonly number[]): SourceBatch {
  const pick = (ids: Int32Array) =>
    Int32Array.from(rows.flatMap((row) => {
      const start = row * whole.sourceLength;
      return [...ids.subarray(start, start + whole.sourceLength)];
    }));
  return {
    inputIds: pick(whole.inputIds),
    attentionMask: pick(whole.attentionMask),
    batchSize: rows.length,
    sourceLength: whole.sourceLength,
    tasks: [],
    indices: rows,
  };
}

/** Log-likelihoods by the training graph: the whole sequence at once, nothing cached. */
async function likelihoods(sequences: readonly GeneratedSequence[]): Promise<number[]> {
  const { batchSize, sourceLength } = batch;
  const labels = sequences.map((
    { tokens, ended },
  ) => [...tokens, ...(ended ? [config.eosId] : [])]);
  const { logits } = forward({ config, weight: (name) => parameters.tensor(name) }, {
    inputIds: input("inputIds", [batchSize, sourceLength], "i32"),
    attentionMask: input("attentionMask", [batchSize, sourceLength], "i32"),
    decoderInputIds: input("decoderInputIds", [batchSize, maxLength], "i32"),
  });
  const program = await compile(gpu, { outputs: { logits } });
  const decoderInputIds = new Int32Array(batchSize * maxLength);
  labels.forEach((row, i) => decoderInputIds.set(row.slice(0, maxLength - 1), i * maxLength + 1));
  const { inputIds, attentionMask } = batch;
  const result = await program.run({ inputIds, attentionMask, decoderInputIds }, ["logits"]);
  program.destroy();
  const { vocabSize } = config;
  return labels.map((row, i) =>
    row.reduce((sum, label, position) => {
      const at = (i * maxLength + position) * vocabSize;
      const logits = (result.logits as Float32Array).subarray(at, at + vocabSize);
      return sum + logSoftmax(logits)[label];
    }, 0)
  );
}

for (const [name, options] of Object.entries(ways)) {
  const { outputs = 1, noRepeatNgram = 0 } = options;

  test(`${name}: log-likelihoods are those of the model under teacher forcing`, async () => {
    const rows = await generate(options);
    for (let i = 0; i < outputs; i++) {
      const sequences = rows.map((row) => row[i]);
      const expected = await likelihoods(sequences);
      assertClose(sequences.map((s) => s.logLikelihood), expected, { absolute: 1e-4 });
    }
  });

  test(`${name}: the best first, no two alike, no n-gram twice`, async () => {
    const rows = await generate(options);
    assert.is(rows.length, batch.batchSize);
    for (const row of rows) {
      assert.is(row.length, outputs);
      assert.is(new Set(row.map(({ tokens }) => tokens.join())).size, outputs);
      if (name === "beams") {
        const scores = row.map(({ score }) => score);
        assert.equal(scores, scores.toSorted((a, b) => b - a));
      }
      for (const { tokens } of row) {
        const grams = tokens.map((_, i) => tokens.slice(i, i + noRepeatNgram).join());
        const whole = grams.slice(0, grams.length - noRepeatNgram + 1);
        assert.is(new Set(whole).size, whole.length);
      }
    }
  });

  test(`${name}: a row's result does not depend on the batch`, async () => {
    const all = await generate(options);
    const some = await generate(options, rowsOf(batch, [2, 0]));
    assert.equal(some.map((row) => row.map(({ tokens }) => tokens)), [
      all[2].map(({ tokens }) => tokens),
      all[0].map(({ tokens }) => tokens),
    ]);
  });
}

test("the likeliest one of samples of the likeliest one is greedy", async () => {
  const tokens = (rows: GeneratedSequence[][]) => rows.map(([{ tokens }]) => tokens);
  assert.equal(
    tokens(await generate({ maxLength, sampling: { topK: 1, temperature: 0.7 } })),
    tokens(await generate({ maxLength })),
  );
});

for (const options of [ways.greedy, { ...ways.sampling, outputs: 1 }]) {
  const name = options.sampling ? "sampling" : "greedy";

  test(`a stream is what generate returns, in pieces (${name})`, async () => {
    const generator = new SequenceGenerator(config, parameters);
    const whole = await generator.generate(batch, options);
    const joined: number[][] = whole.map(() => []);
    const sizes: number[] = [];
    let ended: readonly boolean[] = [];
    for await (const chunk of generator.stream(batch, options)) {
      chunk.tokens.forEach((tokens, row) => joined[row].push(...tokens));
      sizes.push(Math.max(...chunk.tokens.map(({ length }) => length)));
      ended = chunk.ended;
    }
    assert.equal(joined, whole.map(([{ tokens }]) => tokens));
    assert.equal(ended, whole.map(([sequence]) => sequence.ended));
    assert.equal(sizes.slice(0, 3), [1, 2, 4], "the first word comes at once");
    generator.destroy();
  });
}

test("the host looks every sixteen tokens, and not once all rows have ended", async () => {
  const generator = new SequenceGenerator(config, parameters);
  const looks = async (options: GenerationOptions) => {
    const [, { readbacks }] = await takeCensus(() => generator.generate(batch, options));
    return readbacks;
  };
  assert.is(await looks({ maxLength: 9, minLength: 9 }), 1);
  assert.is(await looks({ maxLength: 17, minLength: 17 }), 1);
  assert.is(await looks({ maxLength: 40, minLength: 40 }), 3);
  const rows = await generator.generate(batch, { maxLength: 40 });
  const longest = Math.max(...rows.map(([{ tokens, ended }]) => tokens.length + Number(ended)));
  assert.is(await looks({ maxLength: 40 }), Math.ceil(longest / 16));
  generator.destroy();
});

test("calls at the same time do not disturb each other, nor one in the midst of a stream", async () => {
  const generator = new SequenceGenerator(config, parameters);
  const options = { maxLength };
  const other = rowsOf(batch, [3, 2, 1, 0]);
  const [expected, turned] = [await generate(options), await generate(options, other)];
  const results = await Promise.all([
    generator.generate(batch, options),
    generator.generate(other, options),
    generator.generate(batch, options),
  ]);
  assert.equal(results, [expected, turned, expected]);
  const streamed: number[][] = expected.map(() => []);
  for await (const { tokens } of generator.stream(batch, options)) {
    tokens.forEach((tokens, row) => streamed[row].push(...tokens));
    assert.equal(await generator.generate(other, options), turned);
  }
  assert.equal(streamed, expected.map(([{ tokens }]) => tokens));
  generator.destroy();
});

test("generating stops where it is told to, and can go on with other batches", async () => {
  const generator = new SequenceGenerator(config, parameters);
  const options = { maxLength };
  const expected = await generator.generate(batch, options);
  for await (const _ of generator.stream(batch, options)) break;
  assert.equal(await generator.generate(batch, options), expected);

  const controller = new AbortController();
  const reason = new Error("enough");
  let chunks = 0;
  try {
    for await (const _ of generator.stream(batch, options, controller.signal)) {
      chunks++;
      controller.abort(reason);
    }
    assert.unreachable("it went on");
  } catch (error) {
    assert.is(error, reason);
  }
  assert.is(chunks, 1);
  const stopped = await generator.generate(batch, options, controller.signal)
    .then(() => undefined, (error) => error);
  assert.is(stopped, reason);
  assert.equal(await generator.generate(batch, options), expected);
  generator.destroy();
});

test("a few compiled shapes are kept, and given back in the end", async () => {
  const { device } = gpu;
  const live = new Set<GPUBuffer>();
  const createBuffer = device.createBuffer.bind(device);
  device.createBuffer = (descriptor) => {
    const buffer = createBuffer(descriptor);
    const destroy = buffer.destroy.bind(buffer);
    live.add(buffer);
    buffer.destroy = () => {
      live.delete(buffer);
      return destroy();
    };
    return buffer;
  };
  try {
    const generator = new SequenceGenerator(config, parameters);
    const counts: number[] = [];
    for (let maxLength = 3; maxLength < 15; maxLength++) {
      await generator.generate(batch, { maxLength });
      counts.push(live.size);
    }
    assert.ok(counts[3] > counts[2], "shapes are kept");
    assert.is(counts.at(-1), counts.at(-2), "but not all");
    await generator.generate(batch, { maxLength: 14 });
    assert.is(live.size, counts.at(-1), "the last one was not compiled again");
    generator.destroy();
    // The memory of intermediate results belongs to the device.
    assert.ok(live.size < counts[0], `${live.size} buffers are left of ${counts}`);
  } finally {
    device.createBuffer = createBuffer;
  }
});

test("what cannot be streamed is refused at once", () => {
  const generator = new SequenceGenerator(config, parameters);
  const refused = (options: GenerationOptions, message: RegExp) =>
    assert.throws(
      () => generator.stream(batch, options),
      (error: Error) => error instanceof UserError && message.test(error.message),
    );
  refused({ maxLength, beams: 2 }, /may change its mind/);
  refused({ maxLength, sampling: {}, outputs: 2 }, /one output can be streamed, not 2/);
  refused({ maxLength: 1 }, /maxLength/);
});

test.after(() => parameters.destroy());
test.run();
