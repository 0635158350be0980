/**
 * Sentiment of short reviews, two labels.
 *
 * The polarity of a sentence is composed: negation, lack, disappointed expectation and concession turn the
 * polarity of the words round, so counting good and bad words is not enough.
 */
import type { Draw } from "./draw.ts";
import { article, sentence } from "./grammar.ts";
import type { Item } from "./item.ts";
import { names } from "./lexicon.ts";
import { type DrawnPassage, passage } from "./passage.ts";

/** Words of one polarity, by part of speech. */
interface Polarity {
  readonly adjectives: readonly string[];
  /** Past forms with a person as subject. */
  readonly verbs: readonly string[];
  /** What a thing can be: "it was a …". */
  readonly nouns: readonly string[];
  /** What a thing can have. */
  readonly qualities: readonly string[];
}

const list = (text: string): readonly string[] => text.split(" ");

const good: Polarity = {
  adjectives: list(
    "good great wonderful excellent lovely charming superb brilliant delightful splendid fine perfect pleasant " +
      "beautiful amusing marvellous",
  ),
  verbs: list("loved enjoyed liked praised recommended adored"),
  nouns: list("joy delight triumph treat success pleasure"),
  qualities: list("charm warmth wit style grace"),
};
const bad: Polarity = {
  adjectives: list(
    "bad poor awful terrible boring dull horrible dreadful tedious ugly clumsy nasty unpleasant weak silly miserable",
  ),
  verbs: list("hated disliked regretted despised loathed criticised"),
  nouns: list("bore disaster mess failure waste disgrace"),
  qualities: list("faults flaws mistakes problems defects"),
};

/** Things one reviews, each with the parts one speaks of. */
const subjects: Readonly<Record<string, readonly string[]>> = {
  film: list("plot acting music ending cast"),
  play: list("plot acting stage ending cast"),
  concert: list("music sound choir hall"),
  meal: list("soup bread wine service dessert"),
  hotel: list("room bed staff view breakfast"),
  novel: list("plot style ending hero language"),
  show: list("music humour stage dancing"),
  museum: list("garden guide building collection"),
};
const things = Object.keys(subjects);
const degrees = ["", "", "very ", "quite ", "really ", "truly "];

interface Review {
  readonly sentences: readonly string[];
  readonly pairings: readonly string[];
  readonly positive: boolean;
}

type Form = (draw: Draw, same: Polarity, other: Polarity, subject: Subject) => string;

interface Subject {
  readonly thing: string;
  readonly part: string;
}

const adjective = (draw: Draw, polarity: Polarity) => draw.pick(polarity.adjectives);
const withArticle = (word: string) => `${article(word)} ${word}`;

/** Sentences that say their polarity outright. */
const plain: readonly Form[] = [
  (draw, same, _, { part }) => `the ${part} was ${draw.pick(degrees)}${adjective(draw, same)}`,
  (draw, same, _, { thing }) => `${draw.pick(names)} ${draw.pick(same.verbs)} the ${thing}`,
  (draw, same, _, { thing }) => `the ${thing} was ${withArticle(draw.pick(same.nouns))}`,
  (draw, same, _, { thing }) => `everyone ${draw.pick(same.verbs)} the ${thing}`,
  (draw, same, _, { thing }) => `it was ${withArticle(adjective(draw, same))} ${thing}`,
  (draw, same, _, { thing }) => `the ${thing} was full of ${draw.pick(same.qualities)}`,
];

/** Sentences whose words say one thing and whose structure says the other. */
const turned: readonly Form[] = [
  (draw, _, other, { part }) => `the ${part} was not ${adjective(draw, other)} at all`,
  (draw, _, other, { part }) => `the ${part} was far from ${adjective(draw, other)}`,
  (draw, _, other, { part }) => `the ${part} was never ${adjective(draw, other)}`,
  (draw, _, other, { thing }) => `nobody ${draw.pick(other.verbs)} the ${thing}`,
  (draw, _, other, { thing }) => `the ${thing} had no ${draw.pick(other.qualities)}`,
  (draw, _, other, { thing }) =>
    `it was hardly ${withArticle(draw.pick(other.nouns))} of a ${thing}`,
];

/** Sentences with words of both polarities, in which the last word decides or the first is conceded. */
const mixed: readonly Form[] = [
  (draw, same, other, { thing }) =>
    `${draw.pick(names)} expected ${withArticle(adjective(draw, other))} ${thing}, but it was ${
      adjective(draw, same)
    }`,
  (draw, same, other, { thing, part }) =>
    `although the ${part} was ${adjective(draw, other)}, the ${thing} was ${adjective(draw, same)}`,
  (draw, same, other, { thing, part }) =>
    `the ${thing} was ${adjective(draw, same)} despite the ${adjective(draw, other)} ${part}`,
  (draw, same, other, { thing, part }) =>
    `the ${part} was ${adjective(draw, other)}, but ${draw.pick(names)} ${
      draw.pick(same.verbs)
    } the ${thing}`,
  (draw, same, other, { thing, part }) =>
    `the ${thing} was ${adjective(draw, same)} and its ${part} was not ${adjective(draw, other)}`,
];

/** The adjective and what it is said of: the pairings by which splits are told apart. */
function pairingsOf(text: string, { thing, part }: Subject): string[] {
  const words = text.split(/[ ,]+/);
  const evaluative = [...good.adjectives, ...bad.adjectives, ...good.verbs, ...bad.verbs];
  const found = words.filter((word) => evaluative.includes(word));
  return found.map((word) => `${word}+${words.includes(part) ? part : thing}`);
}

function drawReview(draw: Draw, positive: boolean, length: number): Review {
  const [same, other] = positive ? [good, bad] : [bad, good];
  const thing = draw.pick(things);
  const sentences: string[] = [];
  const pairings: string[] = [];
  for (let i = 0; i < length; i++) {
    const subject = { thing, part: draw.pick(subjects[thing]) };
    const form = draw.pick(draw.pick([plain, plain, plain, turned, mixed]));
    const text = form(draw, same, other, subject);
    sentences.push(sentence(text));
    pairings.push(...pairingsOf(text, subject));
  }
  return { sentences, pairings, positive };
}

/** One review of one sentence, or of two that agree. */
export function sentimentItem(draw: Draw): Item {
  const review = drawReview(draw, draw.chance(0.5), draw.chance(0.3) ? 2 : 1);
  return {
    source: `sentiment sentence: ${review.sentences.join(" ")}`,
    target: review.positive ? "1" : "0",
    sentences: review.sentences,
    pairings: review.pairings,
  };
}

/** Running text: a review whose sentences agree, and its verdict. */
export function reviewPassage(draw: Draw): DrawnPassage {
  const positive = draw.chance(0.5);
  const { sentences, pairings } = drawReview(draw, positive, draw.chance(0.4) ? 2 : 1);
  const review = sentences.join(" ");
  const verdict = positive ? "good" : "bad";
  return passage(
    draw.pick([
      `sentence: ${review} {${verdict}}`,
      `sentence: ${review} {${verdict}}`,
      `${review} In short: {${verdict}}.`,
      `${review} We were {${positive ? "happy" : "unhappy"}}.`,
      `It was {${verdict}}. ${review}`,
    ]),
    pairings,
  );
}
