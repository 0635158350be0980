/**
 * What a field of the reference's JSON configurations is: its kind, its default there, and what becomes
 * of it here. The rows themselves are in `fields.ts` and `ignored.ts`.
 */

import type { Options } from "../settings.ts";

/** What the command is told by a configuration: settings, and where the run is. */
export interface Translation extends Options {
  readonly out?: string | undefined;
  readonly resume?: string | undefined;
  readonly continue?: boolean | undefined;
}

/** Which JSON values a field takes. `null` always means that it is not said. */
export interface Kind<T> {
  /** Completes "it must be …". */
  readonly expected: string;
  readonly accepts: (value: unknown) => boolean;
  /** The value in the one form that the rows know; itself unless given. */
  readonly normalise?: (value: unknown) => T;
}

/** A field, and what becomes of it. */
export interface ReferenceField<T = unknown> {
  readonly name: string;
  readonly kind: Kind<T>;
  /** Its value where it is not said; `null` for none. */
  readonly fallback: T | null;
  /** What becomes of it, as a phrase for the documentation. */
  readonly meaning: string;
  /** Whether it changes nothing, whatever its value. */
  readonly ignored: boolean;
  /** Adds to what the rows above said. */
  readonly settings?: (value: T, before: Translation) => Translation;
  /** Completes `"field" …` where the user should know more than the documentation says. */
  readonly warning?: (value: T, before: Translation) => string | undefined;
}

const kind = <T>(expected: string, accepts: (value: unknown) => boolean): Kind<T> => ({
  expected,
  accepts,
});

const isText = (value: unknown): value is string => typeof value === "string";

/** `true` or `false`. */
export const flag = kind<boolean>("true or false", (value) => typeof value === "boolean");

/** Text. */
export const text = kind<string>("a string", isText);

/** Anything at all, where what it is makes no difference. */
export const anything = kind<unknown>("any value", () => true);

/** A list of strings; one string stands for a list of it. */
export const names: Kind<readonly string[]> = {
  expected: "a list of strings",
  accepts: (value) => isText(value) || (Array.isArray(value) && value.every(isText)),
  normalise: (value) => isText(value) ? [value] : value as string[],
};

/** One of some strings. */
export const oneOf = <T extends string>(choices: readonly T[]): Kind<T> =>
  kind(`one of ${choices.join(", ")}`, (value) => choices.some((choice) => choice === value));

/** A whole number from `least` on. */
export const whole = (least: number): Kind<number> =>
  kind(
    `a whole number of at least ${least}`,
    (value) => Number.isSafeInteger(value) && value as number >= least,
  );

/** How many examples: -1 for all of them. */
export const exampleCount: Kind<number> = {
  ...kind(
    "a whole number of at least 1, or -1 for all",
    (value) => Number.isSafeInteger(value) && (value === -1 || value as number >= 1),
  ),
  normalise: (value) => value === -1 ? 0 : value as number,
};

const numeric = (expected: string, accepts: (value: number) => boolean): Kind<number> =>
  kind(expected, (value) => typeof value === "number" && accepts(value));

/** A number above zero. */
export const positive = numeric("a number above 0", (value) => value > 0 && value < Infinity);

/** A number of at least zero. */
export const notNegative = numeric(
  "a number of at least 0",
  (value) => value >= 0 && value < Infinity,
);

/** A share that leaves something. */
export const share = numeric(
  "a number from 0 up to, not including, 1",
  (value) => value >= 0 && value < 1,
);

/** A row for a field that becomes settings. */
export function honoured<T>(
  name: string,
  kind: Kind<T>,
  fallback: NoInfer<T> | null,
  meaning: string,
  settings: (value: T, before: Translation) => Translation = () => ({}),
  warning?: (value: T, before: Translation) => string | undefined,
): ReferenceField {
  const row = { name, kind, fallback, meaning, ignored: false, settings };
  return (warning ? { ...row, warning } : row) as ReferenceField;
}

/** A row for a field that is a setting by another name. */
export function becomes<T>(
  name: string,
  kind: Kind<T>,
  fallback: NoInfer<T> | null,
  setting: keyof Translation,
  remark = "",
): ReferenceField {
  return honoured(
    name,
    kind,
    fallback,
    `\`${setting}\`${remark}`,
    (value) => ({ [setting]: value }),
  );
}

/**
 * A row for a field without effect.
 *
 * @param reason why, as a clause
 * @param unless values for which there is nothing to be said; the default only, unless given
 */
export function ignored<T>(
  name: string,
  kind: Kind<T>,
  fallback: NoInfer<T> | null,
  reason: string,
  unless: (value: T, before: Translation) => boolean = (value) =>
    JSON.stringify(value) === JSON.stringify(fallback),
): ReferenceField {
  const warning = (value: T, before: Translation) =>
    unless(value, before) ? undefined : `has no effect: ${reason}`;
  return {
    name,
    kind,
    fallback,
    meaning: `no effect: ${reason}`,
    ignored: true,
    warning,
  } as ReferenceField;
}
