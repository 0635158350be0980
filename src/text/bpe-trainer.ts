/**
 * Trains a small byte-pair encoder and writes it as a Hugging Face `tokenizer.json` in T5's manner:
 * `<pad>` 0, `</s>` 1, `<unk>` 2, sentinels at the end of the vocabulary in falling order.
 *
 * Text is lower-cased, curly quotes are made straight, and every word carries its leading space ("▁"). Merges join letters
 * with letters only, so digits stay single and punctuation stays apart without a rule at run time;
 * a sign may only join the space before it. Ties go to the pair that sorts first, so the same
 * text always gives the same file.
 *
 * Source: Sennrich et al. 2016, "Neural Machine Translation of Rare Words with Subword Units".
 */

/** What is to be trained. */
export interface BpeOptions {
  /** Entries in all, special tokens and sentinels included; fewer come out when the text has no more pairs. */
  readonly vocabularySize: number;
  readonly sentinels: number;
  /** Characters seen less often than this become `<unk>`. */
  readonly minimumCharacterCount: number;
}

const SPACE = "▁";
const SPECIAL = ["<pad>", "</s>", "<unk>"] as const;

/** Replacements applied before anything else, in training and (written into the file) in use. */
const REPLACEMENTS: readonly (readonly [string, string])[] = [
  ["’", "'"],
  ["‘", "'"],
  ["“", '"'],
  ["”", '"'],
];

/** A word as the pieces it now consists of, and how often it was seen. */
interface Word {
  pieces: string[];
  readonly count: number;
}

/** Where a pair of neighbouring pieces occurs, and how often in all. */
interface Pair {
  count: number;
  readonly words: Set<Word>;
}

/** The parsed contents of `tokenizer.json`, trained on `texts`. */
export function trainBpe(texts: Iterable<string>, options: BpeOptions): Record<string, unknown> {
  const words = countWords(texts);
  const alphabet = characters(words, options.minimumCharacterCount);
  const budget = options.vocabularySize - SPECIAL.length - options.sentinels;
  const merges = learnMerges(words, budget - alphabet.length);
  const pieces = [...alphabet, ...merges.map(([left, right]) => left + right)];
  const sentinels = Array.from(
    { length: options.sentinels },
    (_, i) => `<extra_id_${options.sentinels - 1 - i}>`,
  );
  return tokenizerJson([...SPECIAL, ...pieces, ...sentinels], merges, sentinels);
}

function countWords(texts: Iterable<string>): Word[] {
  const counts = new Map<string, number>();
  for (const text of texts) {
    let normal = text.toLowerCase();
    for (const [from, to] of REPLACEMENTS) normal = normal.replaceAll(from, to);
    for (const word of normal.split(/\s+/)) {
      if (word !== "") counts.set(word, (counts.get(word) ?? 0) + 1);
    }
  }
  return [...counts].map(([word, count]) => ({ pieces: [SPACE, ...word], count }));
}

function characters(words: readonly Word[], minimum: number): string[] {
  const counts = new Map<string, number>();
  for (const { pieces, count } of words) {
    for (const piece of pieces) counts.set(piece, (counts.get(piece) ?? 0) + count);
  }
  return [...counts].filter(([, count]) => count >= minimum).map(([character]) => character).sort();
}

const isLetters = (piece: string): boolean => /^▁?\p{L}*$/u.test(piece);

/** Whether two neighbouring pieces may ever become one. */
function mayJoin(left: string, right: string): boolean {
  return left === SPACE || (isLetters(left) && isLetters(right));
}

function learnMerges(words: readonly Word[], budget: number): [string, string][] {
  const pairs = new Map<string, Pair>();
  const key = (left: string, right: string) => `${left} ${right}`;

  function count(word: Word, sign: 1 | -1): void {
    for (let i = 0; i + 1 < word.pieces.length; i++) {
      const [left, right] = [word.pieces[i], word.pieces[i + 1]];
      if (!mayJoin(left, right)) continue;
      let pair = pairs.get(key(left, right));
      if (pair === undefined) pairs.set(key(left, right), pair = { count: 0, words: new Set() });
      pair.count += sign * word.count;
      if (sign > 0) pair.words.add(word);
    }
  }

  for (const word of words) count(word, 1);
  const merges: [string, string][] = [];
  while (merges.length < budget) {
    let best: string | undefined;
    let bestCount = 1;
    for (const [name, pair] of pairs) {
      if (
        pair.count > bestCount || (pair.count === bestCount && best !== undefined && name < best)
      ) {
        [best, bestCount] = [name, pair.count];
      }
    }
    if (best === undefined) break;
    const [left, right] = best.split(" ") as [string, string];
    merges.push([left, right]);
    for (const word of pairs.get(best)!.words) {
      count(word, -1);
      word.pieces = join(word.pieces, left, right);
      count(word, 1);
    }
    pairs.delete(best);
  }
  return merges;
}

/** The pieces with every `left`, `right` joined, from the left. */
function join(pieces: readonly string[], left: string, right: string): string[] {
  const joined: string[] = [];
  for (let i = 0; i < pieces.length; i++) {
    if (pieces[i] === left && pieces[i + 1] === right) joined.push(left + pieces[++i]);
    else joined.push(pieces[i]);
  }
  return joined;
}

function tokenizerJson(
  entries: readonly string[],
  merges: readonly (readonly [string, string])[],
  sentinels: readonly string[],
): Record<string, unknown> {
  const vocab = Object.fromEntries(entries.map((entry, id) => [entry, id]));
  const special = [...SPECIAL, ...sentinels].map((content) => ({
    id: vocab[content],
    content,
    single_word: false,
    lstrip: false,
    rstrip: false,
    normalized: false,
    special: true,
  }));
  const replacements = REPLACEMENTS.map(([from, content]) => ({
    type: "Replace",
    pattern: { String: from },
    content,
  }));
  return {
    version: "1.0",
    truncation: null,
    padding: null,
    added_tokens: special,
    normalizer: { type: "Sequence", normalizers: [{ type: "Lowercase" }, ...replacements] },
    pre_tokenizer: {
      type: "Sequence",
      pretokenizers: [
        { type: "WhitespaceSplit" },
        { type: "Metaspace", replacement: SPACE, prepend_scheme: "always", split: true },
      ],
    },
    post_processor: {
      type: "TemplateProcessing",
      single: [{ Sequence: { id: "A", type_id: 0 } }, { SpecialToken: { id: "</s>", type_id: 0 } }],
      pair: [
        { Sequence: { id: "A", type_id: 0 } },
        { SpecialToken: { id: "</s>", type_id: 0 } },
        { Sequence: { id: "B", type_id: 0 } },
        { SpecialToken: { id: "</s>", type_id: 0 } },
      ],
      special_tokens: { "</s>": { id: "</s>", ids: [vocab["</s>"]], tokens: ["</s>"] } },
    },
    decoder: { type: "Metaspace", replacement: SPACE, prepend_scheme: "always", split: true },
    model: {
      type: "BPE",
      dropout: null,
      unk_token: "<unk>",
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: true,
      byte_fallback: false,
      ignore_merges: false,
      vocab,
      merges: merges.map(([left, right]) => [left, right]),
    },
  };
}
