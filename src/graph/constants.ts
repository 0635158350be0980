/**
 * Shaders with other values in their constants.
 *
 * In the text, because the length of an array must not be an override everywhere.
 */

import type { Shader } from "./tensor.ts";

/** The shader with these values in its lines `const name = …u;`, under a name that tells them. */
export function withConstants(
  { name, source }: Shader,
  values: Readonly<Record<string, number>>,
): Shader {
  const entries = Object.entries(values);
  return {
    name: [name, ...entries.map(([, value]) => value)].join("-"),
    source: entries.reduce(
      (text, [constant, value]) =>
        text.replace(new RegExp(`const ${constant} = \\d+u;`), `const ${constant} = ${value}u;`),
      source,
    ),
  };
}
