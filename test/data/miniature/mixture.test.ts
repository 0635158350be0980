import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { Example, Split } from "../../../src/data/types.ts";
import {
  isHeldOut,
  miniatureDatasets,
  miniatureItems,
  miniaturePassages,
} from "../../../src/data/miniature/mixture.ts";

const test = suite("miniature mixture");
const datasets = miniatureDatasets();
const splits: readonly Split[] = ["train", "validation", "test"];

/** The sentences of an example: its source without the prefix and the field names. */
function sentencesOf({ source }: Example): string[] {
  const text = source.replace(/(^| )[a-z]+( [a-z0-9]+)?: /g, " ").trim();
  return text.split(/(?<=[.?]) /).map((sentence) => sentence.trim());
}

function passages(seed: number, count: number): string[] {
  const text = miniaturePassages(seed);
  return Array.from({ length: count }, () => text.next().value.text);
}

test("has six tasks with three full splits", () => {
  assert.equal(
    datasets.map(({ task }) => task.name),
    ["sentiment", "acceptability", "entailment", "paraphrase", "question", "headline"],
  );
  for (const { task, splits: parts } of datasets) {
    const [train, validation, test] = splits.map((split) => parts[split]!.length);
    assert.equal([validation, test], [200, 400], task.name);
    assert.ok(train >= 1000, `${task.name}: ${train} training examples`);
  }
});

test("is the same every time", () => {
  assert.equal(miniatureDatasets(), datasets);
  assert.equal(passages(5, 50), passages(5, 50));
  assert.is.not(passages(5, 50).join(), passages(6, 50).join());
});

test("no example is given twice and none of a task's splits share a sentence", () => {
  for (const { task, splits: parts } of datasets) {
    const owner = new Map<string, Split>();
    const sources = new Set<string>();
    for (const split of splits) {
      for (const example of parts[split]!) {
        assert.not(sources.has(example.source), `${task.name} repeats: ${example.source}`);
        sources.add(example.source);
        for (const sentence of sentencesOf(example)) {
          if (task.name === "question" && sentence.endsWith("?")) continue;
          assert.is(owner.get(sentence) ?? split, split, `${task.name} shares: ${sentence}`);
          owner.set(sentence, split);
        }
      }
    }
  }
});

test("held-out pairings are in every test example and nowhere else", () => {
  for (const { task } of datasets) {
    const items = miniatureItems(task.name);
    for (const split of splits) {
      for (const item of items[split]) {
        assert.is(item.pairings.some(isHeldOut), split === "test", `${split}: ${item.source}`);
      }
    }
  }
});

test("test sentences with a held-out pairing are not in the pretraining text", () => {
  const told = new Set(passages(1, 30_000).flatMap((passage) => passage.split(/(?<=[.?:]) /)));
  for (const { task, splits: parts } of datasets) {
    for (const example of parts.test!) {
      const all = sentencesOf(example);
      const known = task.name === "question" ? all.filter((each) => !each.endsWith("?")) : all;
      assert.not(known.every((sentence) => told.has(sentence)), `${task.name}: ${example.source}`);
    }
  }
});

test("every label is as common as every other, in every split", () => {
  for (const { task, splits: parts } of datasets.filter(({ task }) => task.labels)) {
    for (const split of splits) {
      for (const label of task.labels!) {
        const count = parts[split]!.filter(({ target }) => target === label).length;
        const even = parts[split]!.length / task.labels!.length;
        assert.ok(Math.abs(count - even) <= 2, `${task.name} ${split} ${label}: ${count}`);
      }
    }
  }
});

test("no single word tells the label", () => {
  for (const { task, splits: parts } of datasets.filter(({ task }) => task.labels)) {
    const best = Math.max(...wordRules(parts.train!).map((rule) => accuracy(rule, parts.test!)));
    assert.ok(best < 0.7, `${task.name}: one word gives ${best}`);
  }
});

/** For every frequent word: the commonest label with it, and without it. */
function wordRules(examples: readonly Example[]): ((source: string) => string)[] {
  const counts = new Map<string, Map<string, number>>();
  const all = new Map<string, number>();
  const add = (map: Map<string, number>, key: string) => map.set(key, (map.get(key) ?? 0) + 1);
  for (const { source, target } of examples) {
    add(all, target);
    for (const word of new Set(wordsOf(source))) {
      if (!counts.has(word)) counts.set(word, new Map());
      add(counts.get(word)!, target);
    }
  }
  const top = (map: Map<string, number>) => [...map].sort((a, b) => b[1] - a[1])[0]?.[0] ?? "";
  return [...counts].filter(([, labels]) => [...labels.values()].reduce((a, b) => a + b) > 30)
    .map(([word, labels]) => {
      const without = new Map([...all].map(([label, n]) => [label, n - (labels.get(label) ?? 0)]));
      return (source: string) => wordsOf(source).includes(word) ? top(labels) : top(without);
    });
}

const wordsOf = (source: string): string[] => source.toLowerCase().match(/[a-z0-9']+/g) ?? [];

const accuracy = (rule: (source: string) => string, examples: readonly Example[]): number =>
  examples.filter(({ source, target }) => rule(source) === target).length / examples.length;

test("an answer stands in its passage word for word", () => {
  const question = datasets.find(({ task }) => task.name === "question")!;
  for (const split of splits) {
    for (const { source, target } of question.splits[split]!) {
      const context = source.split(" context: ")[1].toLowerCase();
      assert.ok(context.includes(target.toLowerCase()), `${target} is not in: ${source}`);
    }
  }
});

test("a headline is made of the report's words, the verb aside", () => {
  const headline = datasets.find(({ task }) => task.name === "headline")!;
  for (const { source, target } of headline.splits.test!) {
    const words = target.split(" ");
    const foreign = words.filter((word) => !source.includes(word));
    assert.ok(foreign.length <= 1, `${target}: ${foreign} not in ${source}`);
  }
});

test.run();
