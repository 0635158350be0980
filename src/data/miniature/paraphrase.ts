/**
 * Paraphrase pairs, two labels: "1" the sentences say the same, "0" they do not.
 *
 * A pair is one clause written twice (voice, dative alternation, synonym, place of the time, converse), or a
 * clause and a neighbour of it: another verb, thing, time or person, roles swapped, adjectives exchanged.
 * Both sentences are reworded in the same ways whatever the label.
 */
import type { Draw } from "./draw.ts";
import {
  adjectivesFor,
  type Clause,
  drawClause,
  drawPerson,
  pairings,
  type Phrase,
  say,
  sentence,
  thing,
  write,
  type Writing,
} from "./grammar.ts";
import type { Item } from "./item.ts";
import { times } from "./lexicon.ts";
import { type DrawnPassage, passage } from "./passage.ts";
import { reversibles, synonymOf, transitives } from "./verbs.ts";

/** A sentence, another that says the same, and one that does not. */
export interface Restatement {
  readonly original: string;
  readonly same: string;
  readonly different: string;
  readonly pairings: readonly string[];
}

function otherPerson(draw: Draw, than: Phrase): Phrase {
  let person = drawPerson(draw);
  while (person.noun === than.noun) person = drawPerson(draw);
  return person;
}

/** "Anna followed Ben": passive, synonym or both, against the roles swapped. */
function roles(draw: Draw): Restatement {
  const verb = draw.pick(reversibles.filter((each) => !["chase", "pursue"].includes(each.base)));
  const subject = drawPerson(draw);
  const time = draw.chance(0.3) ? { time: draw.pick(times) } : {};
  const clause: Clause = { subject, verb, object: otherPerson(draw, subject), ...time };
  const swapped: Clause = { ...clause, subject: clause.object!, object: subject };
  const passive = draw.chance(0.6);
  const synonym = synonymOf(verb) ?? verb;
  const writing: Writing = { passive, timeFirst: draw.chance(0.4) };
  return {
    original: say(clause),
    same: say(
      { ...clause, verb: passive && draw.chance(0.7) ? verb : synonym },
      synonym === verb ? { ...writing, passive: true } : writing,
    ),
    different: say(swapped, writing),
    pairings: [`${verb.base}+${subject.noun}`],
  };
}

/** A thing acted on: passive, synonym or fronted time, against another verb, thing or polarity. */
function deeds(draw: Draw): Restatement {
  const clause: Clause = { ...drawClause(draw, "transitive"), time: draw.pick(times) };
  const synonym = synonymOf(clause.verb) ?? clause.verb;
  const writing: Writing = { passive: draw.chance(0.5), timeFirst: draw.chance(0.5) };
  const object = clause.object!;
  const verb = draw.pick(
    transitives.filter((each) =>
      each.objects.includes(object.noun) && each !== clause.verb && each !== synonym
    ),
  );
  const different = draw.pick<Clause>([
    {
      ...clause,
      verb: verb ?? clause.verb,
      ...(verb ? {} : { subject: otherPerson(draw, clause.subject) }),
    },
    {
      ...clause,
      object: {
        ...object,
        noun: draw.pick(clause.verb.objects.filter((noun) => noun !== object.noun)),
      },
    },
    { ...clause, time: draw.pick(times.filter((time) => time !== clause.time)) },
    { ...clause, subject: otherPerson(draw, clause.subject) },
  ]);
  return {
    original: say(clause),
    same: say({ ...clause, verb: synonym }, writing),
    different: say(different, writing),
    pairings: [...pairings(clause), ...pairings(different)],
  };
}

/** "gave Ben the cup" and "gave the cup to Ben", against giver and receiver swapped. */
function giving(draw: Draw): Restatement {
  const clause = drawClause(draw, "ditransitive");
  const swapped: Clause = { ...clause, subject: clause.recipient!, recipient: clause.subject };
  const doubleObject = draw.chance(0.5);
  const writing: Writing = draw.chance(0.3) ? { passive: true } : { doubleObject: !doubleObject };
  return {
    original: say(clause, { doubleObject }),
    same: say(clause, writing),
    different: say(swapped, writing),
    pairings: pairings(clause),
  };
}

/** Selling and buying, lending and borrowing: the same deed seen from either side. */
function converses(draw: Draw): Restatement {
  const [from, to] = draw.pick([["sold", "bought"], ["lent", "borrowed"], ["gave", "received"]]);
  const clause = drawClause(draw, "ditransitive");
  const object = write(clause.object!);
  const [giver, taker] = [write(clause.subject), write(clause.recipient!)];
  const give = (a: string, b: string) => sentence(`${a} ${from} ${object} to ${b}`);
  const take = (a: string, b: string) => sentence(`${a} ${to} ${object} from ${b}`);
  const used = [`${from}+${clause.object!.noun}`];
  return draw.chance(0.5)
    ? {
      original: give(giver, taker),
      same: take(taker, giver),
      different: take(giver, taker),
      pairings: used,
    }
    : {
      original: take(taker, giver),
      same: give(giver, taker),
      different: give(taker, giver),
      pairings: used,
    };
}

/** Two things with an adjective each, against the adjectives exchanged. */
function attributes(draw: Draw): Restatement {
  const subject = write(drawPerson(draw));
  const verb = draw.pick(transitives.filter((each) => each.objects.length > 8));
  const [first, second] = draw.pair(verb.objects.filter((noun) => noun));
  const [one, two] = draw.pair(adjectivesFor(first));
  const list = (a: Phrase, b: Phrase) =>
    sentence(`${subject} ${verb.past} ${write(a)} and ${write(b)}`);
  return {
    original: list(thing("the", first, one), thing("the", second, two)),
    same: list(thing("the", second, two), thing("the", first, one)),
    different: draw.chance(0.5)
      ? list(thing("the", first, two), thing("the", second, one))
      : list(thing("the", second, one), thing("the", first, two)),
    pairings: [`${one}+${first}`, `${two}+${second}`, `${verb.base}+${first}`],
  };
}

/** Something done or not done, against the opposite. Either sentence may have the "not". */
function polarity(draw: Draw): Restatement {
  const clause: Clause = { ...drawClause(draw, "transitive"), time: draw.pick(times) };
  const synonym = synonymOf(clause.verb) ?? clause.verb;
  const negated = draw.chance(0.4);
  const writing: Writing = { passive: draw.chance(0.3), timeFirst: draw.chance(0.5) };
  return {
    original: say(clause, { negated }),
    same: say({ ...clause, verb: synonym }, { ...writing, negated }),
    different: say({ ...clause, verb: synonym }, { ...writing, negated: !negated }),
    pairings: pairings(clause),
  };
}

/** Each as often as it stands here, in running text. */
const kinds = [deeds, deeds, deeds, deeds, deeds, roles, giving, converses, attributes];

/** Of the task's pairs, as many again turn on polarity. */
const judgedKinds = [...kinds, ...kinds.map(() => polarity)];

function drawRestatement(draw: Draw, from: readonly (typeof roles)[]): Restatement {
  const made = draw.pick(from)(draw);
  return made.original === made.same || made.same === made.different
    ? drawRestatement(draw, from)
    : made;
}

/** Pairs that do not say the same range from near misses to (one in five) sentences about something else. */
export function paraphraseItem(draw: Draw): Item {
  const { original, same, ...pair } = drawRestatement(draw, judgedKinds);
  const other = drawRestatement(draw, judgedKinds);
  const different = draw.chance(0.2) ? other.original : pair.different;
  const label = draw.chance(0.5);
  const second = label ? same : different;
  return {
    source: `paraphrase sentence1: ${original} sentence2: ${second}`,
    target: label ? "1" : "0",
    sentences: [original, second],
    pairings: second === other.original ? [...pair.pairings, ...other.pairings] : pair.pairings,
  };
}

/** Running text: a statement, another, and whether they say the same. */
export function restatementPassage(draw: Draw): DrawnPassage {
  const { original, ...pair } = drawRestatement(draw, kinds);
  if (draw.chance(0.1)) return passage(`${original} In other words: {${pair.same}}`, pair.pairings);
  // Easy ones teach what is asked: the very same sentence, or one about something else.
  const other = drawRestatement(draw, kinds);
  const { same, different, pairings } = draw.chance(0.3)
    ? { same: original, different: other.original, pairings: [...pair.pairings, ...other.pairings] }
    : pair;
  const [second, verdict] = draw.chance(0.5) ? [same, "same"] : [different, "different"];
  return passage(
    draw.pick([
      `sentence1: ${original} sentence2: ${second} {${verdict}}`,
      `sentence1: ${original} sentence2: ${second} {${verdict}}`,
      `${original} ${second} That is {${verdict}}.`,
    ]),
    pairings,
  );
}
