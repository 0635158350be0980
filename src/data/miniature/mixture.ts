/**
 * The miniature mixture: six tasks in the paper's families, made from a grammar, and running text of the
 * same kind to pretrain on.
 *
 * Splits are told apart twice. No sentence is in two splits; and one word pairing in eight (this verb
 * with that noun, this adjective with that noun) is held out: every test example has one, and no training
 * or validation example and no pretraining text has any. So a test score says what was learned of the words, not of the
 * sentences.
 */
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
  readonly labels?: readonly string[];
  readonly metrics: readonly MetricName[];
  readonly item: (draw: Draw) => Item;
}

const families: Readonly<Record<string, Family>> = {
  sentiment: {
    description: "Is a short review good (1) or bad (0)?",
    labels: ["0", "1"],
    metrics: ["accuracy"],
    item: sentimentItem,
  },
  acceptability: {
    description: "Is a sentence acceptable English (1) or not (0)?",
    labels: ["0", "1"],
    metrics: ["matthews"],
    item: acceptabilityItem,
  },
  entailment: {
    description:
      "Does the hypothesis follow from the premise (0), may it be true (1), or can it not be (2)?",
    labels: ["0", "1", "2"],
    metrics: ["accuracy"],
    item: entailmentItem,
  },
  paraphrase: {
    description: "Do two sentences say the same (1) or not (0)?",
    labels: ["0", "1"],
    metrics: ["accuracy"],
    item: paraphraseItem,
  },
  question: {
    description: "Answer a question with words of a short passage.",
    metrics: ["exact_match", "token_f1"],
    item: questionItem,
  },
  headline: {
    description: "Write the headline of a short report.",
    metrics: ["rouge_l"],
    item: headlineItem,
  },
};

/** Examples per split and task. */
const sizes: Readonly<Record<Split, number>> = { test: 400, validation: 200, train: 3000 };

/** Whether a pairing is kept for the test split. */
export const isHeldOut = (pairing: string): boolean => hash(pairing) % 8 === 0;

/** The six tasks, always the same ones. */
export function miniatureDatasets(): Dataset[] {
  return Object.entries(families).map(([name, family]) => {
    const { item: _, ...specification } = family;
    return { task: { name, ...specification }, splits: drawSplits(name, family) };
  });
}

function drawSplits(task: string, family: Family): Record<Split, readonly Example[]> {
  const taken = new Map<string, Split>();
  const splits: Record<Split, Example[]> = { test: [], validation: [], train: [] };
  for (const split of ["test", "validation", "train"] as const) {
    const sources = new Set<string>();
    for (let i = 0; splits[split].length < sizes[split]; i++) {
      const { source, target, sentences, pairings } = family.item(new Draw(0, task, split, i));
      if (pairings.some(isHeldOut) !== (split === "test") || sources.has(source)) continue;
      if (sentences.some((sentence) => (taken.get(sentence) ?? split) !== split)) continue;
      for (const sentence of sentences) taken.set(sentence, split);
      sources.add(source);
      splits[split].push({ task, source, target });
    }
  }
  return splits;
}

const passages = [
  reviewPassage,
  lessonPassage,
  lessonPassage,
  reasoningPassage,
  reasoningPassage,
  restatementPassage,
  restatementPassage,
  dialoguePassage,
  newsPassage,
  kindPassage,
];

/** Endless running text of the mixture's kind, a passage at a time; it has none of the held-out pairings. */
export function* miniatureText(seed: number): Generator<string, never> {
  for (let i = 0;; i++) {
    const draw = new Draw(seed, "text", i);
    const { text, pairings } = draw.pick(passages)(draw);
    if (!pairings.some(isHeldOut)) yield text;
  }
}
