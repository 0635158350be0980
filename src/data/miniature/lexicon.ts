/**
 * The words of the miniature mixture and what they mean to each other: kinds of things, opposites and
 * synonyms.
 *
 * A noun's kind decides which verbs may take it (see `verbs.ts`), so that sentences make sense, and the
 * chain of kinds is what hypernym inferences rest on. Every kind is itself a noun one may say.
 */

const list = (text: string): readonly string[] => text.trim().split(/\s+/);

export const women: readonly string[] = list(
  "Anna Mary Emma Clara Alice Ruth Helen Julia Sarah Nora Lucy Jane Ellen Grace Rose Laura Martha Kate Edith Susan",
);
export const men: readonly string[] = list(
  "Ben John Tom Paul Peter Henry George Frank Simon Oscar David James Walter Robert Hugo Martin Arthur Edward Carl Adam",
);
export const names: readonly string[] = [...women, ...men];

export const towns: readonly string[] = list(
  "Dover Leeds Oxford Paris London Boston Dublin Vienna Rome Madrid Berlin Chester York Bath Geneva Lisbon",
);

/** A kind of thing and the words for its members. Kinds that are members of others build the chain. */
const kinds: Readonly<Record<string, readonly string[]>> = {
  animal: list("dog cat bird horse fish insect goat sheep pig rabbit fox"),
  dog: list("spaniel terrier poodle hound"),
  bird: list("sparrow robin owl crow swan"),
  horse: list("pony mare stallion"),
  fish: list("trout salmon shark"),
  insect: list("bee wasp beetle moth"),
  person: list("child worker artist guest neighbour"),
  child: list("boy girl pupil"),
  worker: list(
    "baker farmer nurse doctor teacher lawyer driver sailor cook gardener plumber guard clerk",
  ),
  artist: list("painter singer dancer actor writer poet"),
  fruit: list("apple pear plum peach cherry lemon"),
  vegetable: list("carrot onion potato turnip cabbage"),
  dish: list("soup stew pie salad cake pudding"),
  vehicle: list("car truck van bus tractor bicycle boat wagon"),
  tool: list("hammer saw drill spade axe ladder"),
  instrument: list("violin flute piano drum trumpet guitar"),
  furniture: list("chair table desk sofa shelf bench"),
  garment: list("coat hat scarf shirt glove jacket"),
  container: list("box basket bottle jar bag bucket"),
  flower: list("rose tulip lily daisy"),
  text: list("book letter poem newspaper map"),
  book: list("novel diary dictionary"),
  building: list("house church school hotel tower barn"),
  device: list("clock lamp radio camera phone kettle"),
};

/** Words of mass or awkward kinds, for which "a kind of" is said but no article is used alone. */
const irregularPlurals: Readonly<Record<string, string>> = {
  child: "children",
  fish: "fish",
  sheep: "sheep",
  trout: "trout",
  salmon: "salmon",
  shelf: "shelves",
  furniture: "furniture",
  person: "people",
};

const kindByNoun = new Map(
  Object.entries(kinds).flatMap(([kind, nouns]) => nouns.map((noun) => [noun, kind] as const)),
);

/** The kind a noun belongs to ("spaniel" → "dog"), if the lexicon has one. */
export function kindOf(noun: string): string | undefined {
  return kindByNoun.get(noun);
}

/** The kinds of a noun, nearest first. */
export function hypernyms(noun: string): string[] {
  const kind = kindOf(noun);
  return kind === undefined ? [] : [kind, ...hypernyms(kind)];
}

/** Members of a kind, direct and indirect. */
export function members(kind: string): readonly string[] {
  return (kinds[kind] ?? []).flatMap((noun) => [noun, ...members(noun)]);
}

/** Members with no members of their own. */
export function species(kind: string): readonly string[] {
  return members(kind).filter((noun) => kinds[noun] === undefined);
}

export const kindNames: readonly string[] = Object.keys(kinds);

/** Whether a noun names something that acts. */
export function isAnimate(noun: string): boolean {
  return ["person", "animal"].some((kind) => kind === noun || hypernyms(noun).includes(kind));
}

/** The plural form of a noun. */
export function pluralOf(noun: string): string {
  if (noun in irregularPlurals) return irregularPlurals[noun];
  if (/(s|x|sh|ch)$/.test(noun)) return noun + "es";
  if (/[^aeiou]y$/.test(noun)) return noun.slice(0, -1) + "ies";
  if (/(potato)$/.test(noun)) return noun + "es";
  return noun + "s";
}

/** Adjectives that fit any concrete thing. */
export const thingAdjectives: readonly string[] = list(
  "red blue green yellow white black old new small big clean dirty heavy broken pretty expensive",
);
/** Adjectives that fit people and animals. */
export const animateAdjectives: readonly string[] = list(
  "young old tired hungry happy sad angry calm clever lazy brave shy strong weak nervous proud",
);

/** Opposites that cannot hold of one thing at once. */
export const opposites: readonly (readonly [string, string])[] = [
  ["open", "closed"],
  ["clean", "dirty"],
  ["full", "empty"],
  ["wet", "dry"],
  ["hot", "cold"],
  ["old", "new"],
  ["big", "small"],
  ["heavy", "light"],
  ["cheap", "expensive"],
];
export const animateOpposites: readonly (readonly [string, string])[] = [
  ["happy", "sad"],
  ["awake", "asleep"],
  ["strong", "weak"],
  ["rich", "poor"],
  ["young", "old"],
  ["tall", "short"],
  ["angry", "calm"],
  ["brave", "afraid"],
];

/** Gradable opposites with their comparative forms. */
export const comparatives: readonly (readonly [string, string])[] = [
  ["taller", "shorter"],
  ["older", "younger"],
  ["stronger", "weaker"],
  ["richer", "poorer"],
  ["faster", "slower"],
];

export const places: readonly string[] = [
  "in the kitchen",
  "in the garden",
  "in the barn",
  "in the park",
  "in the street",
  "in the library",
  "in the market",
  "in the forest",
  "in the office",
  "in the museum",
  "at the station",
  "at the harbour",
  "at the school",
  "near the river",
  "near the bridge",
  "on the beach",
  "on the hill",
  "behind the house",
];

export const times: readonly string[] = [
  "on Monday",
  "on Tuesday",
  "on Wednesday",
  "on Thursday",
  "on Friday",
  "on Sunday",
  "yesterday",
  "last week",
  "last night",
  "at noon",
  "in the morning",
  "in the evening",
];

export const adverbs: readonly string[] = list(
  "quickly slowly quietly carefully gladly again often",
);

export const numbers: readonly string[] = list("two three four five six seven eight nine ten");
