/** JSON files: a failure to read one that comes from elsewhere names the file. */

import { UserError } from "../errors.ts";

/** What a JSON file holds. @throws UserError if it is not valid JSON */
export function parseJson(text: string, file: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    const reason = (error as Error).message.replace(/\s+/g, " ");
    throw new UserError(`${file} is not valid JSON: ${reason}`);
  }
}

/**
 * The object in a JSON file.
 *
 * @param file its name, for error messages
 * @throws UserError if it is not valid JSON, or holds something other than an object
 */
export function parseJsonObject(bytes: Uint8Array, file: string): Record<string, unknown> {
  const value = parseJson(new TextDecoder().decode(bytes), file);
  if (!isJsonObject(value)) throw new UserError(`${file} must hold a JSON object`);
  return value;
}

/** Whether a parsed value is an object, and no array. */
export function isJsonObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** A value as a file that people read as well. */
export function jsonFile(value: object): Uint8Array {
  return new TextEncoder().encode(`${JSON.stringify(value, null, 2)}\n`);
}

/** `JSON.parse` that tells its reviver how a number is spelt, of which TypeScript's library does not know yet. */
export const parseWithSource = JSON.parse as (
  text: string,
  reviver: (key: string, value: unknown, context: { readonly source?: string }) => unknown,
) => unknown;
