/**
 * A JSON object whose fields are asked for by name and type, so that a wrong file is refused with a
 * sentence that names it, never half understood.
 */

import { UserError } from "../errors.ts";
import { isJsonObject } from "../io/json.ts";

/** The JSON value in a file's bytes. */
export function parseJson(file: string, bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(bytes));
  } catch (error) {
    throw new UserError(`${file} is not valid JSON: ${(error as Error).message}.`);
  }
}

/** Numbers of a shape, row-major. */
export interface Tensor {
  readonly shape: readonly number[];
  readonly values: readonly number[];
}

/** See the module's header. */
export class Fields {
  readonly #values: Readonly<Record<string, unknown>>;

  /**
   * @param file what to call the object in errors
   * @throws {UserError} if `value` is not an object
   */
  constructor(readonly file: string, value: unknown) {
    if (!isJsonObject(value)) throw new UserError(`${file} must be a JSON object.`);
    this.#values = value;
  }

  /** The fields' names, in order. */
  get names(): string[] {
    return Object.keys(this.#values);
  }

  /** Whether there is such a field and it is not null. */
  has(name: string): boolean {
    return this.#values[name] !== undefined && this.#values[name] !== null;
  }

  /** A field that is an object. */
  fields(name: string): Fields {
    return new Fields(`${this.file}, "${name}",`, this.#values[name]);
  }

  /** A field that is an object, as it is. */
  row(name: string): Readonly<Record<string, unknown>> {
    return this.fields(name).#values;
  }

  /** A number; the strings "NaN", "Infinity" and "-Infinity" are numbers too. */
  number(name: string): number {
    return this.#read(name, "a number", numberOf(this.#values[name]));
  }

  /** A list of numbers. */
  numbers(name: string): number[] {
    return this.#read(name, "a list of numbers", listOf(this.#values[name], numberOf));
  }

  /** A list of lists of numbers. */
  rows(name: string): number[][] {
    const rows = listOf(this.#values[name], (row) => listOf(row, numberOf));
    return this.#read(name, "a list of lists of numbers", rows);
  }

  /** A list of numbers, or one of strings. */
  scalars(name: string): number[] | string[] {
    const value = this.#values[name];
    const scalars = listOf(value, numberOf) ?? listOf(value, textOf);
    return this.#read(name, "a list of numbers or of strings", scalars);
  }

  /** A list of objects. */
  list(name: string): Fields[] {
    const values = listOf(this.#values[name], (value) => value);
    return this.#read(name, "a list of objects", values).map((value, i) =>
      new Fields(`${this.file}, "${name}"[${i}],`, value)
    );
  }

  /** A list of tensors. */
  tensors(name: string): Tensor[] {
    return this.#read(
      name,
      "a list of nested lists of numbers",
      listOf(this.#values[name], tensorOf),
    );
  }

  /** A list of lists of tensors. */
  tensorLists(name: string): Tensor[][] {
    const lists = listOf(this.#values[name], (list) => listOf(list, tensorOf));
    return this.#read(name, "a list of lists of nested lists of numbers", lists);
  }

  /** A number, or lists of lists of numbers of one length at each depth. */
  tensor(name: string): Tensor {
    return this.#read(name, "nested lists of numbers", tensorOf(this.#values[name]));
  }

  /** A string. */
  text(name: string): string {
    return this.#read(name, "a string", textOf(this.#values[name]));
  }

  /** A list of strings. */
  texts(name: string): string[] {
    return this.#read(name, "a list of strings", listOf(this.#values[name], textOf));
  }

  /** A list of lists of strings. */
  textRows(name: string): string[][] {
    const rows = listOf(this.#values[name], (row) => listOf(row, textOf));
    return this.#read(name, "a list of lists of strings", rows);
  }

  /** A list of pairs of a string and a number. */
  pairs(name: string): [string, number][] {
    const pairs = listOf(this.#values[name], pairOf);
    return this.#read(name, "a list of pairs of a string and a number", pairs);
  }

  /** True or false. */
  flag(name: string): boolean {
    const value = this.#values[name];
    return this.#read(name, "true or false", typeof value === "boolean" ? value : undefined);
  }

  /** Any field as JSON, for messages. */
  spelled(name: string): string {
    return JSON.stringify(this.#values[name]);
  }

  #read<T>(name: string, expected: string, value: T | undefined): T {
    if (value !== undefined) return value;
    const problem = this.has(name) ? `must be ${expected}` : "is missing";
    throw new UserError(`${this.file}: the field "${name}" ${problem}.`);
  }
}

function numberOf(value: unknown): number | undefined {
  if (typeof value === "number") return value;
  return ["NaN", "Infinity", "-Infinity"].includes(value as string) ? Number(value) : undefined;
}

function tensorOf(value: unknown): Tensor | undefined {
  if (!Array.isArray(value)) {
    const number = numberOf(value);
    return number === undefined ? undefined : { shape: [], values: [number] };
  }
  const parts = listOf(value, tensorOf);
  if (parts === undefined) return undefined;
  const [inner = []] = parts.map(({ shape }) => shape);
  if (parts.some(({ shape }) => shape.join() !== inner.join())) return undefined;
  return { shape: [parts.length, ...inner], values: parts.flatMap(({ values }) => values) };
}

function pairOf(value: unknown): [string, number] | undefined {
  if (!Array.isArray(value) || value.length !== 2) return undefined;
  const text = textOf(value[0]), number = numberOf(value[1]);
  return text === undefined || number === undefined ? undefined : [text, number];
}

function textOf(value: unknown): string | undefined {
  return typeof value === "string" ? value : undefined;
}

function listOf<T>(value: unknown, read: (item: unknown) => T | undefined): T[] | undefined {
  if (!Array.isArray(value)) return undefined;
  const items = value.map(read);
  return items.includes(undefined) ? undefined : items as T[];
}
