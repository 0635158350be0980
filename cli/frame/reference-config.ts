/**
 * The reference's JSON configurations, taken as they are.
 *
 * Its fields are written in snake case and ours in camel case, so that a file tells by itself whose it
 * is; one that mixes them is refused, since the defaults of the two differ. What the fields mean is one
 * table (`src/train/reference/fields.ts`); here it is held against a file.
 */

import { suggestion, UserError } from "../../src/errors.ts";
import type { ReferenceField, Translation } from "../../src/train/reference/field.ts";
import { referenceFields } from "../../src/train/reference/fields.ts";

/** What a configuration of the reference says, in our words. */
export interface ReferenceConfig {
  readonly options: Translation;
  /** A sentence for each field that has no effect, or not the one that might be expected. */
  readonly warnings: readonly string[];
}

/**
 * Whether a parsed file is a configuration of the reference.
 *
 * @param file its name, for errors
 * @param ours the names of our own options
 * @throws {UserError} when it has fields of both styles
 */
export function isReferenceConfig(
  values: object,
  file: string,
  ours: readonly string[],
): boolean {
  const isTheirs = (key: string) => referenceFields.some(({ name }) => name === key);
  const keys = Object.keys(values);
  const theirs = keys.find((key) => isTheirs(key) && !ours.includes(key));
  const own = keys.find((key) => ours.includes(key) && !isTheirs(key));
  if (theirs !== undefined && own !== undefined) {
    throw new UserError(
      `${file} mixes two styles: "${theirs}" is a field of the reference's configurations, ` +
        `"${own}" an option of this project; use one of them`,
    );
  }
  return theirs !== undefined;
}

/**
 * Translates a configuration of the reference. Fields that are not said have the reference's defaults.
 *
 * @param file its name, for errors and warnings
 * @throws {UserError} for an unknown field, or a value that a field cannot have
 */
export function readReferenceConfig(values: object, file: string): ReferenceConfig {
  const said = new Map<string, unknown>(Object.entries(values));
  const known = referenceFields.map(({ name }) => name);
  for (const name of said.keys()) {
    if (known.includes(name)) continue;
    throw new UserError(
      `${file}: "${name}" is not a field of the reference's configurations` +
        suggestion(name, known),
    );
  }
  let options: Translation = { beamRule: "reference" };
  const warnings: string[] = [];
  for (const field of referenceFields) {
    const given = said.get(field.name) ?? undefined;
    if (given === undefined && (field.ignored || field.fallback === null)) continue;
    const value = check(field, given ?? field.fallback, file);
    const warning = field.warning?.(value, options);
    if (warning !== undefined) warnings.push(`${file}: "${field.name}" ${warning}.`);
    options = { ...options, ...field.settings?.(value, options) };
  }
  const meant = Object.entries(options).filter(([, value]) => value !== undefined);
  return { options: Object.fromEntries(meant), warnings };
}

function check({ name, kind }: ReferenceField, value: unknown, file: string): unknown {
  if (kind.accepts(value)) return kind.normalise ? kind.normalise(value) : value;
  throw new UserError(
    `${file}: "${name}" is ${JSON.stringify(value)}, but it must be ${kind.expected}`,
  );
}
