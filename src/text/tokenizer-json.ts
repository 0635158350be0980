/**
 * The contents of a Hugging Face `tokenizer.json`, as far as they are read here.
 *
 * Invariant: a part of it that changes results is either done as the `tokenizers` package for Python does it,
 * or refused by its name; {@linkcode unsupported} says so.
 */

import { SplitPreTokenizer } from "@huggingface/tokenizers";
import { UserError } from "../errors.ts";

/** A normalizer, pre-tokenizer, post-processor or decoder: its type and what that type has. */
export interface Component {
  readonly type: string;
  readonly [field: string]: unknown;
}

/** A text that is one token wherever it stands. */
export interface AddedToken {
  readonly content: string;
  /** Not where it is a part of a word. */
  readonly single_word: boolean;
  /** It takes the white space before it with it. */
  readonly lstrip: boolean;
  /** It takes the white space after it with it. */
  readonly rstrip: boolean;
  /** It is looked for in normalised text, as it reads when normalised. */
  readonly normalized: boolean;
  /** It is left out when ids are read as text. */
  readonly special: boolean;
}

/** What turns a word into tokens. */
export interface ModelJson extends Component {
  readonly vocab: readonly (readonly [piece: string, score: number])[] | Record<string, number>;
}

/** See the module's header. */
export interface TokenizerJson {
  readonly added_tokens: readonly AddedToken[];
  readonly normalizer: Component | null;
  readonly pre_tokenizer: Component | null;
  readonly post_processor: Component | null;
  readonly decoder: Component | null;
  readonly model: ModelJson;
  /** Of what transformers does when a text is too long, which side it is cut at. */
  readonly truncation?: { readonly direction?: string } | null;
}

/**
 * The contents of a file as those of a tokenizer.
 *
 * @throws {UserError} when they are not
 */
export function asTokenizer(contents: unknown): TokenizerJson {
  const { model, added_tokens: added } = (contents ?? {}) as Partial<Record<string, unknown>>;
  const { vocab } = (model ?? {}) as { vocab?: unknown };
  if (typeof vocab !== "object" || vocab === null || !(added == null || Array.isArray(added))) {
    const lack = Array.isArray(added) || added == null ? "model with a vocab" : "list added_tokens";
    throw new UserError(
      `The tokenizer is not a usable Hugging Face tokenizer.json: it has no ${lack}.`,
    );
  }
  return contents as TokenizerJson;
}

/** A model's type, which older files leave to be seen from what it has. */
export function modelType({ type, vocab, ...model }: ModelJson): string {
  if (type !== undefined) return type;
  if (Array.isArray(vocab)) return "Unigram";
  if ("merges" in model) return "BPE";
  return "continuing_subword_prefix" in model ? "WordPiece" : "WordLevel";
}

/** The error for a part that is not done here. */
export function unsupported(part: string, what: string): UserError {
  return new UserError(
    `The tokenizer has the ${part} ${what}, which is not supported; ` +
      `its ids would differ from those that the model was trained with.`,
  );
}

/** A pattern in Oniguruma's syntax, or a text, as a regular expression with the flags g and u. */
export function patternOf(part: string, pattern: unknown): RegExp {
  const { Regex, String: text } = (pattern ?? {}) as { Regex?: unknown; String?: unknown };
  if (typeof text === "string") return new RegExp(RegExp.escape(text), "gu");
  if (typeof Regex !== "string") throw unsupported(part, `pattern ${JSON.stringify(pattern)}`);
  try {
    // The library translates the syntax.
    return new SplitPreTokenizer({ type: "Split", pattern: { Regex }, behavior: "Isolated" })
      .pattern!;
  } catch (error) {
    throw unsupported(part, `pattern ${JSON.stringify(Regex)} (${(error as Error).message})`);
  }
}

/** The letters that stand for the bytes 0 to 255 in byte-level vocabularies. */
export const BYTE_LETTERS: readonly string[] = (() => {
  let next = 256;
  return Array.from({ length: 256 }, (_, byte) => {
    const isPrintable = (byte >= 33 && byte <= 126) || (byte >= 161 && byte !== 173);
    return String.fromCharCode(isPrintable ? byte : next++);
  });
})();
