/**
 * The header of a safetensors file, parsed as if an enemy had written it.
 *
 * JSON alone is too lenient here: a parser keeps the last of two equal keys, rounds integers beyond
 * 2^53 and reads `1.0` as 1, so two readers could see different tensors in one file. The text is
 * therefore checked before it is parsed. What is returned tiles the data exactly: in order, without
 * hole or overlap, to the last byte of the file.
 */

import { UserError } from "../errors.ts";
import { isJsonObject } from "./json.ts";

/** Bytes per element, in the order in which the reference implementation ranks types in a file. */
const elementBytes = {
  BOOL: 1,
  U8: 1,
  I8: 1,
  F8_E5M2: 1,
  F8_E4M3: 1,
  F8_E8M0: 1,
  I16: 2,
  U16: 2,
  F16: 2,
  BF16: 2,
  I32: 4,
  U32: 4,
  F32: 4,
  C64: 8,
  F64: 8,
  I64: 8,
  U64: 8,
} as const;

/** An element type, by its name in the format. */
export type Dtype = keyof typeof elementBytes;

const ranks = new Map(Object.keys(elementBytes).map((dtype, rank) => [dtype, rank]));

/** Bytes per element. */
export const dtypeBytes = (dtype: Dtype): number => elementBytes[dtype];

/** Rank in a file's layout: higher ranks come first, which keeps every tensor aligned. */
export const dtypeOrder = (dtype: Dtype): number => ranks.get(dtype)!;

/** Number of elements; 1 for a scalar's empty shape. */
export const elementCount = (shape: readonly number[]): number =>
  shape.reduce((count, size) => count * size, 1);

/** Where a tensor lies; offsets are in bytes from the start of the data. */
export interface TensorEntry {
  readonly dtype: Dtype;
  readonly shape: readonly number[];
  readonly begin: number;
  readonly end: number;
}

/** A checked header. */
export interface SafetensorsHeader {
  /** Offset of the data in the file, in bytes. */
  readonly dataStart: number;
  /** In the order of the data. */
  readonly tensors: ReadonlyMap<string, TensorEntry>;
  /** Free text of the file's author. */
  readonly metadata: Readonly<Record<string, string>>;
}

/** The limit of the reference implementation. */
const maximumHeaderBytes = 100_000_000;

/** Bytes of the number before the header, which is the header's length. */
export const PREFIX_BYTES = 8;

/**
 * Where the data of a safetensors file begins, in bytes: nothing of the header needs to be read to be
 * sure that it is not absurdly long, and that it is there.
 *
 * @param start the first {@linkcode PREFIX_BYTES} bytes of the file, or more; fewer if it has no more
 * @param fileBytes size of the whole file
 * @param file its name, for error messages
 * @throws UserError if the length of the header cannot be right
 */
export function safetensorsDataStart(start: Uint8Array, fileBytes: number, file: string): number {
  const refuse = refusal(file);
  if (start.length < PREFIX_BYTES) {
    refuse(`it has ${start.length} bytes, fewer than its length prefix`);
  }
  const prefix = new DataView(start.buffer, start.byteOffset, PREFIX_BYTES);
  if (new TextDecoder().decode(prefix) === "version ") {
    refuse("it is a Git LFS pointer; download the file that it stands for");
  }
  const headerBytes = prefix.getBigUint64(0, true);
  if (headerBytes > maximumHeaderBytes) {
    refuse(`its header claims ${headerBytes} bytes, more than the limit of ${maximumHeaderBytes}`);
  }
  const dataStart = PREFIX_BYTES + Number(headerBytes);
  if (dataStart > fileBytes) {
    refuse(`its header claims ${headerBytes} bytes but only ${fileBytes - PREFIX_BYTES} follow`);
  }
  return dataStart;
}

/**
 * Reads and checks the header of a safetensors file.
 *
 * @param start the file up to its data, or to its end
 * @param fileBytes size of the whole file
 * @param file its name, for error messages
 * @throws UserError naming file and tensor if any rule of the format is broken
 */
export function parseSafetensorsHeader(
  start: Uint8Array,
  fileBytes: number,
  file: string,
): SafetensorsHeader {
  const refuse = refusal(file);
  const dataStart = safetensorsDataStart(start, fileBytes, file);
  const header = parseStrictly(start.subarray(PREFIX_BYTES, dataStart), refuse);
  const metadata = header["__metadata__"] ?? {};
  if (
    !isJsonObject(metadata) || Object.values(metadata).some((value) => typeof value !== "string")
  ) {
    refuse("its __metadata__ is not a table of strings");
  }
  const entries = Object.entries(header)
    .filter(([name]) => name !== "__metadata__")
    .map(([name, value]) => [name, parseEntry(name, value, refuse)] as const)
    .sort(([, a], [, b]) => a.begin - b.begin || a.end - b.end);

  const dataBytes = fileBytes - dataStart;
  let covered = 0;
  for (const [name, { begin, end }] of entries) {
    if (end > dataBytes) {
      refuse(`tensor ${name} ends at byte ${end} of ${dataBytes} bytes of data: is it truncated?`);
    }
    if (begin < covered) {
      refuse(`tensor ${name} overlaps the tensor before it by ${covered - begin} bytes`);
    }
    if (begin > covered) {
      refuse(`${begin - covered} bytes before tensor ${name} belong to no tensor`);
    }
    covered = end;
  }
  if (covered < dataBytes) refuse(`its last ${dataBytes - covered} bytes belong to no tensor`);

  return { dataStart, tensors: new Map(entries), metadata: metadata as Record<string, string> };
}

type Refuse = (why: string) => never;

function refusal(file: string): Refuse {
  return (why) => {
    // Names come from the file: none may move the terminal's cursor or fill the screen.
    const tame = why.replace(/\p{Cc}+/gu, " ").slice(0, 300);
    throw new UserError(`${file} is not a sound safetensors file: ${tame}`);
  };
}

/** The header's JSON object, known to hold only objects, arrays, strings and whole numbers. */
function parseStrictly(bytes: Uint8Array, refuse: Refuse): Record<string, unknown> {
  try {
    // A byte-order mark is kept, so that it is refused: the format has the header start with "{".
    const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
    checkText(text, refuse);
    return JSON.parse(text);
  } catch (error) {
    if (error instanceof UserError) throw error;
    return refuse(`its header is not valid JSON (${(error as Error).message})`);
  }
}

/** Refuses what JSON allows and the format does not. Malformed JSON is left for the parser to refuse. */
function checkText(text: string, refuse: Refuse): void {
  if (text[0] !== "{") refuse('its header does not start with "{"');
  const keys: Set<string>[] = []; // of the open objects; an array's set stays empty
  for (let at = 0; at < text.length; at++) {
    const character = text[at];
    if (character === "{" || character === "[") {
      if (keys.length === 3) refuse("its header is nested too deeply");
      keys.push(new Set());
    } else if (character === "}" || character === "]") {
      keys.pop();
    } else if (character === '"') {
      const start = at;
      while (++at < text.length && text[at] !== '"') if (text[at] === "\\") at++;
      let next = at + 1;
      while (isBlank(text[next])) next++;
      if (text[next] !== ":") continue;
      const key: string = JSON.parse(text.slice(start, at + 1));
      if (keys.at(-1)?.has(key)) refuse(`its header has the key ${key} twice`);
      keys.at(-1)?.add(key);
    } else if (!isBlank(character) && !(character >= "0" && character <= "9")) {
      // A letter, sign or point: true, null, -1, 1.0, 1e9.
      if (character !== "," && character !== ":") {
        refuse(`its header has something other than text and whole numbers at character ${at}`);
      }
    }
  }
}

const isBlank = (character: string | undefined): boolean =>
  character === " " || character === "\n" || character === "\r" || character === "\t";

function parseEntry(name: string, value: unknown, refuse: Refuse): TensorEntry {
  if (!isJsonObject(value)) return refuse(`tensor ${name} has no description`);
  const { dtype, shape, data_offsets: offsets, ...rest } = value;
  const [unknown] = Object.keys(rest);
  if (unknown !== undefined) refuse(`tensor ${name} has the unknown field ${unknown}`);
  if (!isDtype(dtype)) {
    return refuse(`tensor ${name} has the unsupported dtype ${JSON.stringify(dtype)}`);
  }
  if (!isSizes(shape)) return refuse(`the shape of tensor ${name} is not a list of whole numbers`);
  if (!isSizes(offsets) || offsets.length !== 2) {
    return refuse(`the data_offsets of tensor ${name} are not two whole numbers`);
  }
  const [begin, end] = offsets;
  let size: number = elementBytes[dtype];
  for (const length of shape) {
    size *= length;
    // Beyond 2^53 the product is inexact and could match by accident, or vanish by a later 0.
    if (!Number.isSafeInteger(size)) refuse(`tensor ${name} is too large: its shape is [${shape}]`);
  }
  if (end - begin !== size) {
    refuse(`tensor ${name} has ${end - begin} bytes where ${dtype} [${shape}] needs ${size}`);
  }
  return { dtype, shape, begin, end };
}

const isDtype = (value: unknown): value is Dtype =>
  typeof value === "string" && Object.hasOwn(elementBytes, value);

const isSizes = (value: unknown): value is number[] =>
  Array.isArray(value) && value.every(Number.isSafeInteger);
