/**
 * Porter's stemmer (Porter 1980) with the departures of NLTK's default mode, which `rouge-score`
 * uses: a list of irregular words, kinder rules for short words in -ies, -ied and -y, and three more
 * suffixes in step 2. The departures are marked NLTK.
 */

/** [suffix, replacement]; the first suffix that matches decides, whether or not its condition holds. */
type Rule = readonly [suffix: string, replacement: string, condition?: (stem: string) => boolean];

/** NLTK: words the rules would treat badly. */
const IRREGULAR: Readonly<Record<string, string>> = {
  skies: "sky",
  sky: "sky",
  dying: "die",
  lying: "lie",
  tying: "tie",
  news: "news",
  innings: "inning",
  inning: "inning",
  outings: "outing",
  outing: "outing",
  cannings: "canning",
  canning: "canning",
  howe: "howe",
  proceed: "proceed",
  exceed: "exceed",
  succeed: "succeed",
};

const hasMeasure = (stem: string) => measure(stem) > 0;

const STEP_2: readonly Rule[] = [
  ["ational", "ate"],
  ["tional", "tion"],
  ["enci", "ence"],
  ["anci", "ance"],
  ["izer", "ize"],
  ["bli", "ble"],
  ["entli", "ent"],
  ["eli", "e"],
  ["ousli", "ous"],
  ["ization", "ize"],
  ["ation", "ate"],
  ["ator", "ate"],
  ["alism", "al"],
  ["iveness", "ive"],
  ["fulness", "ful"],
  ["ousness", "ous"],
  ["aliti", "al"],
  ["iviti", "ive"],
  ["biliti", "ble"],
  ["fulli", "ful"], // NLTK
  ["logi", "log", (stem) => measure(stem + "l") > 0], // NLTK: the l counts
];

const STEP_3: readonly Rule[] = [
  ["icate", "ic"],
  ["ative", ""],
  ["alize", "al"],
  ["iciti", "ic"],
  ["ical", "ic"],
  ["ful", ""],
  ["ness", ""],
];

const isLong = (stem: string) => measure(stem) > 1;

const STEP_4: readonly Rule[] = [
  ...["al", "ance", "ence", "er", "ic", "able", "ible", "ant", "ement", "ment", "ent"]
    .map((suffix): Rule => [suffix, ""]),
  ["ion", "", (stem) => isLong(stem) && /[st]$/.test(stem)],
  ...["ou", "ism", "ate", "iti", "ous", "ive", "ize"].map((suffix): Rule => [suffix, ""]),
];

/** The stem of an English word in lower case. Words of one or two letters are their own stem. */
export function stem(word: string): string {
  if (Object.hasOwn(IRREGULAR, word)) return IRREGULAR[word];
  if (word.length <= 2) return word;
  let result = plural(word);
  result = pastAndGerund(result);
  result = finalY(result);
  result = step2(result);
  result = apply(result, STEP_3, hasMeasure);
  result = apply(result, STEP_4, isLong);
  return finalE(result);
}

/** Step 1a. */
function plural(word: string): string {
  if (/^.ies$/.test(word)) return word.slice(0, -1); // NLTK: dies, ties
  if (/(ss|i)es$/.test(word)) return word.slice(0, -2);
  return word.endsWith("s") && !word.endsWith("ss") ? word.slice(0, -1) : word;
}

/** Step 1b. */
function pastAndGerund(word: string): string {
  if (word.endsWith("ied")) return word.slice(0, word.length === 4 ? -1 : -2); // NLTK: died, spied
  if (word.endsWith("eed")) return hasMeasure(word.slice(0, -3)) ? word.slice(0, -1) : word;
  const suffix = ["ed", "ing"].find((suffix) => word.endsWith(suffix));
  if (suffix === undefined) return word;
  const rest = word.slice(0, -suffix.length);
  if (!hasVowel(rest)) return word;
  if (/(at|bl|iz)$/.test(rest)) return rest + "e";
  if (endsInDoubleConsonant(rest)) return /[lsz]$/.test(rest) ? rest : rest.slice(0, -1);
  return measure(rest) === 1 && endsInShortSyllable(rest) ? rest + "e" : rest;
}

/** Step 1c. NLTK: after a consonant that is not the whole stem (happy, but say and by stay). */
function finalY(word: string): string {
  const rest = word.slice(0, -1);
  const changes = word.endsWith("y") && rest.length > 1 && isConsonant(rest, rest.length - 1);
  return changes ? rest + "i" : word;
}

/** Step 2. NLTK: -alli is taken off first, then the step is done again. */
function step2(word: string): string {
  if (word.endsWith("alli") && hasMeasure(word.slice(0, -4))) return step2(word.slice(0, -2));
  return apply(word, STEP_2, hasMeasure);
}

/** Steps 5a and 5b. */
function finalE(word: string): string {
  let result = word;
  if (word.endsWith("e")) {
    const rest = word.slice(0, -1);
    const m = measure(rest);
    if (m > 1 || (m === 1 && !endsInShortSyllable(rest))) result = rest;
  }
  return result.endsWith("ll") && measure(result.slice(0, -1)) > 1 ? result.slice(0, -1) : result;
}

function apply(word: string, rules: readonly Rule[], usual: (stem: string) => boolean): string {
  const rule = rules.find(([suffix]) => word.endsWith(suffix));
  if (rule === undefined) return word;
  const [suffix, replacement, condition = usual] = rule;
  const rest = word.slice(0, -suffix.length);
  return condition(rest) ? rest + replacement : word;
}

/** Porter's m: how many times vowels are followed by consonants. */
function measure(stem: string): number {
  return pattern(stem).match(/v+c/g)?.length ?? 0;
}

function hasVowel(stem: string): boolean {
  return pattern(stem).includes("v");
}

function endsInDoubleConsonant(word: string): boolean {
  return /(.)\1$/.test(word) && isConsonant(word, word.length - 1);
}

/** Porter's *o. NLTK: a vowel and a consonant alone will do. */
function endsInShortSyllable(word: string): boolean {
  const letters = pattern(word);
  return letters === "vc" || (letters.endsWith("cvc") && !/[wxy]$/.test(word));
}

/** The word with c for each consonant and v for each vowel; y is a vowel after a consonant. */
function pattern(word: string): string {
  let result = "";
  for (const letter of word) {
    const isVowel = "aeiou".includes(letter) || (letter === "y" && result.endsWith("c"));
    result += isVowel ? "v" : "c";
  }
  return result;
}

function isConsonant(word: string, index: number): boolean {
  return pattern(word)[index] === "c";
}
