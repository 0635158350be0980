/**
 * Decoders of a `tokenizer.json`: how the texts of tokens become the text of all.
 *
 * Invariant: the text is that of the `tokenizers` package for Python, of which the library's own decoders
 * differ where tokens begin with several marks, bytes are no UTF-8, or nothing is to be prepended.
 */

import { BYTE_LETTERS, type Component, patternOf, unsupported } from "./tokenizer-json.ts";

/** Changes a list of tokens; joined, they are the text. */
export type Decode = (tokens: readonly string[]) => readonly string[];

/**
 * The decoder that a file describes.
 *
 * @throws {UserError} when it is one that is not done here
 */
export function createDecoder(json: Component | null): Decode {
  if (json === null) return (tokens) => [tokens.join(" ")];
  switch (json.type) {
    case "Sequence": {
      const steps = (json.decoders as Component[]).map(createDecoder);
      return (tokens) => steps.reduce((result, step) => step(result), tokens);
    }
    case "Metaspace": {
      const mark = json.replacement as string;
      const isMarked = json.add_prefix_space !== false && json.prepend_scheme !== "never";
      return (tokens) =>
        tokens.map((token, i) => token.replaceAll(mark, i === 0 && isMarked ? "" : " "));
    }
    case "ByteLevel":
      return (tokens) => [decoder.decode(new Uint8Array(tokens.flatMap(bytesOf)))];
    case "ByteFallback":
      return byteFallback;
    case "Fuse":
      return (tokens) => [tokens.join("")];
    case "Replace": {
      const pattern = patternOf("decoder", json.pattern);
      const content = json.content as string;
      return (tokens) => tokens.map((token) => token.replace(pattern, () => content));
    }
    case "Strip": {
      const { content, start, stop } = json as unknown as {
        content: string;
        start: number;
        stop: number;
      };
      const mark = RegExp.escape(content);
      const ends = new RegExp(`^(?:${mark}){0,${start}}|(?:${mark}){0,${stop}}$`, "gu");
      return (tokens) => tokens.map((token) => token.replace(ends, ""));
    }
    case "WordPiece": {
      const prefix = json.prefix as string;
      return (tokens) =>
        tokens.map((token, i) => {
          if (i > 0) token = token.startsWith(prefix) ? token.slice(prefix.length) : ` ${token}`;
          return json.cleanup ? cleanUp(token).replaceAll(" do not", " don't") : token;
        });
    }
    case "BPEDecoder": {
      const suffix = json.suffix as string;
      return (tokens) =>
        tokens.map((token, i) => token.replaceAll(suffix, i === tokens.length - 1 ? "" : " "));
    }
    default:
      throw unsupported("decoder", json.type);
  }
}

/** Text without the spaces before signs and English endings: `clean_up_tokenization_spaces`. */
export function cleanUp(text: string): string {
  return [" .", " ?", " !", " ,", " ' ", " n't", " 'm", " 's", " 've", " 're"]
    .reduce((result, spaced) => result.replaceAll(spaced, spaced.trim()), text);
}

const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
const encoder = new TextEncoder();
const byteOfLetter = new Map(BYTE_LETTERS.map((letter, byte) => [letter, byte]));

/** The bytes that a token's letters stand for; its own where one stands for none. */
function bytesOf(token: string): number[] {
  const bytes = Array.from(token, (letter) => byteOfLetter.get(letter));
  return bytes.every((byte) => byte !== undefined) ? bytes : [...encoder.encode(token)];
}

const strict = new TextDecoder("utf-8", { ignoreBOM: true, fatal: true });

/** Tokens `<0x00>` to `<0xFF>` become the characters that their bytes spell, or one U+FFFD each. */
function byteFallback(tokens: readonly string[]): string[] {
  const result: string[] = [];
  let bytes: number[] = [];
  const flush = () => {
    if (bytes.length === 0) return;
    try {
      result.push(strict.decode(new Uint8Array(bytes)));
    } catch {
      result.push(..."\ufffd".repeat(bytes.length));
    }
    bytes = [];
  };
  for (const token of tokens) {
    const byte = /^<0x([0-9A-Fa-f]{2})>$/.exec(token)?.[1];
    if (byte !== undefined) {
      bytes.push(parseInt(byte, 16));
      continue;
    }
    flush();
    result.push(token);
  }
  flush();
  return result;
}
