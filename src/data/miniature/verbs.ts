/**
 * The verbs of the miniature mixture: their forms, what they may take, and which others mean the same.
 *
 * A verb is one line of the tables below: its irregular forms if it has any, then the kinds of object
 * that make sense with it. A synonym is a verb that may replace it in any sentence without changing its truth.
 */
import { species } from "./lexicon.ts";

/** A verb and its forms. */
export interface Verb {
  readonly base: string;
  /** Third person singular present: "eats". */
  readonly third: string;
  readonly past: string;
  readonly participle: string;
  /** Present participle: "eating". */
  readonly progressive: string;
  /** Nouns that may be its object; empty for an intransitive verb. */
  readonly objects: readonly string[];
  /** A verb of the same meaning, by its base form. */
  readonly synonym?: string;
}

function thirdOf(base: string): string {
  if (/(s|x|sh|ch|o)$/.test(base)) return base + "es";
  if (/[^aeiou]y$/.test(base)) return base.slice(0, -1) + "ies";
  return base + "s";
}

/** Whether the last consonant doubles before -ed and -ing, in the verbs used here. */
const doubles = (base: string) =>
  /^(drop|grab|hug|chat|stop|plan|hop|run|swim|sit|win|dig|hit)$/.test(base);

function stem(base: string): string {
  if (doubles(base)) return base + base.at(-1);
  return base.endsWith("e") ? base.slice(0, -1) : base;
}

function pastOf(base: string): string {
  return /[^aeiou]y$/.test(base) ? base.slice(0, -1) + "ied" : stem(base) + "ed";
}

/** "eat ate eaten" or "repair", with an optional "=synonym" on the base form. */
function verb(forms: string, objectKinds: string): Verb {
  const [head, past, participle] = forms.split(" ");
  const [base, synonym] = head.split("=");
  const nouns = objectKinds.split(" ").filter(Boolean).flatMap((kind) => {
    const list = species(kind);
    return list.length > 0 ? list : [kind];
  });
  return {
    base,
    third: thirdOf(base),
    past: past ?? pastOf(base),
    participle: participle ?? past ?? pastOf(base),
    progressive: (base.endsWith("ee") ? base : stem(base)) + "ing",
    objects: nouns,
    ...(synonym === undefined ? {} : { synonym }),
  };
}

const table = (rows: readonly (readonly [string, string])[]) =>
  rows.map(([forms, kinds]) => verb(forms, kinds));

/** Verbs without an object, said of people and animals. */
export const intransitives: readonly Verb[] = table([
  ["sleep slept", ""],
  ["laugh", ""],
  ["cough", ""],
  ["arrive", ""],
  ["wait", ""],
  ["run ran run", ""],
  ["swim swam swum", ""],
  ["fall fell fallen", ""],
  ["smile", ""],
  ["dance", ""],
  ["sneeze", ""],
  ["work", ""],
  ["rest", ""],
  ["vanish=disappear", ""],
  ["disappear=vanish", ""],
  ["shout=yell", ""],
  ["yell=shout", ""],
  ["stumble", ""],
  ["hide hid hidden", ""],
  ["kneel knelt", ""],
]);

/** Verbs with one object. */
export const transitives: readonly Verb[] = table([
  ["repair=fix", "vehicle device tool furniture"],
  ["fix=repair", "vehicle device tool furniture"],
  ["buy=purchase bought", "garment fruit instrument vehicle device text"],
  ["purchase=buy", "garment fruit instrument vehicle device text"],
  ["eat ate eaten", "fruit vegetable dish"],
  ["cook", "vegetable dish fish"],
  ["taste", "dish fruit"],
  ["steal stole stolen", "vehicle device garment instrument"],
  ["hide hid hidden", "text tool container garment"],
  ["find=discover found", "text tool container garment animal"],
  ["discover=find", "text tool container garment animal"],
  ["carry", "container tool instrument furniture"],
  ["drop", "container device text fruit"],
  ["paint", "furniture building vehicle flower"],
  ["clean=wash", "garment container vehicle dish"],
  ["wash=clean", "garment container vehicle dish"],
  ["read read", "text"],
  ["write wrote written", "letter poem diary novel"],
  ["break broke broken", "furniture device tool bottle"],
  ["build=construct built", "building boat furniture"],
  ["construct=build", "building boat furniture"],
  ["chase=pursue", "animal"],
  ["pursue=chase", "animal"],
  ["feed fed", "animal child"],
  ["help=assist", "person"],
  ["assist=help", "person"],
  ["visit", "person building"],
  ["admire", "flower artist building"],
  ["plant", "flower vegetable"],
  ["pick", "flower fruit"],
  ["wear wore worn", "garment"],
  ["play", "instrument"],
  ["drive drove driven", "vehicle"],
  ["lift=raise", "furniture container tool"],
  ["raise=lift", "furniture container tool"],
  ["thank", "person"],
  ["greet=welcome", "person"],
  ["welcome=greet", "person"],
  ["follow", "person animal vehicle"],
  ["photograph", "animal building flower"],
]);

/** Verbs of giving: "give Ben the cup" and "give the cup to Ben". */
export const ditransitives: readonly Verb[] = table([
  ["give gave given", "fruit text tool instrument garment flower"],
  ["send sent", "text flower garment"],
  ["show showed shown", "text instrument animal device"],
  ["lend lent", "tool vehicle text instrument"],
  ["hand", "tool container fruit text"],
  ["offer", "dish fruit garment flower"],
  ["sell sold", "vehicle furniture instrument animal"],
  ["throw threw thrown", "fruit garment container"],
]);

/** Verbs with two animate participants, for sentences whose roles can be swapped. */
export const reversibles: readonly Verb[] = transitives.filter((verb) =>
  ["chase", "pursue", "help", "assist", "visit", "thank", "greet", "welcome", "follow"].includes(
    verb.base,
  )
);

const byBase = new Map([...intransitives, ...transitives].map((verb) => [verb.base, verb]));

/** The verb that may replace this one, if there is one. */
export function synonymOf(verb: Verb): Verb | undefined {
  return verb.synonym === undefined ? undefined : byBase.get(verb.synonym);
}
