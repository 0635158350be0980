/**
 * Contexts with questions about them, from the forms in which extractive question answering is published:
 * SQuAD's JSON (v1.1 and 2.0), the JSON lines of MRQA 2019 (a header, then a line for each context), and
 * rows of one question each.
 *
 * Places of answers are counted in characters (code points), as both forms do.
 */

import { UserError } from "../errors.ts";
import type { DataRow } from "./formats.ts";
import { BadRow, type FileRecord } from "./ledger.ts";
import { jsonRows } from "./lines.ts";
import type { TextSource } from "./source.ts";
import { decodeText } from "./text.ts";
import type { Question } from "./types.ts";

/** Where an answer stands in its context, in characters (code points), the last one included. */
export interface AnswerSpan {
  readonly start: number;
  readonly end: number;
  /** Which answer it is. */
  readonly answer: number;
}

/** A question about a context. */
export interface PassageQuestion extends Question {
  readonly text: string;
  /** Answers that were found in the context, in order of preference. */
  readonly found: readonly string[];
  /** Where they were found. */
  readonly spans: readonly AnswerSpan[];
}

/** A context with the questions about it. */
export interface Passage {
  readonly context: string;
  readonly questions: readonly PassageQuestion[];
}

/**
 * The contexts of a file: SQuAD's if its name ends with `.json` (or `.json.gz`); or else lines, each with a context as MRQA
 * has it, or with one question and its context as Hugging Face's data sets have them.
 *
 * A question of SQuAD 2.0 that has no answer is answered by the empty text.
 *
 * @param record counts questions; told to leave out bad ones, it leaves out a line of MRQA whole
 * @throws {UserError} naming file and place where something is not as the form has it
 */
export async function* readPassages(
  source: TextSource,
  record: FileRecord,
): AsyncGenerator<Passage> {
  const isSquad = /\.json(\.gz)?$/.test(record.path);
  const passages = isSquad ? readSquad(source, record) : readLines(source, record);
  for await (const passage of passages) {
    record.rows += passage.questions.length;
    for (const { answers } of passage.questions) {
      if (answers[0] === "") record.unanswerable++;
    }
    yield passage;
  }
  if (record.rows > 0) return;
  if (record.bad.length > 0) record.requireRows();
  throw new UserError(`${source.root}/${record.path} has no questions.`);
}

async function* readLines(source: TextSource, record: FileRecord): AsyncGenerator<Passage> {
  for await (const row of jsonRows(source, record.path)) {
    const passage = record.attempt(`line ${row.line}`, () => {
      const fields = row.fields();
      if ("header" in fields) return undefined;
      return "qas" in fields || !("question" in fields)
        ? mrqaPassage(new Place(fields, row.place))
        : flatPassage(fields, row.place);
    });
    if (passage) yield passage;
  }
}

function mrqaPassage(place: Place): Passage {
  const questions = place.list("qas").map((question): PassageQuestion => {
    const detected = question.list("detected_answers");
    return {
      id: question.identifier("qid"),
      text: question.text("question"),
      answers: question.answers(question.texts("answers")),
      found: detected.map((answer) => answer.text("text")),
      spans: detected.flatMap((answer, i) =>
        answer.pairs("char_spans").map(([start, end]) => ({ start, end, answer: i }))
      ),
    };
  });
  return { context: place.text("context"), questions };
}

/**
 * The passage of a row with one question, as `squad`, `squad_v2` and `mrqa` on Hugging Face's hub have it.
 *
 * @throws {BadRow} where it is none
 */
export function flatPassage(fields: DataRow, name: string): Passage {
  const row = new Place(fields, name);
  const question = "detected_answers" in fields
    ? flatMrqa(row, row.at("detected_answers"))
    : flatSquad(row, row.at("answers"));
  return { context: row.text("context"), questions: [question] };
}

function flatSquad(row: Place, answers: Place): PassageQuestion {
  const found = answers.texts("text"), starts = answers.numbers("answer_start");
  return {
    id: row.identifier("id"),
    text: row.text("question"),
    answers: found.length > 0 ? found : [NO_ANSWER],
    found,
    spans: found.map((text, i) => spanOf(text, starts[i], i)),
  };
}

function flatMrqa(row: Place, detected: Place): PassageQuestion {
  const spans = detected.list("char_spans").flatMap((place, answer) => {
    const starts = place.numbers("start"), ends = place.numbers("end");
    return starts.map((start, i) => ({ start, end: ends[i], answer }));
  });
  return {
    id: row.identifier("qid"),
    text: row.text("question"),
    answers: row.answers(row.texts("answers")),
    found: detected.texts("text"),
    spans,
  };
}

async function* readSquad(source: TextSource, record: FileRecord): AsyncGenerator<Passage> {
  const file = `${source.root}/${record.path}`;
  let json: unknown;
  try {
    const text = decodeText(await source.stream(record.path), file);
    json = JSON.parse((await Array.fromAsync(text)).join(""));
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    throw new UserError(`${file} is not SQuAD's JSON: ${error.message.replace(/\s+/g, " ")}.`);
  }
  for (const article of new Place(json, file).list("data")) {
    for (const paragraph of article.list("paragraphs")) {
      const context = paragraph.text("context");
      const questions = paragraph.list("qas").flatMap((question) =>
        record.attempt(question.name.slice(file.length + 2), () => squadQuestion(question)) ?? []
      );
      yield { context, questions };
    }
  }
}

function squadQuestion(question: Place): PassageQuestion {
  const listed = question.list("answers");
  const found = listed.map((answer) => answer.text("text"));
  const spans = listed.map((answer, i) => spanOf(found[i], answer.number("answer_start"), i));
  const isImpossible = question.flag("is_impossible");
  if (isImpossible && found.length > 0) question.fail('is "is_impossible", but has answers');
  const answers = isImpossible ? [NO_ANSWER] : question.answers(found);
  return { id: question.identifier("id"), text: question.text("question"), answers, found, spans };
}

/** What answers a question that has no answer. */
const NO_ANSWER = "";

/** Where an answer stands: its last character is included, and counted as the others. */
function spanOf(text: string, start: number, answer: number): AnswerSpan {
  return { start, end: start + [...text].length - 1, answer };
}

/** A value in a file, which knows where it stands. */
class Place {
  constructor(readonly value: unknown, readonly name: string) {}

  text(key: string): string {
    const value = this.#field(key);
    return typeof value === "string" ? value : this.#refuse(key, "text");
  }

  /** Text, or a number as text. */
  identifier(key: string): string {
    const value = this.#field(key);
    return typeof value === "number" ? String(value) : this.text(key);
  }

  number(key: string): number {
    const value = this.#field(key);
    return typeof value === "number" ? value : this.#refuse(key, "a number");
  }

  texts(key: string): string[] {
    const value = this.#field(key);
    const isTexts = Array.isArray(value) && value.every((item) => typeof item === "string");
    return isTexts ? value : this.#refuse(key, "a list of texts");
  }

  pairs(key: string): [number, number][] {
    const value = this.#field(key);
    const isPairs = Array.isArray(value) &&
      value.every((pair) =>
        Array.isArray(pair) && pair.length === 2 && pair.every(Number.isInteger)
      );
    return isPairs ? value : this.#refuse(key, "a list of pairs of numbers");
  }

  list(key: string): Place[] {
    const value = this.#field(key);
    if (!Array.isArray(value)) return this.#refuse(key, "a list");
    return value.map((item, i) => new Place(item, `${this.name}, ${key}[${i}]`));
  }

  numbers(key: string): number[] {
    const value = this.#field(key);
    const isNumbers = Array.isArray(value) && value.every(Number.isInteger);
    return isNumbers ? value : this.#refuse(key, "a list of numbers");
  }

  /** A truth value, false where there is none. */
  flag(key: string): boolean {
    const value = this.#field(key) ?? false;
    return typeof value === "boolean" ? value : this.#refuse(key, "true or false");
  }

  /** The value of a field. */
  at(key: string): Place {
    return new Place(this.#field(key), `${this.name}, ${key}`);
  }

  /** The answers of this question. */
  answers(answers: readonly string[]): readonly string[] {
    return answers.length > 0
      ? answers
      : this.fail('has no answer, and does not say "is_impossible": true as in SQuAD 2.0');
  }

  fail(reason: string): never {
    throw new BadRow(this.name, `the question ${reason}`, "question");
  }

  #field(key: string): unknown {
    const { value } = this;
    return typeof value === "object" && value !== null ? (value as DataRow)[key] : undefined;
  }

  #refuse(key: string, expected: string): never {
    throw new BadRow(this.name, `expected ${expected} under "${key}"`, "a field");
  }
}
