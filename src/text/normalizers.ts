/**
 * Normalizers of a `tokenizer.json`: what is done to text before it is cut into words.
 *
 * Invariant: each gives what the `tokenizers` package for Python gives. JavaScript's own notions differ
 * in places: which characters are white space, the lower case of a final sigma, `$&` in a replacement.
 */

import { base64Decode } from "@bufbuild/protobuf/wire";
import { charsmapNormalizer } from "./charsmap.ts";
import { BYTE_LETTERS, type Component, patternOf, unsupported } from "./tokenizer-json.ts";

/** Changes a text. */
export type Normalize = (text: string) => string;

/**
 * The normalizer that a file describes.
 *
 * @throws {UserError} when it is one that is not done here
 */
export function createNormalizer(json: Component | null): Normalize {
  if (json === null) return (text) => text;
  switch (json.type) {
    case "Sequence": {
      const steps = (json.normalizers as Component[]).map(createNormalizer);
      return (text) => steps.reduce((result, step) => step(result), text);
    }
    case "Precompiled": {
      const charsmap = json.precompiled_charsmap as string | null;
      return charsmap ? charsmapNormalizer(base64Decode(charsmap)) : (text) => text;
    }
    case "NFC":
    case "NFD":
    case "NFKC":
    case "NFKD": {
      const form = json.type;
      return (text) => text.normalize(form);
    }
    case "Lowercase":
      return lowerCase;
    case "Strip": {
      const { strip_left: left, strip_right: right } = json;
      return (text) => {
        if (left) text = text.replace(/^\p{White_Space}+/u, "");
        return right ? text.replace(/\p{White_Space}+$/u, "") : text;
      };
    }
    case "StripAccents":
      return (text) => text.replace(/\p{M}/gu, "");
    case "Replace": {
      const pattern = patternOf("normalizer", json.pattern);
      const content = json.content as string;
      return (text) => text.replace(pattern, () => content);
    }
    case "Prepend": {
      const prefix = json.prepend as string;
      return (text) => text === "" ? text : prefix + text;
    }
    case "Nmt":
      return (text) => text.replace(NMT_REMOVED, "").replace(NMT_SPACES, " ");
    case "ByteLevel":
      return byteLetters;
    case "BertNormalizer":
      return bertNormalizer(json);
    default:
      throw unsupported("normalizer", json.type);
  }
}

/** Each character's own lower case: a sigma is σ at the end of a word as well. */
function lowerCase(text: string): string {
  let result = "";
  for (const character of text) result += character.toLowerCase();
  return result;
}

/** The UTF-8 bytes of a text, each as the letter that stands for it. */
export function byteLetters(text: string): string {
  let result = "";
  for (const byte of new TextEncoder().encode(text)) result += BYTE_LETTERS[byte];
  return result;
}

// deno-lint-ignore no-control-regex
const NMT_REMOVED = /[\u0001-\u0008\u000b\u000e-\u001f\u007f\u008f\u009f]/g;
const NMT_SPACES = /[\t\n\f\r\u1680\u200b-\u200f\u2028\u2029\u2581\ufeff\ufffd]/g;

const CHINESE =
  /[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\u{20000}-\u{2a6df}\u{2a700}-\u{2b73f}\u{2b740}-\u{2b81f}\u{2b920}-\u{2ceaf}\u{2f800}-\u{2fa1f}]/gu;

function bertNormalizer(json: Component): Normalize {
  const { clean_text, handle_chinese_chars, strip_accents, lowercase } = json;
  return (text) => {
    if (clean_text) {
      text = text.replace(/[\0\ufffd]|(?![\t\n\r])[\p{Cc}\p{Cf}\p{Co}]/gu, "")
        .replace(/\p{White_Space}/gu, " ");
    }
    if (handle_chinese_chars) text = text.replace(CHINESE, " $& ");
    if (strip_accents ?? lowercase) text = text.normalize("NFD").replace(/\p{Mn}/gu, "");
    return lowercase ? lowerCase(text) : text;
  };
}
