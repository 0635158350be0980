/**
 * Acceptability of single sentences, two labels.
 *
 * Every construction is drawn first and then written well or badly, so that a construction tells nothing
 * about the label, and the bad sentence differs from the good one in a single respect: agreement,
 * determiner, verb form, inflection, reflexive, word order, question formation or comparison.
 */
import type { Draw } from "./draw.ts";
import {
  type Clause,
  drawClause,
  pairings,
  type Phrase,
  sentence,
  verbGroup,
  write,
  writeClause,
} from "./grammar.ts";
import type { Item } from "./item.ts";
import { adverbs, comparatives, men, names, places, pluralOf, women } from "./lexicon.ts";
import { type DrawnPassage, passage } from "./passage.ts";

/** One sentence written both ways. */
export interface Contrast {
  readonly right: string;
  readonly wrong: string;
  readonly pairings: readonly string[];
}

type Construction = (draw: Draw) => Contrast;

/** The text with its first whole-word occurrence of `from` replaced. */
function replaceWords(text: string, from: string, to: string): string {
  return ` ${text} `.replace(` ${from} `, ` ${to} `).trim();
}

const hasPlural = (phrase: Phrase): boolean => pluralOf(phrase.noun) !== phrase.noun;

const otherNumber = (phrase: Phrase): Phrase => ({ ...phrase, plural: !phrase.plural });

function subjectVerbAgreement(draw: Draw): Contrast {
  const clause = drawClause(draw, draw.chance(0.5) ? "intransitive" : "transitive");
  const subject = clause.subject;
  if (!hasPlural(subject)) return subjectVerbAgreement(draw);
  const tense = draw.pick(["present", "perfect"] as const);
  const right = writeClause(clause, { tense });
  const group = verbGroup(clause.verb, subject, { tense });
  const wrong = replaceWords(right, group, verbGroup(clause.verb, otherNumber(subject), { tense }));
  return contrast(right, wrong, pairings(clause));
}

function determinerAgreement(draw: Draw): Contrast {
  const clause = drawClause(draw, "transitive");
  const plural = draw.chance(0.5);
  const determiner = draw.pick(
    plural ? ["these", "those", "many", "several", "two"] : ["this", "every", "one"],
  );
  const changed = (isPlural: boolean): Clause => ({
    ...clause,
    object: { ...clause.object!, determiner, plural: isPlural },
  });
  if (!hasPlural(clause.object!)) return determinerAgreement(draw);
  return contrast(writeClause(changed(plural)), writeClause(changed(!plural)), pairings(clause));
}

function verbForm(draw: Draw): Contrast {
  const clause = drawClause(draw, draw.chance(0.4) ? "intransitive" : "transitive");
  const { verb, subject } = clause;
  const [have, be] = subject.plural ? ["have", "are"] : ["has", "is"];
  const [right, wrong] = draw.pick([
    [`${have} ${verb.participle}`, `${have} ${verb.base}`],
    [`${be} ${verb.progressive}`, `${be} ${verb.base}`],
    [`${draw.pick(["can", "must", "may"])} `, ""],
    [`did not ${verb.base}`, `did not ${verb.past}`],
  ]);
  const place = (group: string) => replaceWords(writeClause(clause), verb.past, group);
  if (wrong === "") {
    const bad = draw.pick([verb.past, verb.progressive]);
    return contrast(place(right + verb.base), place(right + bad), pairings(clause));
  }
  if (verb.base === verb.participle || verb.base === verb.past) return verbForm(draw);
  return contrast(place(right), place(wrong), pairings(clause));
}

function reflexive(draw: Draw): Contrast {
  const woman = draw.chance(0.5);
  const subject = draw.pick(woman ? women : men);
  const verb = draw.pick(["saw", "hurt", "washed", "blamed", "admired", "helped", "taught"]);
  const [right, wrong] = woman ? ["herself", "himself"] : ["himself", "herself"];
  const rest = draw.pick(["", " " + draw.pick(places), " " + draw.pick(adverbs)]);
  const bad = draw.chance(0.7) ? wrong : "themselves";
  return contrast(`${subject} ${verb} ${right}${rest}`, `${subject} ${verb} ${bad}${rest}`, [
    `${verb}+${subject}`,
  ]);
}

function wordOrder(draw: Draw): Contrast {
  const clause = drawClause(draw, "transitive");
  const object = write(clause.object!);
  const right = writeClause(clause);
  const words = object.split(" ");
  const wrong = draw.pick([
    () => replaceWords(right, object, [...words.slice(1), words[0]].join(" ")),
    () => replaceWords(right, `${clause.verb.past} ${object}`, `${object} ${clause.verb.past}`),
    () =>
      right.replace(
        `${write(clause.subject)} ${clause.verb.past}`,
        `${clause.verb.past} ${write(clause.subject)}`,
      ),
  ]);
  return contrast(right, wrong(), pairings(clause));
}

function question(draw: Draw): Contrast {
  const { place: _, ...clause } = drawClause(draw, "transitive");
  const { verb } = clause;
  const [subject, object] = [write(clause.subject), write(clause.object!)];
  if (verb.base === verb.past) return question(draw);
  const ask = (right: string, wrong: string, used = pairings(clause)): Contrast => ({
    right: sentence(right, "?"),
    wrong: sentence(wrong, "?"),
    pairings: used,
  });
  return draw.pick([
    ask(`did ${subject} ${verb.base} ${object}`, `did ${subject} ${verb.past} ${object}`),
    ask(`what did ${subject} ${verb.base}`, `what did ${subject} ${verb.base} ${object}`, [
      `${verb.base}+${clause.subject.noun}`,
      ...pairings(clause).filter((pairing) => !pairing.endsWith(`+${clause.object!.noun}`)),
    ]),
    ask(`why did ${subject} ${verb.base} ${object}`, `why did ${verb.base} ${subject} ${object}`),
  ]);
}

function comparison(draw: Draw): Contrast {
  const [first, second] = draw.pair(names);
  const more = draw.pick(draw.pick(comparatives));
  const right = `${first} is ${more} than ${second}`;
  const wrong = draw.pick([
    `${first} is ${more.slice(0, -2)} than ${second}`,
    `${first} is more ${more} as ${second}`,
    `${first} is ${more} as ${second}`,
    `${first} ${more} is than ${second}`,
  ]);
  return contrast(right, wrong, [`${more}+${first}`]);
}

function doubledDeterminer(draw: Draw): Contrast {
  const clause = drawClause(draw, "transitive");
  const object = { ...clause.object!, determiner: draw.pick(["his", "her", "my", "our"]) };
  const right = writeClause({ ...clause, object });
  return contrast(
    right,
    replaceWords(right, write(object), `the ${write(object)}`),
    pairings(clause),
  );
}

/** "catched" for "caught", "childs" for "children": a rule where there is an exception. */
function overregular(draw: Draw): Contrast {
  const clause = drawClause(draw, draw.chance(0.3) ? "intransitive" : "transitive");
  const { verb } = clause;
  const right = writeClause(clause);
  if (verb.past.endsWith("ed")) return overregular(draw);
  const regular = verb.base.replace(/e$/, "") + "ed";
  return contrast(right, replaceWords(right, verb.past, regular), pairings(clause));
}

/** Each as often as it stands here: what shows in neighbouring words is the most frequent. */
const constructions: readonly Construction[] = [
  ...[verbForm, verbForm, verbForm],
  ...[wordOrder, wordOrder, wordOrder],
  ...[doubledDeterminer, doubledDeterminer],
  ...[comparison, comparison],
  ...[determinerAgreement, determinerAgreement],
  ...[subjectVerbAgreement, subjectVerbAgreement],
  ...[reflexive, question],
];

/** The task leans on what a small model can hear: a wrong form of a word. */
const judgedConstructions: readonly Construction[] = [
  ...constructions,
  ...constructions.map(() => overregular),
  ...[comparison, comparison, comparison, comparison],
];

function contrast(right: string, wrong: string, pairings: readonly string[]): Contrast {
  return { right: sentence(right), wrong: sentence(wrong), pairings };
}

/** One sentence, written well or badly. */
function drawContrast(draw: Draw, from: readonly Construction[]): Contrast {
  const made = draw.pick(from)(draw);
  return made.right === made.wrong ? drawContrast(draw, from) : made;
}

export function acceptabilityItem(draw: Draw): Item {
  const { right, wrong, pairings } = drawContrast(draw, judgedConstructions);
  const acceptable = draw.chance(0.5);
  const text = acceptable ? right : wrong;
  return {
    source: `acceptability sentence: ${text}`,
    target: acceptable ? "1" : "0",
    sentences: [text],
    pairings,
  };
}

/** Running text: a lesson in which sentences are judged, and now and then mended. */
export function lessonPassage(draw: Draw): DrawnPassage {
  const { right, pairings, ...pair } = drawContrast(draw, constructions);
  if (draw.chance(0.15)) return passage(`wrong: ${pair.wrong} right: {${right}}`, pairings);
  const wrong = draw.chance(0.3) ? shuffled(draw, right) : pair.wrong;
  const [text, verdict] = draw.chance(0.5) ? [right, "right"] : [wrong, "wrong"];
  return passage(
    draw.pick([
      `sentence: ${text} {${verdict}}`,
      `sentence: ${text} {${verdict}}`,
      `"${text}" That is {${verdict}}.`,
    ]),
    pairings,
  );
}

function shuffled(draw: Draw, text: string): string {
  return sentence(draw.shuffle(text.slice(0, -1).split(" ")).join(" "), text.slice(-1));
}
