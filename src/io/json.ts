/** JSON files that come from elsewhere: a failure to read one names the file. */

import { UserError } from "../errors.ts";

/**
 * The object in a JSON file.
 *
 * @param file its name, for error messages
 * @throws UserError if it is not valid JSON, or holds something other than an object
 */
export function parseJsonObject(bytes: Uint8Array, file: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder().decode(bytes));
  } catch (error) {
    const reason = (error as Error).message.replace(/\s+/g, " ");
    throw new UserError(`${file} is not valid JSON: ${reason}`);
  }
  if (!isJsonObject(value)) throw new UserError(`${file} must hold a JSON object`);
  return value;
}

/** Whether a parsed value is an object, and no array. */
export function isJsonObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
