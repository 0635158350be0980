/**
 * Passages of running text, written as templates.
 *
 * In a template braces enclose a salient span ("That is {right}."), the words that carry what the passage
 * says; a span is whole words.
 */
import type { Passage } from "../salient.ts";

/** A passage and the word pairings in it, by which it is kept out of the pretraining text. */
export interface DrawnPassage extends Passage {
  /** See `pairings` in grammar.ts. */
  readonly pairings: readonly string[];
}

/** Reads a template: braces are taken away and what they enclose is salient. */
export function passage(template: string, pairings: readonly string[] = []): DrawnPassage {
  const salient: [number, number][] = [];
  let text = "";
  for (const part of template.split(/(\{[^}]*\})/)) {
    const words = part.startsWith("{") ? part.slice(1, -1) : part;
    if (words !== part) salient.push([text.length, text.length + words.length]);
    text += words;
  }
  return { text, salient, pairings };
}
