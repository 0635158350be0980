/**
 * Passages of running text with their salient spans: the words that carry what the passage says.
 *
 * A passage is written as a template in which braces enclose a salient span ("That is {right}."). A span
 * begins and ends at the edge of a word, so that it is a whole number of tokens.
 */

/** Running text to pretrain on. */
export interface Passage {
  readonly text: string;
  /** Start and end of each salient span, in UTF-16 units of `text`, in order. */
  readonly salient: readonly (readonly [start: number, end: number])[];
}

/** A passage with what it must be kept out of the text for. */
export interface DrawnPassage extends Passage {
  /** Word pairings (see `pairings` in grammar.ts). */
  readonly pairings: readonly string[];
}

/** Reads a template: braces enclose the salient spans and are taken away. */
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
