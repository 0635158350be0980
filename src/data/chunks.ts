/**
 * Contexts that are too long for a model, cut into overlapping chunks of ids.
 *
 * Invariant: a chunk is the ids of the question's prompt, a run of the ids that the whole context has, and
 * the end of sequence; so no chunk depends on where the others begin. What the reference calls `stride`
 * is the overlap of two chunks.
 */

import type { Tokenizer } from "../text/tokenizer.ts";
import type { AnswerSpan, Passage } from "./passages.ts";
import type { Example, Question } from "./types.ts";

/** A run of a context's ids. */
export interface Chunk {
  readonly begin: number;
  /** Of the id after its last. */
  readonly end: number;
  /** The first answer that has a span within it. */
  readonly answer?: number;
}

/**
 * Cuts a context as the reference does: every chunk but the last is full.
 *
 * @param offsets for each id where its characters begin and end
 * @param spans in order of preference
 * @param limits ids in a chunk, at least 1, and those that it shares with the next
 */
export function cutContext(
  offsets: readonly (readonly number[])[],
  spans: readonly AnswerSpan[],
  { length, overlap }: { readonly length: number; readonly overlap: number },
): Chunk[] {
  // A chunk must get further; the reference does not end where the overlap leaves it no room.
  const step = overlap < length ? length - overlap : Math.ceil(length / 2);
  const chunks: Chunk[] = [];
  for (let begin = 0; begin < offsets.length; begin += step) {
    const end = Math.min(begin + length, offsets.length);
    const first = offsets[begin][0], last = offsets[end - 1][1];
    const found = spans.find((span) => span.start >= first && span.end <= last);
    chunks.push({ begin, end, ...(found && { answer: found.answer }) });
    if (end === offsets.length) break;
  }
  return chunks;
}

/** Ids that two chunks share, but for short ones. */
const OVERLAP = 128;

/** What chunks are made for. */
export interface ChunkOptions {
  readonly tokenizer: Tokenizer;
  /** The longest source in ids, end of sequence included. */
  readonly maxSourceLength: number;
}

/**
 * The examples of the questions about one context: for each chunk one, whose target is the answer in it,
 * or nothing where there is none. Chunks of 512 ids overlap by 128, as in the reference; of fewer ids, by
 * a quarter.
 */
export function chunkExamples(
  task: string,
  { context, questions }: Passage,
  { tokenizer, maxSourceLength }: ChunkOptions,
): Example[] {
  const { beforeIds, afterIds } = tokenizer;
  const { ids, offsets } = tokenizer.encodeWithOffsets(context);
  const whole: EncodedContext = {
    text: context,
    ids: Int32Array.from(ids),
    afterIds,
  };
  return questions.flatMap(({ text, id, answers, found, spans }) => {
    const prompt = [...beforeIds, ...tokenizer.encodePart(`question: ${text} context: `)];
    // Where a question fills the source by itself, its end gives way for some of the context.
    prompt.length = Math.min(prompt.length, Math.floor(maxSourceLength / 2));
    const chunks = cutContext(offsets, spans, {
      length: maxSourceLength - prompt.length - afterIds.length,
      overlap: Math.min(OVERLAP, Math.floor(maxSourceLength / 4)),
    });
    const question = { id, answers };
    return chunks.map((chunk) => {
      const target = chunk.answer === undefined ? "" : found[chunk.answer];
      const place = [offsets[chunk.begin][0], offsets[chunk.end - 1][1]] as const;
      return new ChunkExample(task, target, question, {
        context: whole,
        prompt,
        asked: text,
        chunk,
        place,
      });
    });
  });
}

/** A context, which all chunks of it share. */
interface EncodedContext {
  readonly text: string;
  readonly ids: Int32Array;
  readonly afterIds: readonly number[];
}

interface Parts {
  readonly context: EncodedContext;
  readonly asked: string;
  readonly prompt: readonly number[];
  readonly chunk: Chunk;
  /** Where the chunk's characters begin and end. */
  readonly place: readonly [number, number];
}

/** An example that is put together when it is read: all of them together are several times the data. */
class ChunkExample implements Example {
  readonly #parts: Parts;

  constructor(
    readonly task: string,
    readonly target: string,
    readonly question: Question,
    parts: Parts,
  ) {
    this.#parts = parts;
  }

  get source(): string {
    const { context, asked, place } = this.#parts;
    return `question: ${asked} context: ${[...context.text].slice(...place).join("")}`;
  }

  get sourceIds(): number[] {
    const { context: { ids, afterIds }, prompt, chunk } = this.#parts;
    return [...prompt, ...ids.subarray(chunk.begin, chunk.end), ...afterIds];
  }
}
