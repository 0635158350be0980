/**
 * Entailment between two sentences, three labels: "0" follows, "1" may or may not be, "2" cannot be.
 *
 * Each rule draws one fact and writes what follows from it, what it leaves open and what contradicts it; the
 * label is drawn last, so that neither sentence alone tells it. The rules are hypernyms, modifiers, negation, quantifiers,
 * numbers, opposites, comparison, implicative verbs, places and voice.
 */
import type { Draw } from "./draw.ts";
import {
  adjectivesFor,
  article,
  type Clause,
  drawClause,
  drawPerson,
  pairings,
  type Phrase,
  say,
  sentence,
  thing,
  write,
} from "./grammar.ts";
import type { Item } from "./item.ts";
import { type DrawnPassage, passage } from "./passage.ts";
import {
  animateOpposites,
  comparatives,
  hypernyms,
  names,
  numbers,
  opposites,
  places,
  pluralOf,
  species,
} from "./lexicon.ts";
import { intransitives, reversibles } from "./verbs.ts";

/** A premise with the hypotheses it supports, leaves open and excludes (any may have several). */
export interface Inference {
  readonly premise: string;
  readonly follows: string;
  readonly open: string;
  readonly excluded: string;
  readonly pairings: readonly string[];
}

type Rule = (draw: Draw) => Inference;

/** The clause's object, made less specific: its kind, without the adjective. */
function general(phrase: Phrase, draw: Draw): Phrase {
  const kinds = hypernyms(phrase.noun).filter((kind) => kind !== "furniture");
  const noun = kinds.length > 0 ? draw.pick(kinds) : phrase.noun;
  return thing("a", noun);
}

/** "Anna fixed the red car" → fixed a vehicle / fixed the red car yesterday / did not fix the car. */
function specificity(draw: Draw): Inference {
  const { place: _, time: __, ...clause } = drawClause(draw, "transitive");
  const object = clause.object!;
  const kinded = { ...clause, object: general(object, draw) };
  const placed = { ...clause, object: thing("the", object.noun), place: draw.pick(places) };
  const colour = draw.pick(adjectivesFor(object.noun).filter((word) => word !== object.adjective));
  const open = draw.pick<Clause>([
    placed,
    {
      ...clause,
      object: thing(object.determiner, object.noun, object.adjective ? undefined : colour),
    },
  ]);
  return {
    premise: say(clause),
    follows: say(kinded),
    open: say(open === placed || !object.adjective ? open : placed),
    excluded: draw.chance(0.5)
      ? say({ ...clause, object: thing("the", object.noun) }, { negated: true })
      : say(kinded, { negated: true }),
    pairings: pairings(clause),
  };
}

/** Quantifiers over a kind and one of its species. */
function quantifiers(draw: Draw): Inference {
  const kind = draw.pick(["dog", "bird", "horse", "child", "worker", "artist", "insect"]);
  const noun = draw.pick(species(kind));
  const verb = draw.pick(intransitives).past;
  const base = intransitives.find((each) => each.past === verb)!.base;
  const [some, all] = [pluralOf(noun), pluralOf(kind)];
  const other = draw.pick(unrelated(kind));
  const used = [kind, noun, other].map((each) => `${base}+${each}`);
  return draw.pick<Inference>([
    {
      premise: `All the ${all} ${verb}.`,
      follows: draw.pick([`All the ${some} ${verb}.`, `Some ${all} ${verb}.`]),
      open: `All the ${pluralOf(other)} ${verb}.`,
      excluded: draw.pick([
        `No ${kind} ${verb}.`,
        `No ${noun} ${verb}.`,
        `Some ${some} did not ${base}.`,
      ]),
      pairings: used,
    },
    {
      premise: `Some ${some} ${verb}.`,
      follows: draw.pick([`Some ${all} ${verb}.`, `At least one ${noun} ${verb}.`]),
      open: draw.pick([`All the ${some} ${verb}.`, `Some ${some} did not ${base}.`]),
      excluded: draw.pick([`No ${noun} ${verb}.`, `No ${kind} ${verb}.`]),
      pairings: used,
    },
    {
      premise: `No ${kind} ${verb}.`,
      follows: draw.pick([`No ${noun} ${verb}.`, `The ${noun} did not ${base}.`]),
      open: `No ${other} ${verb}.`,
      excluded: draw.pick([`Some ${some} ${verb}.`, `The ${noun} ${verb}.`]),
      pairings: used,
    },
  ]);
}

const unrelated = (kind: string): string[] =>
  ["dog", "bird", "horse", "child", "worker", "artist", "insect"].filter((other) => other !== kind);

function counting(draw: Draw): Inference {
  const { place: _, ...clause } = drawClause(draw, "transitive");
  const noun = clause.object!.noun;
  const index = 2 + draw.integer(numbers.length - 4);
  const count = (words: string) =>
    sentence(`${write(clause.subject)} ${clause.verb.past} ${words} ${pluralOf(noun)}`);
  const less = numbers[draw.integer(index)];
  const more = numbers[index + 1 + draw.integer(numbers.length - index - 1)];
  return {
    premise: count(numbers[index]),
    follows: draw.pick([count(`more than ${less}`), count(`fewer than ${more}`), count("some")]),
    open: draw.pick([count(`${numbers[index]} ${draw.pick(adjectivesFor(noun))}`)]),
    excluded: draw.pick([count(`fewer than ${less}`), count(`more than ${more}`), count("no")]),
    pairings: [`${clause.verb.base}+${noun}`],
  };
}

function states(draw: Draw): Inference {
  const animate = draw.chance(0.5);
  const subject = animate
    ? drawPerson(draw)
    : thing("the", draw.pick(species(draw.pick(["container", "vehicle", "garment", "device"]))));
  const table = animate ? animateOpposites : opposites;
  const [first, second] = draw.pair(table);
  const [is, not] = draw.chance(0.5) ? first : [first[1], first[0]];
  const other = draw.pick(second);
  const who = write({ ...subject, plural: false });
  const be = (words: string) => sentence(`${who} was ${words}`);
  return {
    premise: be(`${is} and ${other}`),
    follows: draw.pick([be(is), be(other), be(`not ${not}`)]),
    open: draw.pick([
      be(draw.pick(table.flat().filter((word) => ![is, not, ...second].includes(word)))),
      be(`${is} ${draw.pick(places)}`),
    ]),
    excluded: draw.pick([be(not), be(`not ${is}`), be(`${not} and ${other}`)]),
    pairings: [`${is}+${subject.noun}`],
  };
}

function comparison(draw: Draw): Inference {
  const [first, second] = draw.pair(names);
  const third = draw.pick(names.filter((each) => each !== first && each !== second));
  const pair = draw.pick(comparatives);
  const [more, less] = draw.chance(0.5) ? pair : [pair[1], pair[0]];
  const is = (a: string, word: string, b: string) => `${a} was ${word} than ${b}.`;
  return {
    premise: is(first, more, second),
    follows: is(second, less, first),
    open: draw.pick([is(third, more, second), is(first, more, third), is(third, less, first)]),
    excluded: draw.pick([is(second, more, first), is(first, less, second)]),
    pairings: [`${more}+${first}`],
  };
}

/** "managed to", "failed to", "wanted to": whether the deed was done is in the verb. */
function implicatives(draw: Draw): Inference {
  const { time: _, ...clause } = drawClause(draw, "transitive");
  const deed = `${clause.verb.base} ${write(clause.object!)}`;
  const who = write(clause.subject);
  const bare: Clause = { subject: clause.subject, verb: clause.verb, object: clause.object! };
  const did = say(bare);
  const didNot = say(bare, { negated: true });
  const kind = draw.pick(["done", "undone", "either"] as const);
  const verbs = {
    done: ["managed to", "remembered to"],
    undone: ["failed to", "forgot to", "refused to"],
    either: ["wanted to", "hoped to", "decided to"],
  };
  const premise = sentence(`${who} ${draw.pick(verbs[kind])} ${deed}`);
  const elsewhere = say({ ...bare, place: draw.pick(places) });
  const other = say({ ...bare, subject: otherPerson(draw, clause.subject) });
  const used = pairings(clause);
  if (kind === "done") {
    return { premise, follows: did, open: elsewhere, excluded: didNot, pairings: used };
  }
  if (kind === "undone") {
    return { premise, follows: didNot, open: other, excluded: did, pairings: used };
  }
  return {
    premise,
    follows: sentence(`${who} ${wants(premise)} ${clause.verb.base} ${write(clause.object!)}`),
    open: draw.pick([did, didNot]),
    excluded: sentence(`${who} did not ${base(premise)} ${deed}`),
    pairings: used,
  };
}

const wants = (premise: string) => /wanted to|hoped to|decided to/.exec(premise)![0];
const base = (premise: string) =>
  wants(premise).replace("wanted", "want").replace("hoped", "hope").replace("decided", "decide");

function otherPerson(draw: Draw, than: Phrase): Phrase {
  let person = drawPerson(draw);
  while (person.noun === than.noun) person = drawPerson(draw);
  return person;
}

/** Voice, and places at the same time. */
function voiceAndPlace(draw: Draw): Inference {
  const { time: _, ...drawn } = drawClause(draw, "transitive");
  const here = draw.pick(places);
  const clause: Clause = { ...drawn, place: here };
  const { place: __, ...bare } = clause;
  return {
    premise: say(clause, { passive: draw.chance(0.4) }),
    follows: draw.pick([
      say(bare),
      say(bare, { passive: true }),
      sentence(`${write(clause.subject)} was ${here}`),
    ]),
    open: draw.pick([
      say({ ...bare, subject: otherPerson(draw, clause.subject) }, { passive: draw.chance(0.5) }),
      sentence(`${write(otherPerson(draw, clause.subject))} was ${here}`),
    ]),
    excluded: draw.pick([
      say(bare, { passive: draw.chance(0.5), negated: true }),
      sentence(`nobody was ${here}`),
      sentence(`nobody ${clause.verb.past} ${write(clause.object!)}`),
    ]),
    pairings: pairings(clause),
  };
}

/** "The dog that chased the cat slept": the main clause and the relative clause each have their own subject. */
function relatives(draw: Draw): Inference {
  const main = draw.pick(intransitives);
  const verb = draw.pick(reversibles);
  const head = thing("the", draw.pick(verb.objects));
  const inner = otherNoun(draw, head.noun, verb.objects);
  const doer = draw.chance(0.5);
  const [subject, object] = doer ? [head, inner] : [inner, head];
  const relative = doer ? `that ${verb.past} ${write(inner)}` : `that ${write(inner)} ${verb.past}`;
  return {
    premise: sentence(`${write(head)} ${relative} ${main.past}`),
    follows: draw.pick([
      say({ subject: head, verb: main }),
      say({ subject, verb, object }, { passive: draw.chance(0.4) }),
    ]),
    open: draw.pick([
      say({ subject: inner, verb: main }),
      say({ subject: object, verb, object: subject }),
    ]),
    excluded: draw.pick([
      say({ subject: head, verb: main }, { negated: true }),
      say({ subject, verb, object }, { negated: true }),
    ]),
    pairings: [`${main.base}+${head.noun}`, `${verb.base}+${object.noun}`],
  };
}

function otherNoun(draw: Draw, than: string, among: readonly string[]): Phrase {
  return thing("the", draw.pick(among.filter((noun) => noun !== than)));
}

const rules: readonly Rule[] = [
  specificity,
  specificity,
  quantifiers,
  counting,
  states,
  comparison,
  implicatives,
  voiceAndPlace,
  relatives,
];

export const drawInference = (draw: Draw): Inference => draw.pick(rules)(draw);

export function entailmentItem(draw: Draw): Item {
  const inference = drawInference(draw);
  const label = draw.integer(3);
  const hypothesis = [inference.follows, inference.open, inference.excluded][label];
  if (hypothesis === inference.premise) return entailmentItem(draw);
  const text = `${inference.premise} hypothesis: ${hypothesis}`;
  return {
    source: `entailment premise: ${text}`,
    target: String(label),
    sentences: [inference.premise, hypothesis],
    // A pairing of one of the other two hypotheses does not make this item a test of it.
    pairings: inference.pairings.filter((pairing) => mentions(text, pairing.split("+")[1])),
  };
}

function mentions(text: string, noun: string): boolean {
  return text.split(/\W+/).some((word) => word === noun || word === pluralOf(noun));
}

/** Running text: a fact, and whether something else is so. */
export function reasoningPassage(draw: Draw): DrawnPassage {
  const { premise, follows, open, excluded, pairings } = drawInference(draw);
  const judged = draw.shuffle([[follows, "yes"], [open, "perhaps"], [excluded, "no"]]);
  const [hypothesis, verdict] = judged[0];
  if (hypothesis === premise) return reasoningPassage(draw);
  if (draw.chance(0.65)) {
    return passage(`premise: ${premise} hypothesis: ${hypothesis} {${verdict}}`, pairings);
  }
  const asked = judged.slice(0, 1 + draw.integer(3)).map(([text, answer]) =>
    `${text.replace(/\.$/, "?")} {${sentence(answer, "")}}.`
  );
  return passage([premise, ...asked].join(" "), pairings);
}

/** Things that a spaniel or a pear may be said to be a kind of. */
const sorts = [
  "animal",
  "person",
  "fruit",
  "vegetable",
  "dish",
  "vehicle",
  "tool",
  "instrument",
  "garment",
  "container",
  "flower",
  "text",
  "building",
];

/** Running text: what is a kind of what. */
export function kindPassage(draw: Draw): DrawnPassage {
  const facts = Array.from({ length: 2 }, () => {
    const noun = draw.pick(species(draw.pick(sorts)));
    const kind = draw.pick(hypernyms(noun));
    const [a, b] = [`${article(noun)} ${noun}`, `${article(kind)} ${kind}`];
    return draw.pick([
      `${a} is {${b}}`,
      `${a} is a kind of {${kind}}`,
      `every ${noun} is {${b}}`,
      `not every {${kind}} is ${a}`,
      `${pluralOf(noun)} are {${pluralOf(kind)}}`,
    ]);
  });
  return passage(facts.map((fact) => sentence(fact)).join(" "));
}
