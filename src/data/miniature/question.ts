/**
 * Extractive question answering: a short passage, a question, and the words of the passage that answer it.
 *
 * The passage tells of several people doing several things, so that the answer is found by role and not by
 * being the only name, thing, place or time there.
 */
import type { Draw } from "./draw.ts";
import {
  type Clause,
  drawObject,
  name,
  pairings,
  pronoun,
  say,
  sentence,
  write,
} from "./grammar.ts";
import type { Item } from "./item.ts";
import { isAnimate, names, places, times } from "./lexicon.ts";
import { type DrawnPassage, passage } from "./passage.ts";
import { ditransitives, transitives } from "./verbs.ts";

interface Asked {
  readonly question: string;
  readonly answer: string;
}

/** The questions a clause answers. */
function questions(clause: Clause): Asked[] {
  const { subject, verb, object, recipient, place, time } = clause;
  const what = write(object!);
  const who = write(subject);
  const to = recipient ? ` to ${write(recipient)}` : "";
  const asked: Asked[] = [
    { question: `who ${verb.past} ${what}${to}`, answer: who },
    {
      question: `${isAnimate(object!.noun) ? "whom" : "what"} did ${who} ${verb.base}${to}`,
      answer: what,
    },
  ];
  if (recipient) {
    asked.push({ question: `to whom did ${who} ${verb.base} ${what}`, answer: write(recipient) });
  }
  if (place) asked.push({ question: `where did ${who} ${verb.base} ${what}`, answer: place });
  if (time) asked.push({ question: `when did ${who} ${verb.base} ${what}`, answer: time });
  return asked;
}

interface Story {
  readonly sentences: readonly string[];
  readonly asked: readonly Asked[];
  readonly pairings: readonly string[];
}

/** Two clauses, seldom three, about different people; a second deed of one person is told with a pronoun. */
function drawStory(draw: Draw): Story {
  const people = draw.shuffle([...names]);
  const again = draw.chance(0.15);
  const clauses = Array.from({ length: draw.chance(0.25) ? 3 : 2 }, (_, i): Clause => {
    const give = !again && draw.chance(0.3);
    const verb = draw.pick(give ? ditransitives : transitives);
    const subject = name(people[again && i === 1 ? 0 : 2 * i]);
    const object = drawObject(draw, verb);
    const where = !give && draw.chance(0.5) ? { place: draw.pick(places) } : {};
    const when = draw.chance(0.4) ? { time: draw.pick(times) } : {};
    return {
      subject,
      verb,
      object,
      ...(give ? { recipient: name(people[2 * i + 1]) } : {}),
      ...where,
      ...when,
    };
  });
  const sentences = clauses.map((clause, i) => {
    const timeFirst = draw.chance(0.3);
    if (!again) return say(clause, { passive: !clause.recipient && draw.chance(0.2), timeFirst });
    return say(i === 1 ? { ...clause, subject: name(pronoun(clause.subject)) } : clause, {
      timeFirst,
    });
  });
  return { sentences, asked: clauses.flatMap(questions), pairings: clauses.flatMap(pairings) };
}

export function questionItem(draw: Draw): Item {
  const story = drawStory(draw);
  const { question, answer } = draw.pick(story.asked);
  return {
    source: `question question: ${sentence(question, "?")} context: ${story.sentences.join(" ")}`,
    target: answer,
    sentences: story.sentences,
    pairings: story.pairings,
  };
}

/** Running text: a story, and a question or two with their answers. */
export function dialoguePassage(draw: Draw): DrawnPassage {
  const { sentences, asked, pairings } = drawStory(draw);
  const [first, second] = draw.shuffle([...asked]);
  const story = sentences.join(" ");
  const ask = ({ question, answer }: Asked) => `${sentence(question, "?")} {${answer}}`;
  return passage(
    draw.pick([
      `question: ${sentence(first.question, "?")} context: ${story} {${first.answer}}`,
      `question: ${sentence(first.question, "?")} context: ${story} {${first.answer}}`,
      `${story} ${ask(first)}. ${ask(second)}.`,
    ]),
    pairings,
  );
}
