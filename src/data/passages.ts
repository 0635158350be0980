/**
 * Contexts with questions about them, from the two forms in which extractive question answering is
 * published: SQuAD v1.1's JSON, and the JSON lines of MRQA 2019 (a header, then a line for each context).
 *
 * Places of answers are counted in characters (code points), as both forms do.
 */

import { UserError } from "../errors.ts";
import type { DataRow } from "./formats.ts";
import { jsonLines } from "./lines.ts";
import type { TextSource } from "./source.ts";
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
 * The contexts of a file: MRQA's if its name ends with `.jsonl` or `.jsonl.gz`, SQuAD's otherwise.
 *
 * @throws {UserError} naming file and place where something is not as the form has it
 */
export async function* readPassages(source: TextSource, path: string): AsyncGenerator<Passage> {
  let questions = 0;
  const passages = /\.jsonl(\.gz)?$/.test(path) ? readMrqa(source, path) : readSquad(source, path);
  for await (const passage of passages) {
    questions += passage.questions.length;
    yield passage;
  }
  if (questions === 0) throw new UserError(`${source.root}/${path} has no questions.`);
}

async function* readMrqa(source: TextSource, path: string): AsyncGenerator<Passage> {
  for await (const { row, place } of jsonLines(source, path)) {
    if ("header" in row) continue;
    const record = new Place(row, place);
    const questions = record.list("qas").map((question): PassageQuestion => {
      const detected = question.list("detected_answers");
      return {
        id: question.text("qid"),
        text: question.text("question"),
        answers: question.answers(question.texts("answers")),
        found: detected.map((answer) => answer.text("text")),
        spans: detected.flatMap((answer, i) =>
          answer.pairs("char_spans").map(([start, end]) => ({ start, end, answer: i }))
        ),
      };
    });
    yield { context: record.text("context"), questions };
  }
}

async function* readSquad(source: TextSource, path: string): AsyncGenerator<Passage> {
  const file = `${source.root}/${path}`;
  let json: unknown;
  try {
    json = JSON.parse(await source.read(path));
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    throw new UserError(`${file} is not SQuAD v1.1's JSON: ${error.message.replace(/\s+/g, " ")}.`);
  }
  for (const article of new Place(json, file).list("data")) {
    for (const paragraph of article.list("paragraphs")) {
      const questions = paragraph.list("qas").map((question): PassageQuestion => {
        const listed = question.list("answers");
        const found = listed.map((answer) => answer.text("text"));
        const spans = listed.map((answer, i) => {
          const start = answer.number("answer_start");
          return { start, end: start + [...found[i]].length - 1, answer: i };
        });
        const answers = question.answers(found);
        return { id: question.text("id"), text: question.text("question"), answers, found, spans };
      });
      yield { context: paragraph.text("context"), questions };
    }
  }
}

/** A value in a file, which knows where it stands. */
class Place {
  constructor(readonly value: unknown, readonly name: string) {}

  text(key: string): string {
    const value = this.#field(key);
    return typeof value === "string" ? value : this.#refuse(key, "text");
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

  /** The answers of this question. */
  answers(answers: readonly string[]): readonly string[] {
    if (answers.length > 0) return answers;
    throw new UserError(`${this.name}: the question has no answer.`);
  }

  #field(key: string): unknown {
    const { value } = this;
    return typeof value === "object" && value !== null ? (value as DataRow)[key] : undefined;
  }

  #refuse(key: string, expected: string): never {
    throw new UserError(`${this.name}: expected ${expected} under "${key}".`);
  }
}
