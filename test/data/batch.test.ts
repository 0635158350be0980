import { suite } from "uvu";
import * as assert from "uvu/assert";
import {
  type Batch,
  collate,
  encodeExample,
  evaluationBatches,
  paddedLength,
  TrainingBatches,
} from "../../src/data/batch.ts";
import { Mixture } from "../../src/data/mixture.ts";
import { Random } from "../../src/data/random.ts";
import type { Dataset, Example } from "../../src/data/types.ts";
import { createTokenizer } from "../../src/text/tokenizer.ts";

const test = suite("batch");

const fixture = new URL("../fixtures/tokenizer.json", import.meta.url);
const tokenizer = createTokenizer(JSON.parse(await Deno.readTextFile(fixture)));
const options = { batchSize: 8, maxSourceLength: 40, maxTargetLength: 6 };

/** Examples of many lengths, told apart by their number. */
function examples(task: string, count: number): Example[] {
  const random = new Random(1, task);
  return Array.from({ length: count }, (_, i) => ({
    task,
    source: `${i} ${"the creature ".repeat(1 + random.integer(12))}`.trim(),
    target: String(i % 3),
  }));
}

function batches(seed: number): TrainingBatches {
  const datasets = ["a", "b"].map((name): Dataset => ({
    task: { name, description: "", metrics: ["accuracy"] },
    splits: { train: examples(name, 200) },
  }));
  return new TrainingBatches(new Mixture(datasets, { seed }), tokenizer, options);
}

/** The rows of a batch without padding, as text. */
function texts({ inputIds, batchSize, sourceLength }: Batch): string[] {
  return Array.from(
    { length: batchSize },
    (_, i) => tokenizer.decode(inputIds.subarray(i * sourceLength, (i + 1) * sourceLength)),
  );
}

test("rows are padded on the right with 0 and the mask says where", () => {
  const batch = collate([
    { task: "a", source: [5, 6, 1], target: [7, 1], truncated: 0 },
    { task: "b", source: [5, 6, 7, 8, 1], target: [1], truncated: 1 },
  ]);
  assert.equal(batch, {
    inputIds: Int32Array.of(5, 6, 1, 0, 0, 0, 0, 0, 5, 6, 7, 8, 1, 0, 0, 0),
    attentionMask: Int32Array.of(1, 1, 1, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 0, 0, 0),
    labels: Int32Array.of(7, 1, 0, 0, 1, 0, 0, 0),
    batchSize: 2,
    sourceLength: 8,
    targetLength: 4,
    tasks: ["a", "b"],
    sourceTokens: 8,
    targetTokens: 3,
    truncated: 1,
  });
});

test("an id 0 in the text is attended to", () => {
  const batch = collate([{ task: "a", source: [0, 5, 1], target: [1], truncated: 0 }]);
  assert.equal(batch.attentionMask, Int32Array.of(1, 1, 1, 0));
});

test("padded lengths hold what they must, and are few", () => {
  const lengths = Array.from({ length: 512 }, (_, i) => paddedLength(i + 1));
  lengths.forEach((padded, i) => assert.ok(padded >= i + 1 && padded < i + 33));
  assert.equal([...new Set(lengths)].slice(0, 10), [4, 8, 16, 24, 32, 48, 64, 96, 128, 160]);
});

test("what is too long is cut, ends with the end of sequence, and is counted", () => {
  const long = { task: "a", source: "the creature ".repeat(30), target: "0 1 2 3 4 5 6 7 8" };
  const { source, target, truncated } = encodeExample(long, tokenizer, options);
  assert.is(truncated, 2);
  assert.is(source.length, 40);
  assert.equal(source.slice(0, 39), tokenizer.encode(long.source).slice(0, 39));
  assert.is(source.at(-1), tokenizer.eosId);
  assert.is(target.length, 6);
  assert.is(target.at(-1), tokenizer.eosId);

  const exact = { task: "a", source: "the", target: "0" };
  const fits = { ...options, maxSourceLength: tokenizer.encode("the").length };
  assert.is(encodeExample(exact, tokenizer, fits).truncated, 0);
});

test("no example comes twice in the batches of an epoch", () => {
  const sequence = batches(3);
  const seen = Array.from({ length: 48 }, (_, i) => sequence.batch(i)).flatMap((batch) =>
    texts(batch).map((text, row) => batch.tasks[row] + text)
  );
  assert.is(new Set(seen).size, 48 * 8);
});

test("a training batch depends on seed and index alone", () => {
  const whole = batches(3);
  const first = Array.from({ length: 40 }, (_, i) => whole.batch(i));
  assert.equal(batches(3).batch(37), first[37], "opened in the middle");
  assert.equal(whole.batch(5), first[5], "gone back");
  assert.not.equal(batches(4).batch(5), first[5], "another seed");
});

test("training batches hold rows of similar length, in no order of length", () => {
  const sequence = batches(3);
  const window = Array.from({ length: 16 }, (_, i) => sequence.batch(i));
  const padding = window.reduce(
    (sum, { batchSize, sourceLength, sourceTokens }) =>
      sum + batchSize * sourceLength - sourceTokens,
    0,
  );
  const tokens = window.reduce((sum, batch) => sum + batch.sourceTokens, 0);
  assert.ok(padding / tokens < 0.25, `${padding} padding ids beside ${tokens}`);
  const lengths = window.map((batch) => batch.sourceLength);
  assert.not.equal(lengths, lengths.toSorted((a, b) => a - b));
});

test("evaluation sees every example once and knows which it was", () => {
  const data = examples("a", 21);
  const seen = [...evaluationBatches(data, tokenizer, options)];
  assert.equal(seen.map((batch) => batch.batchSize), [8, 8, 5]);
  const predictions: string[] = [];
  for (const batch of seen) {
    texts(batch).forEach((text, row) => predictions[batch.indices[row]] = text);
  }
  assert.equal(predictions, data.map((example) => example.source));
});

test("evaluation starts with the longest", () => {
  const lengths = [...evaluationBatches(examples("a", 40), tokenizer, options)]
    .map((batch) => batch.sourceLength);
  assert.equal(lengths, lengths.toSorted((a, b) => b - a));
});

test("nothing to evaluate is no batch", () => {
  assert.equal([...evaluationBatches([], tokenizer, options)], []);
});

test("what is over a limit is cut between the ids that stand around every text", async () => {
  const json = JSON.parse(await Deno.readTextFile(fixture));
  const [before, after] = [0, 1].map((i) => json.post_processor.single[i]);
  const special = { SpecialToken: { id: "</s>", type_id: 0 } };
  const framed = (truncation_side: string) =>
    createTokenizer(
      { ...json, post_processor: { ...json.post_processor, single: [special, before, after] } },
      { truncation_side },
    );
  const ids = tokenizer.encodePart("The creature fled.");
  const cut = (side: string, maxSourceLength: number) => {
    const limits = { ...options, maxSourceLength };
    const example = { task: "a", source: "The creature fled.", target: "" };
    return encodeExample(example, framed(side), limits).source;
  };
  assert.equal(cut("right", 40), [1, ...ids, 1]);
  assert.equal(cut("right", 5), [1, ...ids.slice(0, 3), 1]);
  assert.equal(cut("left", 5), [1, ...ids.slice(-3), 1]);
  assert.equal([cut("right", 2), cut("left", 2), cut("right", 1)], [[1, 1], [1, 1], [1]]);
});

test.run();
