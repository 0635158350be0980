/**
 * The miniature mixture: six tasks in the paper's families, made from a grammar, and running text of the
 * same kind to pretrain on.
 *
 * Splits are told apart twice. No sentence is in two splits; and one word pairing in eight (this verb
 * with that noun, this adjective with that noun) is held out: every test example has one, and no training
 * or validation example and no pretraining text has any. So a test score says what was learned of the words, not of the
 * sentences.
 */
import type { Passage } from "../salient.ts";
import type { Dataset, Example, MetricName, Split } from "../types.ts";
import { acceptabilityItem, lessonPassage } from "./acceptability.ts";
import { Draw, hash } from "./draw.ts";
import { entailmentItem, kindPassage, reasoningPassage } from "./entailment.ts";
import { headlineItem, newsPassage } from "./headline.ts";
import type { Item } from "./item.ts";
import { paraphraseItem, restatementPassage } from "./paraphrase.ts";
import { dialoguePassage, questionItem } from "./question.ts";
import { reviewPassage, sentimentItem } from "./sentiment.ts";

interface Family {
  readonly description: string;
  /** Training examples: the more, the harder the task, since tasks are mixed in proportion to size. */
  readonly trainSize: number;
  readonly labels?: readonly string[];
  readonly metrics: readonly MetricName[];
  readonly item: (draw: Draw) => Item;
}

const families: Readonly<Record<string, Family>> = {
  sentiment: {
    trainSize: 2000,
    description: "Is a short review good (1) or bad (0)?",
    labels: ["0", "1"],
    metrics: ["accuracy"],
    item: sentimentItem,
  },
  acceptability: {
    trainSize: 4500,
    description: "Is a sentence acceptable English (1) or not (0)?",
    labels: ["0", "1"],
    metrics: ["matthews"],
    item: acceptabilityItem,
  },
  entailment: {
    trainSize: 3000,
    description:
      "Does the hypothesis follow from the premise (0), may it be true (1), or can it not be (2)?",
    labels: ["0", "1", "2"],
    metrics: ["accuracy"],
    item: entailmentItem,
  },
  paraphrase: {
    trainSize: 6000,
    description: "Do two sentences say the same (1) or not (0)?",
    labels: ["0", "1"],
    metrics: ["accuracy"],
    item: paraphraseItem,
  },
  question: {
    trainSize: 3000,
    description: "Answer a question with words of a short passage.",
    metrics: ["exact_match", "token_f1"],
    item: questionItem,
  },
  headline: {
    trainSize: 1000,
    description: "Write the headline of a short report.",
    metrics: ["rouge_l"],
    item: headlineItem,
  },
};

/** The names of the six tasks. */
export const miniatureTaskNames: readonly string[] = Object.keys(families);

/** Examples of a task held back from training. */
const heldBack = { test: 400, validation: 200 };

/** Whether a pairing is kept for the test split. */
export const isHeldOut = (pairing: string): boolean => hash(pairing) % 8 === 0;

/** The six tasks, always the same ones. */
export function miniatureDatasets(): Dataset[] {
  return Object.entries(families).map(([name, { item: _, trainSize: __, ...specification }]) => {
    const items = miniatureItems(name);
    const examples = (split: Split): Example[] =>
      items[split].map(({ source, target }) => ({ task: name, source, target }));
    return {
      task: {
        name,
        ...specification,
        ...(specification.labels && { answerLength: specification.labels }),
      },
      splits: {
        train: examples("train"),
        validation: examples("validation"),
        test: examples("test"),
      },
    };
  });
}

/** The items of one task, as many of each label, with the sentences and pairings that its splits are told apart by. */
export function miniatureItems(task: string): Record<Split, readonly Item[]> {
  const sizes = { ...heldBack, train: families[task].trainSize };
  const owner = new Map<string, Split>();
  const items: Record<Split, Item[]> = { test: [], validation: [], train: [] };
  for (const split of ["test", "validation", "train"] as const) {
    const sources = new Set<string>();
    const counts = new Map<string, number>();
    const { labels } = families[task];
    const quota = labels ? Math.ceil(sizes[split] / labels.length) : Infinity;
    for (let i = 0; items[split].length < sizes[split]; i++) {
      const item = families[task].item(new Draw(0, task, split, i));
      if (item.pairings.some(isHeldOut) !== (split === "test") || sources.has(item.source)) {
        continue;
      }
      if (item.sentences.some((sentence) => (owner.get(sentence) ?? split) !== split)) continue;
      const count = counts.get(item.target) ?? 0;
      if (count === quota) continue;
      counts.set(item.target, count + 1);
      for (const sentence of item.sentences) owner.set(sentence, split);
      sources.add(item.source);
      items[split].push(item);
    }
  }
  return items;
}

/** Each as often as it stands here. */
const passages = [
  ...[reviewPassage, reviewPassage],
  ...[dialoguePassage, dialoguePassage],
  ...[newsPassage, newsPassage, newsPassage],
  ...[lessonPassage, lessonPassage, lessonPassage],
  ...[reasoningPassage, reasoningPassage],
  ...[restatementPassage, restatementPassage, restatementPassage],
  kindPassage,
];

/** Endless running text of the mixture's kind, a passage at a time; it has none of the held-out pairings. */
export function* miniaturePassages(seed: number): Generator<Passage, never> {
  for (let i = 0;; i++) {
    const draw = new Draw(seed, "text", i);
    const { text, salient, pairings } = draw.pick(passages)(draw);
    if (!pairings.some(isHeldOut)) yield { text, salient };
  }
}
