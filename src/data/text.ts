/**
 * Text files as their bytes come, plain or gzipped.
 *
 * Invariant: what is not UTF-8 is refused by name, never read as something else: a table in UTF-16 or in
 * Latin-1 is common, and its letters would be trained on as they were misread.
 */

import { UserError } from "../errors.ts";
import { gunzip, GzipError } from "../io/gzip.ts";

type Bytes = Uint8Array<ArrayBuffer>;

/** The beginnings of files that are text in another encoding, or no text at all. */
const SIGNATURES: readonly (readonly [bytes: readonly number[], message: string])[] = [
  [[0xFF, 0xFE, 0x00, 0x00], "is UTF-32: save it as UTF-8"],
  [[0xFF, 0xFE], "is UTF-16: save it as UTF-8"],
  [[0xFE, 0xFF], "is UTF-16: save it as UTF-8"],
  [[0x1F, 0x8B], "is gzipped, which its name should say: end it with .gz"],
  [[0x50, 0x41, 0x52, 0x31], "is a Parquet file, which its name should say: end it with .parquet"],
  [[0x50, 0x4B, 0x03, 0x04], "is a zip file or a workbook: unpack it, or save the sheet as CSV"],
];

/**
 * The text of a UTF-8 file, in pieces, without a byte-order mark.
 *
 * @param name what the file is called in errors
 * @throws {UserError} for what is no UTF-8, and for a gzip file that is not whole
 */
export async function* decodeText(
  bytes: ReadableStream<Bytes>,
  name: string,
): AsyncGenerator<string> {
  const decoder = new TextDecoder("utf-8", { fatal: true });
  const decode = (part?: Uint8Array) => {
    try {
      return part ? decoder.decode(part, { stream: true }) : decoder.decode();
    } catch {
      const before = new TextDecoder().decode(part).split("\uFFFD")[0];
      throw new UserError(
        `${name} is not UTF-8, which shows in line ${line + lineEnds(before)}: save it as UTF-8`,
      );
    }
  };
  let line = 1, isFirst = true;
  for await (const part of plain(bytes, name)) {
    if (part.length === 0) continue;
    if (isFirst) checkBeginning(part, name);
    isFirst = false;
    const text = decode(part);
    if (text.includes("\0")) {
      throw new UserError(`${name} holds NUL characters, as UTF-16 does: save it as UTF-8`);
    }
    line += lineEnds(text);
    yield text;
  }
  const rest = decode();
  if (rest !== "") yield rest;
}

/** The lines of such a file, without their ends. */
export async function* decodeLines(
  bytes: ReadableStream<Bytes>,
  name: string,
): AsyncGenerator<string> {
  let rest = "";
  for await (const text of decodeText(bytes, name)) {
    const parts = (rest + text).split("\n");
    rest = parts.pop()!;
    for (const part of parts) yield part.replace(/\r$/, "");
  }
  if (rest !== "") yield rest.replace(/\r$/, "");
}

async function* plain(bytes: ReadableStream<Bytes>, name: string): AsyncGenerator<Uint8Array> {
  if (!name.endsWith(".gz")) return yield* bytes;
  try {
    yield* bytes.pipeThrough(gunzip());
  } catch (error) {
    if (!(error instanceof GzipError)) throw error;
    throw new UserError(`${name} is no whole gzip file, since ${error.message}: fetch it again`);
  }
}

function checkBeginning(bytes: Uint8Array, name: string): void {
  const found = SIGNATURES.find(([signature]) => signature.every((byte, i) => bytes[i] === byte));
  if (found) throw new UserError(`${name} ${found[1]}`);
}

const lineEnds = (text: string): number => text.split("\n").length - 1;
