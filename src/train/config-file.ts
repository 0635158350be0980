/**
 * `config.json` as it is written: the file that the model came with, and over it what is known here.
 *
 * Most of such a file is not this project's business. What it does not change stays as it was, down to how
 * numbers are spelt, for transformers tells 1.0 from 1.
 */

import { formatConfig, type ModelConfig } from "../../models/config.ts";
import { float, parseForm } from "../io/json-form.ts";
import { transformersFields } from "./for-transformers.ts";

/** Fields that transformers types as floating-point numbers. */
const FLOATS: ReadonlySet<string> = new Set([
  "dropout_rate",
  "layer_norm_epsilon",
  "initializer_factor",
  "classifier_dropout",
]);

/** Fields of the file that a model came with that are about its other files: code, and the type of weights. */
const NOT_KEPT = { auto_map: undefined, dtype: undefined };

/**
 * A configuration as a file.
 *
 * @param given the text of the file that the model came with
 * @param changes what else shall be in it; fields that are `undefined` are left out, given ones too
 */
export function configFile(
  given: string,
  config: ModelConfig,
  changes: Readonly<Record<string, unknown>> = {},
): Uint8Array {
  const fields = {
    ...NOT_KEPT,
    ...formatConfig(config),
    ...transformersFields(config),
    ...changes,
  };
  const before: Readonly<Record<string, unknown>> = JSON.parse(given);
  const kept = parseForm(given, (key) => FLOATS.has(key)) as Record<string, unknown>;
  const written = Object.entries(fields).map(([name, value]) => {
    if (typeof value === "number" && value === before[name]) return [name, kept[name]];
    return [name, typeof value === "number" && FLOATS.has(name) ? float(value) : value];
  });
  const text = JSON.stringify({ ...kept, ...Object.fromEntries(written) }, null, 2);
  return new TextEncoder().encode(`${text}\n`);
}
