/**
 * Phrases and clauses as data, and how they are written in English.
 *
 * A clause says who did what to whom, where and when; voice, tense, negation and word order are chosen only
 * when it is written. Two writings of one clause are therefore paraphrases by construction, and a clause
 * with one part changed has a known relation to the original.
 */
import type { Draw } from "./draw.ts";
import {
  animateAdjectives,
  isAnimate,
  names,
  places,
  pluralOf,
  species,
  thingAdjectives,
  times,
  women,
} from "./lexicon.ts";
import { ditransitives, intransitives, transitives, type Verb } from "./verbs.ts";

/** A noun phrase. A name has no determiner. */
export interface Phrase {
  readonly determiner: string;
  readonly adjective?: string;
  readonly noun: string;
  readonly plural: boolean;
}

export interface Clause {
  readonly subject: Phrase;
  readonly verb: Verb;
  readonly object?: Phrase;
  readonly recipient?: Phrase;
  readonly place?: string;
  readonly time?: string;
}

export interface Writing {
  readonly tense?: "past" | "present" | "perfect" | "future";
  readonly negated?: boolean;
  readonly passive?: boolean;
  /** "gave Ben the cup" instead of "gave the cup to Ben". */
  readonly doubleObject?: boolean;
  readonly timeFirst?: boolean;
}

export const isName = (phrase: Phrase): boolean => names.includes(phrase.noun);

/** The indefinite article a word takes. */
export const article = (word: string): string => /^[aeiou]/.test(word) ? "an" : "a";

/** "a red box", "Anna", "the boxes". */
export function write(phrase: Phrase): string {
  const noun = phrase.plural ? pluralOf(phrase.noun) : phrase.noun;
  const rest = phrase.adjective === undefined ? noun : `${phrase.adjective} ${noun}`;
  if (phrase.determiner === "") return rest;
  return `${phrase.determiner === "a" ? article(rest) : phrase.determiner} ${rest}`;
}

/** A sentence: capital first, full stop (or the given mark) last. */
export function sentence(text: string, mark = "."): string {
  return text.charAt(0).toUpperCase() + text.slice(1) + mark;
}

/** The verb group of a clause that agrees with `subject`. */
export function verbGroup(verb: Verb, subject: Phrase, writing: Writing): string {
  const not = writing.negated ? " not" : "";
  const be = subject.plural ? "are" : "is";
  const was = subject.plural ? "were" : "was";
  const have = subject.plural ? "have" : "has";
  const tense = writing.tense ?? "past";
  if (writing.passive) {
    if (tense === "past") return `${was}${not} ${verb.participle}`;
    if (tense === "present") return `${be}${not} ${verb.participle}`;
    if (tense === "perfect") return `${have}${not} been ${verb.participle}`;
    return `will${not} be ${verb.participle}`;
  }
  if (tense === "future") return `will${not} ${verb.base}`;
  if (tense === "perfect") return `${have}${not} ${verb.participle}`;
  if (tense === "past") return writing.negated ? `did not ${verb.base}` : verb.past;
  if (writing.negated) return `${subject.plural ? "do" : "does"} not ${verb.base}`;
  return subject.plural ? verb.base : verb.third;
}

/** A clause in words, without capital and full stop. */
export function writeClause(clause: Clause, writing: Writing = {}): string {
  const { subject, verb, object, recipient } = clause;
  const words: string[] = [];
  if (writing.passive && object) {
    words.push(write(object), verbGroup(verb, object, writing));
    if (recipient) words.push("to", write(recipient));
    words.push("by", write(subject));
  } else {
    words.push(write(subject), verbGroup(verb, subject, writing));
    if (recipient && writing.doubleObject) words.push(write(recipient));
    if (object) words.push(write(object));
    if (recipient && !writing.doubleObject) words.push("to", write(recipient));
  }
  if (clause.place) words.push(clause.place);
  if (clause.time && !writing.timeFirst) words.push(clause.time);
  const text = words.join(" ");
  return clause.time && writing.timeFirst ? `${clause.time} ${text}` : text;
}

/** A clause as a sentence. */
export function say(clause: Clause, writing: Writing = {}): string {
  return sentence(writeClause(clause, writing));
}

/** "she", "he", "they" or "it", whichever stands for the phrase. */
export function pronoun(phrase: Phrase): "she" | "he" | "they" | "it" {
  if (phrase.plural) return "they";
  if (women.includes(phrase.noun) || phrase.noun === "girl") return "she";
  if (isName(phrase) || phrase.noun === "boy") return "he";
  return "it";
}

export function name(noun: string): Phrase {
  return { determiner: "", noun, plural: false };
}

export function thing(
  determiner: string,
  noun: string,
  adjective?: string,
  plural = false,
): Phrase {
  return { determiner, noun, plural, ...(adjective === undefined ? {} : { adjective }) };
}

/** Adjectives that fit a noun. */
export function adjectivesFor(noun: string): readonly string[] {
  return isAnimate(noun) ? animateAdjectives : thingAdjectives;
}

const personNouns = species("person");
const animateNouns = [...personNouns, ...species("animal")];

/** Someone who acts: a name, or a person noun with "the". */
export function drawPerson(draw: Draw): Phrase {
  if (draw.chance(0.6)) return name(draw.pick(names));
  const noun = draw.pick(personNouns);
  return thing("the", noun, draw.chance(0.2) ? draw.pick(animateAdjectives) : undefined);
}

/** A person or an animal, now and then in the plural. */
export function drawAnimate(draw: Draw): Phrase {
  if (draw.chance(0.4)) return drawPerson(draw);
  const noun = draw.pick(animateNouns);
  const adjective = draw.chance(0.25) ? draw.pick(animateAdjectives) : undefined;
  return thing("the", noun, adjective, draw.chance(0.3));
}

/** An object that makes sense with the verb. */
export function drawObject(draw: Draw, verb: Verb): Phrase {
  const noun = draw.pick(verb.objects);
  const adjective = draw.chance(0.35) ? draw.pick(adjectivesFor(noun)) : undefined;
  return thing(draw.chance(0.6) ? "the" : "a", noun, adjective);
}

/** A clause of any frame, with a place or a time now and then. */
export function drawClause(
  draw: Draw,
  frame: "intransitive" | "transitive" | "ditransitive" = draw.pick(
    ["intransitive", "transitive", "transitive", "ditransitive"] as const,
  ),
): Clause {
  const place = draw.chance(0.3) ? { place: draw.pick(places) } : {};
  const time = draw.chance(0.25) ? { time: draw.pick(times) } : {};
  if (frame === "intransitive") {
    return { subject: drawAnimate(draw), verb: draw.pick(intransitives), ...place, ...time };
  }
  const subject = drawPerson(draw);
  if (frame === "transitive") {
    const verb = draw.pick(transitives);
    return { subject, verb, object: drawObject(draw, verb), ...place, ...time };
  }
  const verb = draw.pick(ditransitives);
  let recipient = drawPerson(draw);
  while (recipient.noun === subject.noun) recipient = drawPerson(draw);
  return { subject, verb, object: drawObject(draw, verb), recipient, ...time };
}

/** The pairings of a clause that the splits are told apart by: verb and subject, verb and object, adjective and noun. */
export function pairings(clause: Clause): string[] {
  const { subject, verb, object } = clause;
  const result: string[] = [];
  const add = (first: string, second: string) => result.push(`${first}+${second}`);
  add(verb.base, subject.noun);
  if (object) add(verb.base, object.noun);
  for (const phrase of [subject, object, clause.recipient]) {
    if (phrase?.adjective) add(phrase.adjective, phrase.noun);
  }
  return result;
}
