/**
 * Headlines for short news: a function of the report that keeps who did what to what, and where.
 *
 * The headline drops determiners, adjectives, times and asides, undoes the passive, and speaks in the
 * present tense, as newspapers do.
 */
import type { Draw } from "./draw.ts";
import { article, drawClause, pairings, say, sentence } from "./grammar.ts";
import type { Item } from "./item.ts";
import { names, times, towns } from "./lexicon.ts";
import { type DrawnPassage, passage } from "./passage.ts";

const list = (text: string): readonly string[] => text.split(" ");

/** Third person present, past, participle; then what it is done to. */
const deeds: readonly (readonly [string, string, string, readonly string[]])[] = [
  [
    "opens",
    "opened",
    "opened",
    list("bridge school library museum station hospital market theatre park"),
  ],
  ["closes", "closed", "closed", list("factory bridge school station road theatre harbour hotel")],
  ["builds", "built", "built", list("bridge tower hospital harbour road theatre house school")],
  ["sells", "sold", "sold", list("castle painting horse hotel farm ship factory")],
  ["buys", "bought", "bought", list("castle painting horse hotel farm ship island")],
  ["finds", "found", "found", list("treasure painting ring bone ship letter snake")],
  ["steals", "stole", "stolen", list("painting ring horse crown car statue clock")],
  ["saves", "saved", "saved", list("child dog sailor horse museum forest garden")],
  ["wins", "won", "won", list("prize race match medal election contest")],
  ["writes", "wrote", "written", list("novel song play letter poem report")],
  ["catches", "caught", "caught", list("thief shark wolf snake spy robber")],
  ["repairs", "repaired", "repaired", list("bridge clock tower road ship church")],
  ["visits", "visited", "visited", list("school hospital factory museum farm prison")],
  ["paints", "painted", "painted", list("church bridge tower ship theatre")],
  ["bans", "banned", "banned", list("film novel dance song race")],
  ["praises", "praised", "praised", list("school novel painter hospital cook")],
];
const actors = list(
  "mayor farmer teacher doctor singer painter sailor actor baker judge king queen soldier student lawyer",
);
const adjectives = list("new old small large famous young rich local strange beautiful");
interface Report {
  readonly sentences: readonly string[];
  readonly headline: string;
  readonly pairings: readonly string[];
}

function drawReport(draw: Draw): Report {
  const [third, past, participle, objects] = draw.pick(deeds);
  const object = draw.pick(objects);
  const named = draw.chance(0.3);
  const actor = named ? draw.pick(names) : draw.pick(actors);
  const town = draw.chance(0.6) ? draw.pick(towns) : undefined;
  const describe = (noun: string) => draw.chance(0.4) ? `${draw.pick(adjectives)} ${noun}` : noun;
  const who = named ? actor : draw.pick(["a", "the"]) + ` ${describe(actor)}`;
  const aside = draw.chance(0.25)
    ? `, who had ${draw.pick(["arrived", "promised to help", "come from abroad", "been ill"])} ${
      draw.pick(times)
    },`
    : "";
  const subject = who.replace(/^a (?=[aeiou])/, "an ") + aside;
  const noun = describe(object);
  const what = `${draw.chance(0.7) ? article(noun) : "the"} ${noun}`;
  const where = town ? ` in ${town}` : "";
  const when = draw.pick(times);
  const core = draw.chance(0.35)
    ? `${what} was ${participle}${where} by ${subject.replace(/,$/, "")}`
    : `${subject} ${past} ${what}${where}`;
  const timed = draw.chance(0.4)
    ? `${when} ${core}`
    : draw.chance(0.5) && !/, who/.test(core)
    ? `${core} ${when}`
    : core;
  const sentences = [sentence(timed)];
  const bystander = drawClause(draw, "intransitive");
  if (draw.chance(0.5)) sentences.splice(draw.chance(0.7) ? 1 : 0, 0, say(bystander));
  const place = town ? ` in ${town}` : "";
  return {
    sentences,
    headline: `${actor} ${third} ${object}${place}`,
    pairings: [`${third}+${object}`, `${third}+${actor}`, ...pairings(bystander)],
  };
}

export function headlineItem(draw: Draw): Item {
  const report = drawReport(draw);
  return {
    source: `headline report: ${report.sentences.join(" ")}`,
    target: report.headline,
    sentences: report.sentences,
    pairings: report.pairings,
  };
}

/** Running text: a report and its headline. */
export function newsPassage(draw: Draw): DrawnPassage {
  const { sentences, headline, pairings } = drawReport(draw);
  const text = sentences.join(" ");
  return passage(
    draw.pick([
      `report: ${text} {${headline}}`,
      `report: ${text} {${headline}}`,
      `${text} Headline: {${headline}}.`,
      `Headline: {${headline}}. ${text}`,
    ]),
    pairings,
  );
}
